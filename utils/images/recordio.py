"""The RecordIO format of MXNet, without MXNet: images and their labels in one file.

A .rec file is a chain of records: magic number, 3 bits for split records and 29 bits of length,
the payload, padding to 4 bytes. So that the magic number occurs only where a record begins, a
payload is split wherever it contains one (at a multiple of 4 bytes), and the number is left out.
The payload of an image begins with a flag, a float label and two numbers. A flag of 0 means this
label; a flag of N means that N float labels follow and replace it.
Source: the file format of MXNet's recordio and its image header.
"""

import os
import struct
from pathlib import Path

import numpy as np

from utils.errors import UserError
from utils.progress import progress_bar

MAGIC = 0xCED7230A
MAGIC_BYTES = struct.pack("<I", MAGIC)
FRAME = struct.Struct("<II")  # magic number; split bits and length
IMAGE = struct.Struct("<IfQQ")  # flag, label, two identifiers
CUT = "the file ends within this image, it was cut"
LABEL = struct.Struct("<f")  # one of those that follow
GREATEST_LABEL = 1 << 24  # a float32 cannot count further
OFFSET_DIGITS = 18  # in an index; no file is long enough for more
LONGEST = (1 << 29) - 1  # bytes of a payload
WHOLE, FIRST, MIDDLE, LAST = range(4)  # the split bits of a record's parts


def read_labels(rec, idx):
    """Return the label of every image of a RecordIO file, int array (n,), in the index's order.

    rec, idx: paths of the records and of their index, lines of "key <tab> offset"
    Raises UserError that names the file and line or record that is missing, truncated or damaged.
    """
    offsets = read_index(idx)
    if not Path(rec).is_file():
        raise UserError(f"{rec} does not exist")
    labels = np.empty(len(offsets), dtype=np.int64)
    with open(rec, "rb", buffering=0) as file:
        size = os.fstat(file.fileno()).st_size
        progress = progress_bar(offsets, desc=f"checking {rec}", unit="image", delay=2, leave=False)
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
        if len(fields[1].strip()) > OFFSET_DIGITS:
            raise UserError(f"{idx}, line {number + 1}: no file is so long as its offset")
        offsets[number] = int(fields[1])
    if not lines:
        raise UserError(f"{idx} is empty")
    return offsets


def read_record(descriptor, offset):
    """Return the bytes of the image in the record at an offset of an open file.

    Does not move the file's position, so that processes can share the descriptor.
    Raises ValueError if there is no whole record.
    """
    parts = []
    for start, length in _parts(descriptor, offset):
        parts.append(os.pread(descriptor, length, start))
        if len(parts[-1]) < length:
            raise ValueError(CUT)
    payload = MAGIC_BYTES.join(parts)
    flag = int.from_bytes(payload[:4], "little")
    return payload[IMAGE.size + LABEL.size * flag :]


def image_record(image, label, identifier):
    """Return the record of an image with one label, as bytes; ValueError if it is too long."""
    payload = IMAGE.pack(0, label, identifier, 0) + image
    if len(payload) > LONGEST:
        raise ValueError(f"{len(payload)} bytes are more than a record holds, {LONGEST}")
    parts = _split_at_magic(payload)
    splits = [FIRST, *[MIDDLE] * (len(parts) - 2), LAST] if len(parts) > 1 else [WHOLE]
    return b"".join(
        FRAME.pack(MAGIC, split << 29 | len(part)) + part + bytes(-len(part) % 4)
        for split, part in zip(splits, parts, strict=True)
    )


def _split_at_magic(payload):
    """Return the parts of a payload between the magic numbers at multiples of 4 bytes."""
    parts, start, found = [], 0, payload.find(MAGIC_BYTES)
    while found >= 0:
        if found % 4 == 0:
            parts.append(payload[start:found])
            start = found + 4
        found = payload.find(MAGIC_BYTES, max(start, found + 1))
    return [*parts, payload[start:]]


def _check_record(descriptor, offset, size):
    """Return the label of the record at an offset; ValueError if it is not a whole image."""
    head = os.pread(descriptor, FRAME.size + IMAGE.size + LABEL.size, offset)
    if len(head) < FRAME.size + IMAGE.size:
        raise ValueError("the file ends here, it was cut or belongs to another index")
    flag, label = IMAGE.unpack_from(head, FRAME.size)[:2]
    split, length = _frame(head)
    if split not in (WHOLE, FIRST) or length < IMAGE.size:
        raise ValueError("no image begins here, the file is damaged or belongs to another index")
    if flag > 1:
        raise ValueError(f"it has {flag} labels, expected one")
    for start, length in _parts(descriptor, offset):
        if start + length > size:
            raise ValueError(CUT)
    if flag:
        label = _first_label(head[FRAME.size + IMAGE.size :])
    if not (0 <= label <= GREATEST_LABEL and label.is_integer()):
        raise ValueError(f"its label is {label:g}, expected a class number")
    return int(label)


def _first_label(follows):
    if len(follows) < LABEL.size:
        raise ValueError(CUT)
    return LABEL.unpack(follows)[0]


def _parts(descriptor, offset):
    """Yield (start, length) of each part of the payload of the record at an offset."""
    split = FIRST
    while split not in (WHOLE, LAST):
        head = os.pread(descriptor, FRAME.size, offset)
        if len(head) < FRAME.size:
            raise ValueError(CUT)
        split, length = _frame(head)
        yield offset + FRAME.size, length
        offset += FRAME.size + length + -length % 4


def _frame(head):
    magic, split_and_length = FRAME.unpack_from(head)
    if magic != MAGIC:
        raise ValueError("no record begins here, the file is damaged or belongs to another index")
    return split_and_length >> 29, split_and_length & LONGEST
