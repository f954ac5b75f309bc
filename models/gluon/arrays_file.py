"""MXNet's files of named arrays, read without MXNet, which crashes on a damaged one.

    file:  0x112, reserved, number of arrays (8 bytes each), arrays, number of names (8), names
    array: 0xF993FAC9, storage type, number of dimensions (4 bytes each), sizes (8 each),
           device type, device number, type of the numbers (4 each), numbers
    name:  its length (8 bytes), UTF-8
Everything is little-endian. Source: NDArray::Save of MXNet 1.9 (src/ndarray/ndarray.cc).
"""

import math
import struct
from pathlib import Path

import numpy as np

LIST, ARRAY = 0x112, 0xF993FAC9
DENSE, CPU = 0, (1, 0)  # what Gluon writes, whatever it trained on
DTYPES = {0: np.float32, 1: np.float64, 2: np.float16}  # of networks
MAX_DIMENSIONS = 32  # of MXNet and of NumPy


def read_arrays(path):
    """Return {name: array} of a file that Gluon wrote for a network.

    Raises ValueError that says what is wrong with the file; OSError if it cannot be read.
    """
    reader = _Reader(Path(path).read_bytes())
    if reader.numbers("Q")[0] != LIST:
        raise ValueError("it does not begin as MXNet's files of arrays do")
    _, count = reader.numbers("QQ")
    arrays = [_read_array(reader, f"array {i + 1} of {count}") for i in reader.counted(count)]
    names = [_read_name(reader) for _ in reader.counted(*reader.numbers("Q"))]
    if reader.left:
        raise ValueError(f"{reader.left} bytes follow its end")
    if len(set(names)) != len(arrays) or len(names) != len(arrays):
        raise ValueError(f"it has {len(arrays)} arrays and {len(set(names))} names")
    return dict(zip(names, arrays, strict=True))


def _read_array(reader, which):
    magic, storage, dimensions = reader.numbers("Iii")
    if (magic, storage) != (ARRAY, DENSE) or not 0 < dimensions <= MAX_DIMENSIONS:
        raise ValueError(f"{which} is not a dense array of 1 to {MAX_DIMENSIONS} dimensions")
    shape = reader.numbers(f"{dimensions}q")
    *device, kind = reader.numbers("iii")
    if tuple(device) != CPU or kind not in DTYPES or min(shape) < 1:
        raise ValueError(f"{which} has device {device}, type {kind} and shape {shape}")
    dtype = np.dtype(DTYPES[kind])
    numbers = reader.bytes(math.prod(shape) * dtype.itemsize)
    return np.frombuffer(numbers, dtype.newbyteorder("<")).reshape(shape)


def _read_name(reader):
    name = reader.bytes(*reader.numbers("Q")).decode()  # UnicodeDecodeError is a ValueError
    if "\0" in name:  # where MXNet would end it
        raise ValueError(f"the name {name!a} holds a null character")
    return name


class _Reader:
    """Takes numbers and bytes from the front of a file's content; ValueError where it ends."""

    def __init__(self, content):
        self._content = memoryview(content)
        self._at = 0

    @property
    def left(self):
        """The number of bytes not taken yet."""
        return len(self._content) - self._at

    def bytes(self, count):
        """Take `count` bytes."""
        if count > self.left:
            raise ValueError("it is cut short")
        self._at += count
        return bytes(self._content[self._at - count : self._at])

    def numbers(self, kinds):
        """Take numbers of these kinds, as named by the struct module."""
        return struct.unpack(f"<{kinds}", self.bytes(struct.calcsize(f"<{kinds}")))

    def counted(self, count):
        """Return range(count); ValueError unless that many parts of at least 8 bytes can follow."""
        if count > self.left // 8:
            raise ValueError("it is cut short")
        return range(count)
