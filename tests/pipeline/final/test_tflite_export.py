"""The check of a LiteRT file against the network that was trained, and what the file states."""

import json
import sys

import numpy as np
import pytest
import torch

from models.pytorch.plain import folded_weights
from pipeline.final.tflite_export import check_litert, export_tflite
from tests.helpers.randomized import randomized_net
from utils.errors import UserError
from utils.images.transforms import preprocessing

IMAGES = np.random.default_rng(0).standard_normal((4, 3, 32, 32), dtype=np.float32)


def export(path, factor=1.0):
    """Export a network that claims logits of `factor` times its own; return the difference."""
    pytest.importorskip("ai_edge_litert")
    net = randomized_net((8,) * 14, 5)

    def logits(images):
        with torch.no_grad():
            return factor * net(torch.from_numpy(images)).numpy()

    about = {"classes": ["a", "b", "c", "d", "é"]}
    return export_tflite(path, folded_weights(net), preprocessing(32, 0.8), about, IMAGES, logits)


def test_a_right_export_is_kept_and_tells_how_to_use_it(tmp_path):
    """Oracle: the words that were given, read back by the format's schema; NHWC, unlike ONNX."""
    assert export(tmp_path / "n.tflite") < 1e-5
    schema = pytest.importorskip("ai_edge_litert.schema_py_generated")
    model = schema.ModelT.InitFromPackedBuf((tmp_path / "n.tflite").read_bytes())
    data = {each.name.decode(): model.buffers[each.buffer].data for each in model.metadata}
    texts = {name: json.loads(array.tobytes()) for name, array in data.items()}
    assert texts == {
        "input_size": 32,
        "classes": ["a", "b", "c", "d", "é"],
        "preprocessing": preprocessing(32, 0.8) | {"layout": "NHWC"},
    }


@pytest.mark.parametrize("factor", [1.01, float("nan")])
def test_a_wrong_export_is_an_error_and_leaves_no_file(tmp_path, factor):
    with pytest.raises(UserError, match=r"n\.tflite: LiteRT's logits differ"):
        export(tmp_path / "n.tflite", factor)
    assert not list(tmp_path.iterdir())


def test_a_missing_litert_is_named_with_the_file_that_brings_it(monkeypatch):
    """Oracle: the names in the line; None in sys.modules is what cannot be imported."""
    for module in ("ai_edge_litert", "ai_edge_litert.interpreter"):
        monkeypatch.setitem(sys.modules, module, None)
    expected = "--export tflite needs ai_edge_litert .*: pip install -r requirements-litert.txt"
    with pytest.raises(UserError, match=expected):
        check_litert()
