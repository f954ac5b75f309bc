"""MXNet's files of arrays, read without it: what is read is what MXNet reads, or is refused."""

import struct

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from models.gluon.arrays_file import read_arrays
from models.gluon.runtime import mx

ARRAYS = {"a.weight": np.arange(6.0).reshape(3, 2), "b": np.ones(1), "ä": np.zeros((1, 2, 1, 2))}
NDIM, SIZES, DEVICE, KIND, NUMBERS = (
    32,
    36,
    52,
    60,
    64,
)  # places in the first array, of 2 dimensions


def write(path, dtype="float32"):
    """Let MXNet write the arrays; return the file's content."""
    mx.nd.save(str(path), {name: mx.nd.array(a, dtype=dtype) for name, a in ARRAYS.items()})
    return path.read_bytes()


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    """Return a file of the arrays and its content."""
    path = tmp_path_factory.mktemp("arrays") / "n.params"
    return path, write(path)


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_what_mxnet_wrote_is_read(tmp_path, dtype):
    """Oracle: the arrays that were written."""
    write(tmp_path / "n.params", dtype)
    found = read_arrays(tmp_path / "n.params")
    assert found.keys() == ARRAYS.keys()
    for name, array in ARRAYS.items():
        assert found[name].dtype == dtype
        np.testing.assert_array_equal(found[name], array)


@pytest.mark.parametrize(
    ("place", "new"),
    [
        (0, struct.pack("<Q", 0x111)),
        (16, struct.pack("<Q", 2)),
        (16, struct.pack("<Q", 2**62)),
        (24, struct.pack("<I", 0xF993FAC8)),  # an older version's arrays
        (28, struct.pack("<i", 1)),  # row_sparse
        (28, struct.pack("<i", 2)),  # csr
        (28, struct.pack("<i", -1)),
        *((NDIM, struct.pack("<i", n)) for n in (-1, 0, 1, 3, 2**31 - 1)),
        *((SIZES, struct.pack("<q", n)) for n in (-3, 0, 4, 2**40, 2**62)),
        *((DEVICE, struct.pack("<i", n)) for n in (0, 2, 77)),
        *((KIND, struct.pack("<i", n)) for n in (-1, 1, 2, 4, 12, 99)),
    ],
)
def test_damaged_headers_are_refused(file, tmp_path, place, new):
    """Oracle: the format, by hand; MXNet crashes over some of these, or asks for all memory."""
    path = tmp_path / "n.params"
    content = bytearray(file[1])
    content[place : place + len(new)] = new
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"\w"):
        read_arrays(path)


def test_cut_and_foreign_files_are_refused(file, tmp_path):
    """Oracle: only the whole file is one; a file without arrays is read as such."""
    path, content = tmp_path / "n.params", file[1]
    for cut in (content[:end] for end in range(len(content))):
        path.write_bytes(cut)
        with pytest.raises(ValueError, match=r"cut short|begin|names"):
            read_arrays(path)
    path.write_bytes(content + b"\0")
    with pytest.raises(ValueError, match="follow its end"):
        read_arrays(path)
    path.write_bytes(struct.pack("<QQQQ", 0x112, 0, 0, 0))
    assert read_arrays(path) == {}


@settings(max_examples=150)
@given(st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255)), min_size=1, max_size=3))
@example([(212, 0)])  # a null character in a name
def test_bytes_at_random_are_refused_or_read_as_mxnet_does(file, changes):
    """Oracle: MXNet, which is only given what was not refused: the same names, shapes, numbers."""
    path, content = file[0].with_name("damaged.params"), bytearray(file[1])
    for place, byte in changes:
        content[place % len(content)] = byte
    path.write_bytes(content)
    try:
        found = read_arrays(path)
    except ValueError:
        return
    wanted = mx.nd.load(str(path))
    assert found.keys() == wanted.keys()
    for name, array in found.items():
        np.testing.assert_array_equal(array, wanted[name].asnumpy())
