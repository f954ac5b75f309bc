"""The digest of a file."""

import numpy as np

from utils.digest import digest, digest_of


def test_it_is_the_sha_256(tmp_path):
    """Oracle: the first example of FIPS 180."""
    (tmp_path / "file").write_bytes(b"abc")
    wanted = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert digest(tmp_path / "file") == wanted


def test_arrays_are_taken_in_the_order_of_their_names(tmp_path):
    """Oracle: the digest of a file of their bytes."""
    arrays = {"b": np.arange(3), "a": np.ones(2, np.float32)}
    (tmp_path / "file").write_bytes(arrays["a"].tobytes() + arrays["b"].tobytes())
    assert digest_of(arrays) == digest(tmp_path / "file")
