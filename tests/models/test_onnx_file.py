"""ONNX files: sizes, costs and batch sizes, against formulas and hand-made graphs."""

import json

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper

from models.folded_weights import random_weights
from models.onnx_file import OnnxFile
from models.onnx_graph import serialize
from networks.mobilenet_v1 import network as mobilenet_v1
from tests.helpers.onnx_graphs import classifier, saved
from utils.errors import UserError

WIDTHS = mobilenet_v1(2).scaled(0.25)


def written(path, batch_size=None, metadata=None):
    """Write a network of random weights; return its path."""
    weights = random_weights(mobilenet_v1(7), WIDTHS, np.random.default_rng(0))
    path.write_bytes(serialize(weights, batch_size, 50, metadata))
    return str(path)


@pytest.mark.parametrize("batch_size", [None, 3])
def test_sizes_and_costs_are_the_networks(tmp_path, batch_size):
    """Oracle: the formulas; folding leaves one bias where BatchNorm had two parameters."""
    metadata = {"configuration": json.dumps(WIDTHS)}
    file = OnnxFile.load(written(tmp_path / "n.onnx", batch_size, metadata))
    assert (file.input_size, file.classes, file.batch_size) == (50, 7, batch_size)
    assert file.configuration == WIDTHS
    assert file.macs == mobilenet_v1(7).macs(WIDTHS, 50)
    norms = sum(WIDTHS) + sum(WIDTHS[:-1])
    assert file.parameters == mobilenet_v1(7).parameters(WIDTHS) - norms


def test_an_open_batch_is_fixed_and_a_fixed_one_stays(tmp_path):
    """Oracle: ONNX Runtime's logits of the file as it is."""
    path = written(tmp_path / "n.onnx")
    images = np.random.default_rng(0).standard_normal((4, 3, 50, 50), dtype=np.float32)
    fixed = onnxruntime.InferenceSession(OnnxFile.load(path).onnx(4))
    assert fixed.get_inputs()[0].shape == [4, 3, 50, 50]
    assert fixed.get_outputs()[0].shape == [4, 7]
    wanted = onnxruntime.InferenceSession(path).run(None, {"images": images})
    np.testing.assert_allclose(fixed.run(None, {"images": images}), wanted, rtol=1e-5, atol=1e-5)
    file = OnnxFile.load(written(tmp_path / "three.onnx", 3))
    with pytest.raises(UserError, match=r"three\.onnx is for batches of 3: give --batch-size 3"):
        file.onnx(4)


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
    with pytest.raises(UserError, match=r"text\.onnx is not an ONNX model"):
        OnnxFile.load(tmp_path / "text.onnx")
    vector = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 5])
    output = helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 5])
    node = helper.make_node("Relu", ["x"], ["y"])
    graph = helper.make_graph([node], "vectors", [vector], [output])
    onnx.save(helper.make_model(graph), tmp_path / "vectors.onnx")
    with pytest.raises(UserError, match=r"expected images .*, found inputs \[\[1, 5\]\]"):
        OnnxFile.load(tmp_path / "vectors.onnx")


def test_truncated_files_and_missing_weights_are_named(tmp_path):
    path = tmp_path / "n.onnx"
    content = classifier().SerializeToString()
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(UserError, match=r"n\.onnx is not an ONNX model"):
        OnnxFile.load(path)
    onnx.save(classifier(), path, save_as_external_data=True, location="weights", size_threshold=0)
    assert OnnxFile.load(path).classes == 10
    (tmp_path / "weights").unlink()
    with pytest.raises(UserError, match=r"n\.onnx .*weights"):
        OnnxFile.load(path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda g: g.input.add().CopyFrom(vector("more", [1])), r"\[\[N, 3, 32, 32\], \[1\]\]"),
        (
            lambda g: g.output.add().CopyFrom(vector("map", [1, 8, 16, 16])),
            r"outputs \[\[N, 10\], ",
        ),
        (lambda g: g.input[0].CopyFrom(vector("images", [1, 3, "H", "W"])), r"\[1, 3, H, W\]"),
        (lambda g: g.input[0].CopyFrom(vector("images", [3, 32, 32])), r"inputs \[\[3, 32, 32\]\]"),
        (lambda g: g.input[0].CopyFrom(vector("images", [])), r"inputs \[\[\]\]"),
    ],
    ids=["inputs", "outputs", "open sizes", "no batch", "no axes"],
)
def test_other_shapes_are_shown(tmp_path, change, message):
    """Oracle: the shapes as they were written."""
    model = classifier()
    change(model.graph)
    with pytest.raises(UserError, match=rf"n\.onnx: expected images .*{message}"):
        OnnxFile.load(saved(model, tmp_path / "n.onnx"))


def vector(name, shape):
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)


def test_images_that_are_no_numbers_are_refused(tmp_path):
    path = saved(classifier(TensorProto.STRING), tmp_path / "n.onnx")
    with pytest.raises(UserError, match=r"n\.onnx: its images are of type STRING"):
        OnnxFile.load(path)


def test_weights_that_old_files_list_as_inputs_keep_their_shapes(tmp_path):
    """Oracle: the sizes of the same network in the present form."""
    model = classifier()
    for weight in model.graph.initializer:
        model.graph.input.add().CopyFrom(vector(weight.name, weight.dims))
    file = OnnxFile.load(saved(model, tmp_path / "n.onnx"))
    assert (file.input_size, file.classes, file.batch_size) == (32, 10, None)
    assert onnxruntime.InferenceSession(file.onnx(2)).get_inputs()[0].shape == [2, 3, 32, 32]
