"""Which file it was, or which arrays: a digest of the content."""

import hashlib
from typing import Annotated

import msgspec

Digest = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")]  # SHA-256 in hexadecimal digits


def digest(path):
    """Return the SHA-256 of a file in hexadecimal digits."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def digest_of(arrays):
    """Return the SHA-256 of the arrays in {name: array}, in the order of their names."""
    found = hashlib.sha256()
    for _, array in sorted(arrays.items()):
        found.update(array.tobytes())
    return found.hexdigest()
