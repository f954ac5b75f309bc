"""The check of an exported network against the one that was trained."""

import json
import sys

import numpy as np
import onnx
import pytest
import torch

from models.pytorch.plain import folded_weights
from pipeline.final.onnx_export import check_onnxruntime, export_onnx
from tests.helpers.randomized import randomized_net
from utils.errors import UserError
from utils.images.transforms import preprocessing

IMAGES = np.random.default_rng(0).standard_normal((4, 3, 32, 32), dtype=np.float32)


def export(path, factor=1.0, name="é"):
    """Export a network that claims logits of `factor` times its own; return the difference."""
    net = randomized_net((8,) * 14, 5)

    def logits(images):
        with torch.no_grad():
            return factor * net(torch.from_numpy(images)).numpy()

    about = {"classes": ["a", "b", "c", "d", name]}
    return export_onnx(path, folded_weights(net), preprocessing(32, 0.8), about, IMAGES, logits)


def test_a_right_export_is_kept_and_tells_how_to_use_it(tmp_path):
    """Oracle: the words that were given, read back by onnx."""
    assert export(tmp_path / "n.onnx") < 1e-5
    texts = {e.key: json.loads(e.value) for e in onnx.load(tmp_path / "n.onnx").metadata_props}
    assert texts["classes"][4] == "é"
    assert texts["preprocessing"] == preprocessing(32, 0.8)
    assert (texts["opset"], texts["input_size"]) == (17, 32)


def test_no_class_name_ends_an_export(tmp_path):
    """Oracle: a name that is not UTF-8, as Python reads it from a file system, and back."""
    export(tmp_path / "n.onnx", name="caf\udce9")
    texts = {e.key: json.loads(e.value) for e in onnx.load(tmp_path / "n.onnx").metadata_props}
    assert texts["classes"][4] == "caf\udce9"


def test_a_missing_onnxruntime_is_named(monkeypatch):
    """Oracle: the package's name in the line; None in sys.modules is what cannot be imported."""
    check_onnxruntime()
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(UserError, match="needs onnxruntime"):
        check_onnxruntime()


@pytest.mark.parametrize("factor", [1.002, np.nan])
def test_a_wrong_export_is_refused_and_removed(tmp_path, factor):
    """Oracle: 0.2 % of the logits' size is more than the 0.1 % that are allowed."""
    with pytest.raises(UserError, match=r"n\.onnx: ONNX Runtime's logits differ"):
        export(tmp_path / "n.onnx", factor)
    assert not list(tmp_path.iterdir())


def test_smaller_differences_are_told(tmp_path):
    assert export(tmp_path / "n.onnx", 1.0005) == pytest.approx(5e-4, rel=0.05)
