"""The digest of a file."""

from utils.digest import digest


def test_it_is_the_sha_256(tmp_path):
    """Oracle: the first example of FIPS 180."""
    (tmp_path / "file").write_bytes(b"abc")
    wanted = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert digest(tmp_path / "file") == wanted
