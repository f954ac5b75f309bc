"""The ONNX graph, run by each runtime, against the PyTorch net whose weights it holds."""

import numpy as np
import onnx
import pytest
import torch

from models.folded_weights import random_weights
from models.onnx_graph import serialize
from models.pytorch.plain import folded_weights
from nas.search_space import SearchSpace
from networks.mobilenet_v1 import network as mobilenet_v1
from tests.helpers.randomized import randomized_net

CONFIGURATIONS = [
    mobilenet_v1(2).scaled(0.25),
    SearchSpace().draw_uniform(np.random.default_rng(1)),
    SearchSpace().draw_uniform(np.random.default_rng(2)),
]


def run_onnxruntime(model, images):
    onnxruntime = pytest.importorskip("onnxruntime")
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    return session.run(None, {"images": images})[0]


def run_openvino(model, images):
    openvino = pytest.importorskip("openvino")
    core = openvino.Core()
    options = {"INFERENCE_PRECISION_HINT": "f32"}
    compiled = core.compile_model(core.read_model(model), "CPU", options)
    return compiled.create_infer_request().infer([images])[0]


@pytest.mark.parametrize("run", [run_onnxruntime, run_openvino])
@pytest.mark.parametrize("configuration", CONFIGURATIONS)
@pytest.mark.parametrize(("batch_size", "input_size"), [(1, 64), (3, 50)])
def test_outputs_agree_with_pytorch(run, configuration, batch_size, input_size):
    net = randomized_net(configuration, 20)
    model = serialize(folded_weights(net), batch_size, input_size)
    shape = (batch_size, 3, input_size, input_size)
    images = np.random.default_rng(0).standard_normal(shape, dtype=np.float32)
    with torch.no_grad():
        expected = net(torch.from_numpy(images)).numpy()
    scale = np.abs(expected).max()
    np.testing.assert_allclose(run(model, images), expected, rtol=1e-4, atol=1e-4 * scale)


def test_the_graph_is_valid_onnx():
    weights = random_weights(
        mobilenet_v1(10), mobilenet_v1(2).scaled(0.2), np.random.default_rng(0)
    )
    model = onnx.load_from_string(serialize(weights, 2, 32))
    onnx.checker.check_model(model, full_check=True)
    (images,), (logits,) = model.graph.input, model.graph.output
    assert [d.dim_value for d in images.type.tensor_type.shape.dim] == [2, 3, 32, 32]
    assert [d.dim_value for d in logits.type.tensor_type.shape.dim] == [2, 10]


def test_activations_of_random_weights_neither_grow_nor_vanish():
    """27 layers deep the logits keep the size of the input: a runtime meets no denormals."""
    weights = random_weights(mobilenet_v1(10), mobilenet_v1(2).scaled(1), np.random.default_rng(0))
    images = np.random.default_rng(1).standard_normal((1, 3, 64, 64), dtype=np.float32)
    logits = run_onnxruntime(serialize(weights, 1, 64), images)
    assert 0.05 < np.abs(logits).mean() < 50
