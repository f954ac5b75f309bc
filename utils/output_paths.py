"""What a command may write to: no file that it reads, and no existing file of another kind."""

import contextlib
import itertools
import json
import os
from pathlib import Path

from utils.atomic_files import is_special
from utils.errors import UserError
from utils.json_lines import metadata_path

TABLE, PICTURE, PAGE, LOG = "latency table", "picture (PNG)", "page of HTML", "log"


def refuse_overwriting(inputs, outputs):
    """Raise UserError if a command would overwrite what it reads, or a file of another kind.

    inputs:  paths of the files that are read, with the metadata beside them
    outputs: (path, one of the kinds above, or None for any) pairs; the same file twice is refused
    Links are followed; a device or a pipe may be anything.
    """
    read = [each for path in inputs for each in (path, metadata_path(path))]
    outputs = [(path, kind) for path, kind in outputs if not is_special(path)]
    outputs += [(metadata_path(path), None) for path, kind in outputs if kind == TABLE]
    written = [path for path, _ in outputs]
    for output in written:
        for path in read:
            if _is_same(output, path):
                raise UserError(
                    f"{output} would be written over {path}, which is read: choose another"
                )
    for one, other in itertools.combinations(written, 2):
        if _is_same(one, other):
            raise UserError(
                f"{one} and {other} are the same file, but both are written: choose another"
            )
    for path, kind in outputs:
        if kind and not _is(kind, path):
            raise UserError(f"{path} exists and is not a {kind}: choose another path, or remove it")


def _is_same(one, other):
    with contextlib.suppress(FileNotFoundError):
        return os.path.samefile(one, other)  # also through a hard link
    return os.path.realpath(one) == os.path.realpath(other)


def _is(kind, path):
    """Return whether a path may become a file of a kind: it is one, is empty or does not exist."""
    if not Path(path).exists():
        return True
    with open(path, "rb") as file:
        start = file.readline(100_000)
    if not start:
        return True
    if kind == TABLE:
        return _is_line_of_table(start)
    if kind == PICTURE:
        return start.startswith(b"\x89PNG")
    if kind == PAGE:
        return start.lower().startswith((b"<!doctype html", b"<html"))
    return b"\0" not in start and not start.startswith((b"\x89", b"[", b"{", b"<"))


def _is_line_of_table(line):
    with contextlib.suppress(ValueError, RecursionError):
        value = json.loads(line)
        return isinstance(value, list) and len(value) == 2 and isinstance(value[0], dict)
    return False
