"""ONNX files: sizes, costs and batch sizes, against formulas and hand-made graphs."""

import json

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper

from models.folded_weights import random_weights
from models.mobilenet_v1 import count_macs, count_parameters, scaled_widths
from models.onnx_file import OnnxFile
from models.onnx_mobilenet_v1 import serialize
from utils.errors import UserError

WIDTHS = scaled_widths(0.25)


def written(path, batch_size=None, metadata=None):
    """Write a network of random weights; return its path."""
    weights = random_weights(WIDTHS, 7, np.random.default_rng(0))
    path.write_bytes(serialize(weights, batch_size, 50, metadata))
    return str(path)


@pytest.mark.parametrize("batch_size", [None, 3])
def test_sizes_and_costs_are_the_networks(tmp_path, batch_size):
    """Oracle: the formulas; folding leaves one bias where BatchNorm had two parameters."""
    metadata = {"configuration": json.dumps(WIDTHS)}
    file = OnnxFile.load(written(tmp_path / "n.onnx", batch_size, metadata))
    assert (file.input_size, file.classes, file.batch_size) == (50, 7, batch_size)
    assert file.configuration == WIDTHS
    assert file.macs == count_macs(WIDTHS, 50, 7)
    norms = sum(WIDTHS) + sum(WIDTHS[:-1])
    assert file.parameters == count_parameters(WIDTHS, 7) - norms


def test_an_open_batch_is_fixed_and_a_fixed_one_stays(tmp_path):
    """Oracle: ONNX Runtime's logits of the file as it is."""
    path = written(tmp_path / "n.onnx")
    images = np.random.default_rng(0).standard_normal((4, 3, 50, 50), dtype=np.float32)
    fixed = onnxruntime.InferenceSession(OnnxFile.load(path).serialized(4))
    assert fixed.get_inputs()[0].shape == [4, 3, 50, 50]
    assert fixed.get_outputs()[0].shape == [4, 7]
    wanted = onnxruntime.InferenceSession(path).run(None, {"images": images})
    np.testing.assert_allclose(fixed.run(None, {"images": images}), wanted, rtol=1e-5, atol=1e-5)
    file = OnnxFile.load(written(tmp_path / "three.onnx", 3))
    with pytest.raises(UserError, match=r"three\.onnx is for batches of 3: give --batch-size 3"):
        file.serialized(4)


def test_metadata_come_back(tmp_path):
    """Oracle: the texts that were written; without widths there is no configuration."""
    texts = {"classes": '["a", "ß"]', "preprocessing": "{}"}
    file = OnnxFile.load(written(tmp_path / "n.onnx", None, texts))
    assert {entry.key: entry.value for entry in file.model.metadata_props} == texts
    assert file.configuration is None


def test_other_files_are_refused(tmp_path):
    """Oracle: what is wrong is in the message."""
    with pytest.raises(UserError, match=r"none\.onnx is not a file"):
        OnnxFile.load(tmp_path / "none.onnx")
    (tmp_path / "text.onnx").write_text("no model")
    with pytest.raises(UserError, match=r"text\.onnx is no ONNX model"):
        OnnxFile.load(tmp_path / "text.onnx")
    vector = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 5])
    output = helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 5])
    node = helper.make_node("Relu", ["x"], ["y"])
    graph = helper.make_graph([node], "vectors", [vector], [output])
    onnx.save(helper.make_model(graph), tmp_path / "vectors.onnx")
    with pytest.raises(UserError, match=r"expected images .*, found inputs \[\[1, 5\]\]"):
        OnnxFile.load(tmp_path / "vectors.onnx")
