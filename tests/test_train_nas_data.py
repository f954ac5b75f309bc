"""train_nas.py on image folders and on record files, with broken images among them."""

import numpy as np
import pytest
from PIL import Image

import train_nas
from tests.helpers.search_runs import arguments, fails_with, results
from utils import write_records


def image_folder(root, classes=10):
    rng = np.random.default_rng(0)
    for half in ("train", "val"):
        for name in range(classes):
            folder = root / half / f"class{name}"
            folder.mkdir(parents=True)
            for number in range(2):
                pixels = rng.integers(256, size=(20, 24, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(folder / f"{number}.png")
    return root


def on_folder(model, root, folder, workers=0):
    options = arguments(model, folder, "-b", "10", "-j", str(workers), epochs=1)
    options[1] = str(root)
    return options


@pytest.mark.parametrize("workers", [0, 2])
def test_image_folders_are_trained_on(model, tmp_path, workers):
    root = image_folder(tmp_path / "images")
    train_nas.main(on_folder(model, root, tmp_path / "exp", workers))
    assert len(results(tmp_path / "exp")) == 1


@pytest.mark.parametrize("workers", [0, 2])
def test_broken_images_are_skipped_and_empty_folders_are_named(model, tmp_path, capsys, workers):
    """Oracle: the accuracy is a share of the validation images that are left."""
    root = image_folder(tmp_path / "images")
    broken = [root / half / "class3" / "1.png" for half in ("train", "val")]
    for path in broken:
        path.write_bytes(path.read_bytes()[:60])
    train_nas.main(on_folder(model, root, tmp_path / "exp", workers))
    warnings = capsys.readouterr().err
    for path in broken:
        assert warnings.count(f"warning: {path} is not a readable image and is skipped") == 1
    (line,) = results(tmp_path / "exp")
    good = sum(1 for _ in (root / "val").glob("*/*.png")) - 1
    assert line["accuracy"] * good == pytest.approx(round(line["accuracy"] * good))
    assert f"broken images skipped: 1 of {good + 1}" in warnings
    for path in (root / "train" / "class4").iterdir():
        path.unlink()
    message = fails_with(capsys, on_folder(model, root, tmp_path / "again", workers))
    assert "class4 has no images" in message


def test_record_files_are_trained_on(model, tmp_path):
    """Oracle: the same losses and answer as from the folder that they were written from."""
    root = image_folder(tmp_path / "images")
    write_records.main([str(root), str(tmp_path / "r")])
    for data, name in ((root, "folder"), (tmp_path / "r", "records")):
        train_nas.main(on_folder(model, data, tmp_path / name, 0))
    lines = [results(tmp_path / name)[0] for name in ("folder", "records")]
    for line in lines:
        del line["images_per_s"]
    assert lines[0] == lines[1]
