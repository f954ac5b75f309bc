"""RecordIO files of images, checked without a framework: index, record headers, labels.

MXNet's reader ends the whole process at a damaged header or index, so both are checked first.
A .rec file is a chain of records: magic number, 3 bits for split records and 29 bits of length,
the payload, padding to 4 bytes. The payload of an image begins with a flag (the number of labels
that follow it, 0 for one label in place), a float label and two numbers.
Source: the file format of MXNet's recordio and its image header.
"""

import os
import struct
from pathlib import Path

import numpy as np
from tqdm import tqdm

from utils.errors import UserError

MAGIC = 0xCED7230A
FRAME = struct.Struct("<II")  # magic number; split bits and length
IMAGE = struct.Struct("<IfQQ")  # flag, label, two identifiers
WHOLE, FIRST, LAST = 0, 1, 3  # the split bits of a record's parts; a middle part has 2


def read_labels(rec, idx):
    """Return the label of every image of a RecordIO file, int array (n,), in the index's order.

    rec, idx: paths of the records and of their index, lines of "key <tab> offset"
    Raises UserError that names the file and line or record that is missing, cut or damaged.
    """
    offsets = read_index(idx)
    if not Path(rec).is_file():
        raise UserError(f"{rec} does not exist")
    labels = np.empty(len(offsets), dtype=np.int64)
    with open(rec, "rb", buffering=0) as file:
        size = os.fstat(file.fileno()).st_size
        progress = tqdm(offsets, desc=f"checking {rec}", unit="image", delay=2, leave=False)
        for number, offset in enumerate(progress):
            try:
                labels[number] = _check_record(file.fileno(), int(offset), size)
            except ValueError as error:
                raise UserError(
                    f"{rec}, image {number + 1} of {len(offsets)}, byte {offset}: {error}"
                ) from None
    return labels


def read_index(idx):
    """Return the offsets in bytes, int array (n,), of an index file's lines."""
    try:
        lines = Path(idx).read_text(encoding="ascii").splitlines()
    except FileNotFoundError:
        raise UserError(f"{idx} does not exist") from None
    except UnicodeDecodeError:
        raise UserError(f"{idx} is not an index of a RecordIO file") from None
    offsets = np.empty(len(lines), dtype=np.int64)
    for number, line in enumerate(lines):
        fields = line.split("\t")
        if len(fields) != 2 or not all(field.strip().isdigit() for field in fields):
            raise UserError(f"{idx}, line {number + 1}: expected 'key <tab> offset', got {line!r}")
        offsets[number] = int(fields[1])
    if not lines:
        raise UserError(f"{idx} is empty")
    return offsets


def _check_record(descriptor, offset, size):
    """Return the label of the record at an offset; ValueError if it is not a whole image."""
    head = os.pread(descriptor, FRAME.size + IMAGE.size, offset)
    if len(head) < FRAME.size + IMAGE.size:
        raise ValueError("the file ends here, it was cut or belongs to another index")
    flag, label = IMAGE.unpack_from(head, FRAME.size)[:2]
    split, length = _frame(head)
    if split not in (WHOLE, FIRST) or length < IMAGE.size:
        raise ValueError("no image begins here, the file is damaged or belongs to another index")
    if flag:
        raise ValueError(f"it has {flag} labels, expected one")
    if not (label >= 0 and label.is_integer()):
        raise ValueError(f"its label is {label}, expected a class number")
    end = offset + FRAME.size + length
    while split not in (WHOLE, LAST):
        end += -end % 4
        head = os.pread(descriptor, FRAME.size, end)
        if len(head) < FRAME.size:
            raise ValueError("the file ends within this image, it was cut")
        split, length = _frame(head)
        end += FRAME.size + length
    if end > size:
        raise ValueError("the file ends within this image, it was cut")
    return int(label)


def _frame(head):
    magic, split_and_length = FRAME.unpack_from(head)
    if magic != MAGIC:
        raise ValueError("no record begins here, the file is damaged or belongs to another index")
    return split_and_length >> 29, split_and_length & ((1 << 29) - 1)
