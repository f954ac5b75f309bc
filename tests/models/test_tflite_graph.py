"""The LiteRT graph, run by LiteRT, against the PyTorch net whose weights it holds."""

import numpy as np
import pytest
import torch
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter, OpResolverType

from models.description import Description
from models.folded_weights import random_weights
from models.operations import Add, Classify, Convolve, MaxPool, Width
from models.pytorch.plain import PlainNet, folded_weights
from models.tflite_graph import serialize
from networks import NETWORKS, open_network
from networks.mobilenet_v1 import network as mobilenet_v1
from tests.helpers.randomized import sensitive

WIDE, NARROW, OTHER = Width("a", 12), Width("b", 5), Width("c", 7)
UNUSUAL = Description(  # strides above the kernel, an even side with each, a pool without ReLU
    "Unusual",
    (
        MaxPool("first", kernel_size=5, stride=1),
        Convolve("stem", 3, WIDE, kernel_size=7, stride=3, linear=True),
        MaxPool("pool", kernel_size=3, stride=2),
        Convolve("wide", WIDE, NARROW, kernel_size=5, dw=True),
        Convolve("narrow", NARROW, NARROW, kernel_size=5, stride=2, dw=True, linear=True),
        Convolve("shortcut", NARROW, NARROW, kernel_size=1, stride=2, linear=True, of="wide"),
        Add("sum", to="narrow"),
        Convolve("last", NARROW, OTHER, kernel_size=3, stride=4),
        Classify(OTHER, 6),
    ),
    activation="relu6",
)


def images_of(batch_size, side):
    """Return random images, NCHW."""
    shape = (batch_size, 3, side, side)
    return np.random.default_rng(0).standard_normal(shape, dtype=np.float32)


def interpreter(model, batch_size, side, kernels=OpResolverType.AUTO):
    """Return LiteRT's interpreter of a model, run on images_of these sizes."""
    loaded = Interpreter(model_content=model, experimental_op_resolver_type=kernels)
    (images,) = loaded.get_input_details()
    loaded.resize_tensor_input(images["index"], (batch_size, side, side, 3), strict=True)
    loaded.allocate_tensors()
    loaded.set_tensor(images["index"], images_of(batch_size, side).transpose(0, 2, 3, 1))
    loaded.invoke()
    return loaded


def logits(model, batch_size, side):
    """Return LiteRT's logits of images_of these sizes."""
    loaded = interpreter(model, batch_size, side)
    return loaded.get_tensor(loaded.get_output_details()[0]["index"])


def net_of(network):
    """Return a PlainNet of random weights, narrow, whose logits depend on the image."""
    torch.manual_seed(0)
    return sensitive(PlainNet(network, network.scaled(0.25)), torch.from_numpy(images_of(4, 64)))


@pytest.mark.parametrize("name", [*NETWORKS, "unusual"])
def test_outputs_agree_with_pytorch(name):
    """To 1e-4 of the logits' size, with even and odd sides of the maps, and batches of 1 and 4."""
    network = UNUSUAL if name == "unusual" else open_network(name, 10)
    net = net_of(network)
    for batch_size, side in ((1, 64), (4, 50), (4, 33)):
        with torch.no_grad():
            wanted = net(torch.from_numpy(images_of(batch_size, side))).numpy()
        found = logits(serialize(folded_weights(net), batch_size, side), batch_size, side)
        assert np.abs(found - wanted).max() < 1e-4 * np.abs(wanted).max()
        assert batch_size == 1 or np.ptp(wanted, axis=0).max() > 0.1 * np.abs(wanted).max()


def test_an_open_batch_is_1_and_may_be_resized():
    """Oracle: the graphs of fixed batch sizes."""
    weights = folded_weights(net_of(open_network("resnet18", 10)))
    model = serialize(weights, None, 50)
    (images,) = Interpreter(model_content=model).get_input_details()
    assert images["shape"].tolist() == [1, 50, 50, 3]
    assert images["shape_signature"].tolist() == [-1, 50, 50, 3]
    for batch_size in (1, 3):
        fixed = serialize(weights, batch_size, 50)
        wanted = logits(fixed, batch_size, 50)
        np.testing.assert_allclose(logits(model, batch_size, 50), wanted, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", NETWORKS)
def test_xnnpack_runs_all_operators(name):
    """Oracle: LiteRT keeps no result of an operator that is within its delegate."""
    network = open_network(name, 10)
    weights = random_weights(network, network.scaled(0.25), np.random.default_rng(0))
    model = serialize(weights, 1, 64)
    loaded = interpreter(model, 1, 64)
    graph = schema.ModelT.InitFromPackedBuf(model).subgraphs[0]
    for operator in graph.operators[:-1]:
        with pytest.raises(ValueError, match="Tensor data is null"):
            loaded.get_tensor(operator.outputs[0])


def test_the_file_is_what_the_format_says():
    """Oracle: the format's description: identifier, version, alignment, shapes, batches."""
    network = mobilenet_v1(10)
    weights = random_weights(network, network.scaled(0.2), np.random.default_rng(0))
    content = serialize(weights, 2, 50, {"key": '"é"', "other": "2"})
    assert schema.Model.ModelBufferHasIdentifier(content, 0)
    model = schema.Model.GetRootAs(content)
    assert model.Version() == 3
    for number in range(1, model.BuffersLength()):
        data = model.Buffers(number).DataAsNumpy()
        assert (data.ctypes.data - np.frombuffer(content, np.uint8).ctypes.data) % 16 == 0
    texts = [model.Metadata(i) for i in range(model.MetadataLength())]
    stored = {t.Name(): model.Buffers(t.Buffer()).DataAsNumpy().tobytes() for t in texts}
    assert stored == {b"key": '"é"'.encode(), b"other": b"2"}
    graph = schema.ModelT.InitFromPackedBuf(content).subgraphs[0]
    (images,), (output,) = (
        [graph.tensors[i] for i in numbers] for numbers in (graph.inputs, graph.outputs)
    )
    assert (images.name, images.shape.tolist()) == (b"images", [2, 50, 50, 3])
    assert (output.name, output.shape.tolist()) == (b"logits", [2, 10])


def test_shapes_in_the_file_are_those_of_the_runtime():
    """Oracle: the shapes that LiteRT's own kernels compute for another batch size."""
    weights = random_weights(UNUSUAL, UNUSUAL.base_widths, np.random.default_rng(0))
    model = serialize(weights, None, 57)
    loaded = interpreter(model, 2, 57, OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES)
    graph = schema.ModelT.InitFromPackedBuf(model).subgraphs[0]
    found = {details["index"]: details["shape"].tolist() for details in loaded.get_tensor_details()}
    for operator in graph.operators:
        (number,) = operator.outputs
        assert found[number] == [2, *graph.tensors[number].shape.tolist()[1:]]
