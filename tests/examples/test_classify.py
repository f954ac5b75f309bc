"""The example that knows only an ONNX file gets the accuracy that train_final.py reported."""

import ast
import re
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from examples import classify
from tests.helpers.final_runs import train
from utils.images.open_dataset import open_dataset

SIZES = ((40, 40), (90, 41), (33, 70), (37, 37), (300, 38), (55, 2000), (20, 20), (64, 48))
CLASSES = ("blu", "verde", "così")


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    """Return an image folder of tinted noise in many sizes, shapes and modes, one file broken."""
    root, rng = tmp_path_factory.mktemp("tints"), np.random.default_rng(0)
    for half, count in (("train", 16), ("val", 26)):
        for c, name in enumerate(CLASSES):
            (root / half / name).mkdir(parents=True)
            for number in range(count):
                width, height = SIZES[number % len(SIZES)]
                pixels = rng.integers(0, 160, (height, width, 3))
                pixels[..., c] += 95
                picture(pixels, number).save(root / half / name / f"{number}.png")
    (root / "val" / "blu" / "3.png").write_bytes(b"no image")
    (root / "val" / "blu" / "notes.txt").write_text("no image either")
    return root


def picture(pixels, number):
    """Return an image: every third one of 16 bits, every fifth with a palette."""
    if number % 3 == 2:
        return Image.fromarray((pixels[..., 0] * 257 + number).astype(np.uint16))
    image = Image.fromarray(pixels.astype(np.uint8))
    return image.quantize(64) if number % 5 == 4 else image


OPTIONS = """--framework pytorch --configuration 0.25xMOBILENET --input-size 32 --batch-size 8 -j 0
    --seed 1 --lr 0.005 --num-epochs 3 --crop-ratio 0.87"""


@pytest.fixture(scope="module")
def learned(images, tmp_path_factory):
    """Return the best validation accuracy of a run on the images, and its ONNX file."""
    out = tmp_path_factory.mktemp("out")
    results = train(f"{OPTIONS} --data-dir {images}", out)
    return max(line["val_top1"] for line in results), out / "mobilenet-best.onnx"


@pytest.mark.parametrize("kind", ["onnx", "tflite"])
def test_the_accuracy_is_the_reported_one(learned, images, capsys, kind):
    """Oracle: results.jsonl; the broken image is named and counts in neither."""
    accuracy, network = learned
    if kind == "tflite":
        pytest.importorskip("ai_edge_litert")
        train(f"{OPTIONS} --data-dir {images} --resume-last --export tflite", network.parent)
        network = network.with_suffix(".tflite")
        capsys.readouterr()
    classify.main([str(network), str(images / "val")])
    output = capsys.readouterr()
    share, right, count = re.search(r"accuracy: (\S+), (\d+) of (\d+)", output.out).groups()
    assert int(count) == 3 * 26 - 1
    assert int(right) == round(accuracy * int(count))
    assert float(share) == pytest.approx(accuracy, abs=5e-5)
    assert output.err.count("warning: ") == 1
    assert f"{images}/val/blu/3.png is skipped" in output.err


def test_inputs_are_those_of_validation(images):
    """Oracle: the data set that train_final.py validates on, image by image."""
    _, val = open_dataset(images, 32, seed=0, crop_ratio=0.87)
    checked = 0
    for index in range(len(val)):
        if val.path(index).name != "3.png":
            found = classify.network_input(val.path(index), val.preprocessing)
            np.testing.assert_allclose(found, val[0, index][0], atol=2e-6)
            checked += 1
    assert checked == 75


def test_images_and_folders_without_classes_are_named_with_probabilities(learned, images, capsys):
    """Oracle: the probabilities of the three classes sum to 1; one line per image."""
    file = images / "val" / "così" / "0.png"
    classify.main([str(learned[1]), str(file), str(file.parent)])
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 27
    assert lines[0] == lines[1]
    found = re.findall(r"(\w+) ([\d.]+)%", lines[0].removeprefix(f"{file}: "))
    assert {name for name, _ in found} == set(CLASSES)
    assert sum(float(share) for _, share in found) == pytest.approx(100, abs=0.2)


def test_mistakes_are_named(learned, images, tmp_path, capsys):
    """Oracle: the name that is wrong is in the message."""
    (tmp_path / "classes" / "dogs").mkdir(parents=True)
    Image.new("RGB", (9, 9)).save(tmp_path / "classes" / "dogs" / "a.png")
    for kind in ("onnx", "tflite"):
        (tmp_path / f"x.{kind}").write_bytes(b"no network")
    for network, folder, message in (
        (learned[1], tmp_path / "classes", "'dogs' is none of the network's 3 classes"),
        (learned[1], tmp_path / "no.png", "none of the images can be read"),
        (tmp_path / "x.onnx", images, "x.onnx is no network of train_final.py"),
        (tmp_path / "x.tflite", images, "x.tflite is no network of train_final.py"),
    ):
        with pytest.raises(SystemExit):
            classify.main([str(network), str(folder)])
        assert message in capsys.readouterr().err


def test_it_imports_nothing_of_this_project():
    """Oracle: its syntax tree."""
    tree = ast.parse(Path(classify.__file__).read_text())
    imported = {
        name.partition(".")[0]
        for node in ast.walk(tree)
        for name in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [node.module]
            if isinstance(node, ast.ImportFrom)
            else []
        )
    }
    assert imported - sys.stdlib_module_names == {"PIL", "numpy", "onnxruntime", "ai_edge_litert"}
