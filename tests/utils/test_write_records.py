"""RecordIO files written from image folders, without MXNet."""

import os
import resource
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from models.gluon.runtime import mx
from tests.helpers.gray_images import write_folder
from utils.images.dataset import Recipe
from utils.images.folder import open_image_folder
from utils.images.record_classes import read_names
from utils.images.recordio import read_labels
from utils.write_records import main, write_records


def test_what_is_written_is_what_the_folder_holds(tmp_path):
    """Oracle: the folder; MXNet's own reader gives the files' bytes back."""
    root = write_folder(tmp_path / "images")
    main([str(root), str(tmp_path / "out" / "small")])
    for half, dataset in zip(("train", "val"), open_image_folder(root, Recipe(16), 0), strict=True):
        prefix = f"{tmp_path}/out/small_{half}"
        reader = mx.recordio.MXIndexedRecordIO(f"{prefix}.idx", f"{prefix}.rec", "r")
        assert reader.keys == list(range(len(dataset)))
        for index in reader.keys:
            header, content = mx.recordio.unpack(reader.read_idx(index))
            assert content == dataset.path(index).read_bytes()
            assert (header.label, header.id) == (dataset.labels[index], index)


def test_resize_stores_smaller_jpegs(tmp_path):
    """Oracle: the size of the stored images, and their gray."""
    train, _ = open_image_folder(write_folder(tmp_path / "images"), Recipe(16), seed=0)
    write_records(train, tmp_path / "r", resize=20)
    reader = mx.recordio.MXIndexedRecordIO(f"{tmp_path}/r.idx", f"{tmp_path}/r.rec", "r")
    _, image = mx.recordio.unpack_img(reader.read_idx(9))
    assert image.shape == (20, 24, 3)
    assert np.abs(image.astype(int) - 190).max() <= 2


@pytest.mark.parametrize("size", [(1, 2000), (9, 3000), (20_000, 2)])
def test_an_image_too_long_for_a_jpeg_is_left_out_and_named(tmp_path, capsys, size):
    """Oracle: 256 pixels times the sides' ratio are more than a JPEG has."""
    root = write_folder(tmp_path / "images")
    long = root / "train" / "light" / "3.png"
    Image.new("RGB", size).save(long)
    train, _ = open_image_folder(root, Recipe(16), seed=0)
    write_records(train, tmp_path / "r", resize=256)
    warnings = capsys.readouterr().err
    assert f"{long} is left out: resized it would have " in warnings
    assert "a JPEG has at most 65,500 a side" in warnings
    assert len(read_labels(tmp_path / "r.rec", tmp_path / "r.idx")) == 9


def test_the_longest_jpeg_is_written(tmp_path):
    """Oracle: Pillow's reader."""
    root = write_folder(tmp_path / "images", images=(1, 1))
    Image.new("RGB", (6550, 1)).save(root / "train" / "dark" / "0.png")
    train, _ = open_image_folder(root, Recipe(16), seed=0)
    write_records(train, tmp_path / "r", resize=10)
    reader = mx.recordio.MXIndexedRecordIO(f"{tmp_path}/r.idx", f"{tmp_path}/r.rec", "r")
    assert mx.recordio.unpack_img(reader.read_idx(0))[1].shape == (10, 65_500, 3)


@pytest.mark.parametrize("option", ["--resize 0", "--resize 1.5", "--quality -1"])
def test_bad_numbers_end_in_one_line(tmp_path, capsys, option):
    """Oracle: the option is in the line, status 2."""
    with pytest.raises(SystemExit) as caught:
        main([str(write_folder(tmp_path / "images")), str(tmp_path / "r"), *option.split()])
    assert caught.value.code == 2
    assert capsys.readouterr().err.startswith(f"error: argument {option.split()[0]}: ")


def test_names_of_classes_are_kept_beside_the_records(tmp_path):
    """Oracle: the names of the folders; those of an earlier folder are replaced."""
    (tmp_path / "r_val.classes.json").write_text('["old"]')
    main([str(write_folder(tmp_path / "images")), str(tmp_path / "r")])
    for half in ("train", "val"):
        assert read_names(tmp_path / f"r_{half}.rec") == ("dark", "light")


def test_broken_images_are_left_out_and_named(tmp_path, capsys):
    """Oracle: MXNet's reader finds all the others; a class without a good one keeps its label."""
    root = write_folder(tmp_path / "images")
    for path in (*(root / "train" / "dark").iterdir(), root / "train" / "light" / "3.png"):
        path.write_bytes(path.read_bytes()[:50])
    main([str(root), str(tmp_path / "r")])
    warnings = capsys.readouterr().err
    assert f"{root}/train/light/3.png is left out: " in warnings
    assert f"{tmp_path}/r_train.rec lacks 6 broken images" in warnings
    reader = mx.recordio.MXIndexedRecordIO(
        f"{tmp_path}/r_train.idx", f"{tmp_path}/r_train.rec", "r"
    )
    assert reader.keys == [5, 6, 7, 9]
    for index, name in zip(reader.keys, "0124", strict=True):
        header, content = mx.recordio.unpack(reader.read_idx(index))
        assert header.label == 1
        assert content == (root / "train" / "light" / f"{name}.png").read_bytes()


def test_a_folder_of_broken_images_writes_nothing(tmp_path, capsys):
    """Oracle: one line that names the folder, status 2, no file left behind."""
    root = write_folder(tmp_path / "images")
    for path in (root / "train").glob("*/*"):
        path.write_bytes(b"no image")
    with pytest.raises(SystemExit) as caught:
        main([str(root), str(tmp_path / "out" / "r")])
    assert caught.value.code == 2
    assert f"error: {root}/train: none of 10 images can be read" in capsys.readouterr().err
    assert not list((tmp_path / "out").iterdir())


def test_a_full_disk_keeps_the_last_good_files(tmp_path):
    """Oracle: the bytes from before, when writing stops half-way."""
    train, _ = open_image_folder(write_folder(tmp_path / "images"), Recipe(16), seed=0)
    prefix = tmp_path / "out" / "r"
    write_records(train, prefix)
    before = {path.name: path.read_bytes() for path in prefix.parent.iterdir()}
    assert before.keys() == {"r.rec", "r.idx"}
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(before["r.rec"]) // 2, hard))
    try:
        with pytest.raises(OSError, match=r"r\.rec"):
            write_records(train, prefix)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert {path.name: path.read_bytes() for path in prefix.parent.iterdir()} == before
    assert len(read_labels(f"{prefix}.rec", f"{prefix}.idx")) == 10


def test_no_index_stands_beside_records_that_it_is_not_of(tmp_path, monkeypatch):
    """A kill while the records are put in their place; oracle: the files that there are then."""
    train, _ = open_image_folder(write_folder(tmp_path / "images"), Recipe(16), seed=0)
    prefix, seen = tmp_path / "out" / "r", []
    write_records(train, prefix)
    replace = os.replace

    def killed(source, destination):
        seen.append(sorted(path.name for path in prefix.parent.glob("r.*")))
        replace(source, destination)

    monkeypatch.setattr(os, "replace", killed)
    write_records(train, prefix)
    assert seen == [["r.rec"], ["r.rec"]]
    assert len(read_labels(f"{prefix}.rec", f"{prefix}.idx")) == 10


def test_the_command_needs_no_framework(tmp_path):
    """Oracle: the modules that a process has loaded after it wrote files."""
    root = write_folder(tmp_path / "images")
    code = (
        "import sys; from utils.write_records import main; main(sys.argv[1:])\n"
        "assert not {'mxnet', 'torch'} & sys.modules.keys()"
    )
    command = [sys.executable, "-c", code, str(root), str(tmp_path / "r")]
    subprocess.run(command, check=True, capture_output=True)
    assert len(read_labels(tmp_path / "r_val.rec", tmp_path / "r_val.idx")) == 8
