"""Image files are opened by decoders of pixels only, and 16-bit grays keep their brightness."""

import ast
import os
import re
import struct
import subprocess
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import EpsImagePlugin, Image

from models.gluon.runtime import mx
from tests.helpers.gray_images import write_folder
from utils.images.broken import BROKEN, BrokenImage
from utils.images.files import read_image
from utils.images.open_dataset import open_dataset
from utils.images.recordio import image_record
from utils.write_records import main

ROOT = Path(__file__).resolve().parents[3]
POSTSCRIPT = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 20 20\n%%EndComments\n%%EOF\n"


@pytest.fixture
def called(tmp_path, monkeypatch):
    """Return the file in which a stand-in for Ghostscript, first on the PATH, notes its calls."""
    notes, program = tmp_path / "called", tmp_path / "bin" / "gs"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\necho "$@" >> {notes}\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    monkeypatch.setattr(EpsImagePlugin, "gs_binary", None)  # Pillow looks for it once
    return notes


def test_the_stand_in_is_what_pillow_would_start(called, tmp_path):
    """Oracle: Pillow itself, without a choice of formats; it shows that the next tests can fail."""
    (tmp_path / "x.png").write_bytes(POSTSCRIPT)
    with pytest.raises((OSError, subprocess.CalledProcessError)):
        Image.open(tmp_path / "x.png").load()
    assert called.exists()


def test_postscript_in_a_folder_is_a_broken_image(called, tmp_path, capsys):
    """Oracle: Ghostscript's stand-in was not called; the file is named by what writes records."""
    root = write_folder(tmp_path / "images")
    path = root / "train" / "dark" / "2.png"
    path.write_bytes(POSTSCRIPT)
    train, _ = open_dataset(root, 16, seed=0)
    assert [train[0, index][1] for index in range(4)] == [0, 0, BROKEN, 0]
    assert train.why_broken(2).startswith("cannot identify it as one of BMP, GIF, JPEG, PNG")
    for number, option in enumerate(([], ["--resize", "20"])):
        main([str(root), str(tmp_path / f"r{number}"), *option])
        assert f"{path} is left out: cannot identify" in capsys.readouterr().err
        assert len(open_dataset(tmp_path / f"r{number}", 16, seed=0)[0]) == 9
    assert not called.exists()


def test_postscript_in_a_record_is_a_broken_image(called, tmp_path):
    """Oracle: Ghostscript's stand-in was not called."""
    write_records_of(tmp_path, [POSTSCRIPT])
    train, _ = open_dataset(tmp_path / "r", 16, seed=0)
    assert train[0, 0][1] == BROKEN
    assert not called.exists()


def test_a_decompression_bomb_is_a_broken_image(tmp_path):
    """Oracle: a PNG of 45 bytes that claims a billion pixels; it is refused before decoding."""
    head = struct.pack(">II5B", 32_000, 32_000, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", head), (b"IDAT", b""))
    content = b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in chunks
    )
    (tmp_path / "x.png").write_bytes(b"\x89PNG\r\n\x1a\n" + content)
    with pytest.raises(BrokenImage, match="decompression bomb"):
        read_image(tmp_path / "x.png")


def write_records_of(folder, contents):
    for half in ("train", "val"):
        records = [image_record(content, 0, 0) for content in contents]
        (folder / f"r_{half}.rec").write_bytes(b"".join(records))
        offsets = [sum(map(len, records[:n])) for n in range(len(records))]
        index = "".join(f"{n}\t{offset}\n" for n, offset in enumerate(offsets))
        (folder / f"r_{half}.idx").write_text(index)


def test_no_other_code_opens_images():
    """Oracle: the syntax trees of all files: who calls Image.open, and with which formats."""
    calls = {}
    for path in (*ROOT.glob("*.py"), *(p for d in CODE for p in (ROOT / d).rglob("*.py"))):
        text = path.read_text()
        assert not re.search(r"imread|imdecode|ImageRecordIter|mx\.image", text), path
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "Image.open":
                calls[path.relative_to(ROOT).as_posix()] = [k.arg for k in node.keywords]
    assert calls.pop("utils/images/files.py") == ["formats"]
    assert all(keywords == ["formats"] for keywords in calls.values())


CODE = ("utils", "models", "nas", "benchmarks", "examples")


RAMP = np.tile(np.arange(0, 65536, 999, dtype=np.uint16), (8, 1))


@pytest.mark.parametrize("suffix", ["png", "tif", "ppm"])
def test_16_bit_grays_are_what_mxnet_reads(tmp_path, suffix):
    """Oracle: MXNet's own reader; for the TIFF, which it lacks, the high bytes."""
    path = tmp_path / f"x.{suffix}"
    Image.fromarray(RAMP).save(path)
    pixels = np.asarray(read_image(path))
    assert np.array_equal(pixels, np.repeat((RAMP >> 8)[..., None], 3, axis=2))
    if suffix == "png":
        assert np.array_equal(pixels, mx.image.imread(str(path)).asnumpy())


def test_16_bit_colours_are_the_high_bytes(tmp_path):
    """Oracle: a PPM written by hand."""
    colours = np.stack([RAMP, RAMP[:, ::-1], RAMP // 2], axis=2).astype(">u2")
    head = f"P6 {RAMP.shape[1]} {RAMP.shape[0]} 65535\n".encode()
    (tmp_path / "x.ppm").write_bytes(head + colours.tobytes())
    assert np.abs(np.asarray(read_image(tmp_path / "x.ppm")) - colours / 257).max() <= 1


def test_big_endian_grays_are_the_high_bytes(tmp_path):
    """Oracle: a TIFF written by hand: header, pixels, and a directory of nine tags."""
    (height, width), data = RAMP.shape, RAMP.astype(">u2").tobytes()
    longs = {256: width, 257: height, 273: 8, 278: height, 279: len(data)}
    shorts = {258: 16, 259: 1, 262: 1, 277: 1}  # bits, no compression, black is 0, one channel
    tags = [(tag, 4, 1, value) for tag, value in longs.items()]
    tags += [(tag, 3, 1, value << 16) for tag, value in shorts.items()]
    directory = b"".join(struct.pack(">HHII", *tag) for tag in sorted(tags))
    head = b"MM\0*" + struct.pack(">I", 8 + len(data))
    path = tmp_path / "x.tif"
    path.write_bytes(head + data + struct.pack(">H", len(tags)) + directory + bytes(4))
    assert np.array_equal(np.asarray(read_image(path))[..., 1], RAMP >> 8)


@pytest.mark.parametrize(
    "pixels", [RAMP / np.float32(65535), RAMP.astype(np.int32)], ids=["float", "32 bits"]
)
def test_grays_without_a_known_white_are_refused(tmp_path, pixels):
    """Oracle: the reason is in the exception."""
    Image.fromarray(pixels).save(tmp_path / "x.tif")
    with pytest.raises(BrokenImage, match="its white is not known"):
        read_image(tmp_path / "x.tif")


def test_signed_and_inverted_tiffs_are_refused(tmp_path):
    """Oracle: a tag of a file, changed: sample format 2 is signed, photometric 0 inverted."""
    for tag, value in ((339, 2), (262, 0)):
        Image.fromarray(RAMP).save(tmp_path / "x.tif", tiffinfo={tag: value})
        with Image.open(tmp_path / "x.tif", formats=["TIFF"]) as image:
            assert image.tag_v2[tag] in (value, (value,))
        with pytest.raises(BrokenImage, match="its white is not known"):
            read_image(tmp_path / "x.tif")
