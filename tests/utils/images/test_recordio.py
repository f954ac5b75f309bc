"""The RecordIO format: the same bytes as MXNet's, and damages that are named."""

import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.gluon.runtime import mx
from utils.errors import UserError
from utils.images.recordio import (
    MAGIC,
    MAGIC_BYTES,
    image_record,
    read_index,
    read_labels,
    read_record,
)


def record(label, payload=b"image", flag=0):
    """Return a record by the format's definition: magic, length, image header, padding."""
    content = struct.pack("<IfQQ", flag, label, 1, 0) + payload
    return struct.pack("<II", MAGIC, len(content)) + content + bytes(-len(content) % 4)


def write(folder, records):
    """Write records and their index; return both paths and the offsets."""
    rec, idx = folder / "a.rec", folder / "a.idx"
    offsets = [sum(map(len, records[:n])) for n in range(len(records))]
    rec.write_bytes(b"".join(records))
    idx.write_text("".join(f"{n}\t{offset}\n" for n, offset in enumerate(offsets)))
    return rec, idx, offsets


@settings(max_examples=50)
@given(st.lists(st.tuples(st.integers(0, 2000), st.binary(max_size=9)), min_size=1, max_size=8))
def test_labels_are_read(tmp_path_factory, images):
    """Oracle: records packed by hand, of any length and padding."""
    folder = tmp_path_factory.mktemp("records")
    rec, idx, _ = write(folder, [record(label, payload) for label, payload in images])
    assert read_labels(rec, idx).tolist() == [label for label, _ in images]


def test_a_record_that_is_split_at_a_magic_number_is_read(tmp_path):
    """Oracle: the writer's rule: payloads with the magic number are split into parts 1, 2, 3."""
    head = struct.pack("<IfQQ", 0, 5.0, 1, 0)
    parts = b"".join(
        struct.pack("<II", MAGIC, split << 29 | len(part)) + part + bytes(-len(part) % 4)
        for split, part in ((1, head + b"ab"), (2, b"cdefgh"), (3, b"ijk"))
    )
    rec, idx, offsets = write(tmp_path, [parts, record(7)])
    assert read_labels(rec, idx).tolist() == [5, 7]
    rec.write_bytes(rec.read_bytes()[: offsets[1] - 8])
    idx.write_text("0\t0\n")
    with pytest.raises(UserError, match=r"a\.rec, image 1 of 1, byte 0: .* cut"):
        read_labels(rec, idx)


pieces = st.sampled_from([MAGIC_BYTES, b"a", b"bcd", MAGIC_BYTES[:2]])


@settings(max_examples=60)
@given(st.lists(st.lists(pieces, max_size=12).map(b"".join), min_size=1, max_size=4))
def test_mxnet_writes_and_reads_the_same_bytes(tmp_path_factory, images):
    """Oracle: MXNet's own writer and reader, on images in which the magic number stands often."""
    folder = tmp_path_factory.mktemp("records")
    theirs = mx.recordio.MXIndexedRecordIO(f"{folder}/b.idx", f"{folder}/b.rec", "w")
    for number, image in enumerate(images):
        header = mx.recordio.IRHeader(0, number, number, 0)
        theirs.write_idx(number, mx.recordio.pack(header, image))
    theirs.close()
    rec, idx, offsets = write(
        folder, [image_record(image, number, number) for number, image in enumerate(images)]
    )
    assert rec.read_bytes() == (folder / "b.rec").read_bytes()
    assert read_index(folder / "b.idx").tolist() == offsets
    assert read_labels(rec, idx).tolist() == list(range(len(images)))
    reader = mx.recordio.MXIndexedRecordIO(str(idx), str(rec), "r")
    with open(rec, "rb") as file:
        for number, offset in enumerate(offsets):
            image = read_record(file.fileno(), offset)
            assert image == images[number] == mx.recordio.unpack(reader.read_idx(number))[1]


def test_an_image_that_no_record_can_hold_is_refused(monkeypatch):
    """Oracle: the format's limit, lowered."""
    monkeypatch.setattr("utils.images.recordio.LONGEST", 30)
    assert len(image_record(bytes(6), 0, 0)) == 8 + 32
    with pytest.raises(ValueError, match="31 bytes are more than a record holds, 30"):
        image_record(bytes(7), 0, 0)


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (b"", "the file ends here"),
        (record(1)[:-5], "the file ends within this image"),
        (b"\0" * 50, "no record begins here"),
        (record(1, flag=2), "it has 2 labels"),
        (record(1.5), r"its label is 1\.5"),
        (record(-1), r"its label is -1"),
        (record(float("nan")), "its label is nan"),
        (record(1e30), r"its label is 1e\+30"),
        (record(0, struct.pack("<f", 0.5), flag=1), r"its label is 0\.5"),
        (record(0, b"", flag=1), "the file ends within this image"),
        (struct.pack("<II", MAGIC, 3 << 29 | 30) + bytes(50), "no image begins here"),
        (struct.pack("<II", MAGIC, 4) + bytes(50), "no image begins here"),
    ],
)
def test_damaged_records_are_named(tmp_path, bad, message):
    """Oracle: the file, the image's number and its offset are in the message."""
    rec, idx, offsets = write(tmp_path, [record(0), record(1), bad])
    with pytest.raises(UserError, match=f"a.rec, image 3 of 3, byte {offsets[2]}: .*{message}"):
        read_labels(rec, idx)


BEYOND = "0\t0\n1\t99999999999999999999\n"  # 2**63 is 19 digits long


@pytest.mark.parametrize("text", ["0 0\n", "0\t0\nx\t5\n", "0\t-4\n", "0\n", "\n", BEYOND])
def test_damaged_indices_are_named(tmp_path, text):
    """Oracle: the index file and the line are in the message."""
    rec, idx, _ = write(tmp_path, [record(0)])
    idx.write_text(text)
    with pytest.raises(UserError, match=rf"a\.idx, line {text.count(chr(10))}: (expected|no file)"):
        read_labels(rec, idx)


def test_missing_and_empty_files_are_named(tmp_path):
    """Oracle: the path is in the message."""
    rec, idx, _ = write(tmp_path, [record(0)])
    with pytest.raises(UserError, match=r"b\.rec does not exist"):
        read_labels(tmp_path / "b.rec", idx)
    with pytest.raises(UserError, match=r"b\.idx does not exist"):
        read_labels(rec, tmp_path / "b.idx")
    idx.write_text("")
    with pytest.raises(UserError, match=r"a\.idx is empty"):
        read_labels(rec, idx)
    idx.write_bytes(b"\xff\xfe")
    with pytest.raises(UserError, match=r"a\.idx is not an index"):
        read_labels(rec, idx)
