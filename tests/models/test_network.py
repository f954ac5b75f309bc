"""A network in the forms that devices ask for."""

import numpy as np
import onnx
import torch

from models.mobilenet_v1 import BASE_WIDTHS, scaled_widths
from models.network import Network
from models.onnx_file import OnnxFile

TINY = Network(scaled_widths(0.2), 32, 10)


def test_every_form_is_of_its_widths_and_classes():
    """Oracle: the widths, read back from the module and from both kinds of weights."""
    net = TINY.module()
    assert not net.training and net(torch.zeros(1, 3, 32, 32)).shape == (1, 10)
    assert net.configuration == TINY.configuration
    weights = TINY.folded_weights(np.random.default_rng(0))
    assert tuple(len(each.bias) for each in weights.convolutions[::2]) == TINY.configuration
    graph = onnx.load_from_string(TINY.onnx(4, np.random.default_rng(0))).graph
    kernels = {tensor.name: tensor for tensor in graph.initializer}
    assert kernels["kernel0"].raw_data == weights.convolutions[0].kernel.tobytes()
    assert [d.dim_value for d in graph.output[0].type.tensor_type.shape.dim] == [4, 10]


def test_bytes_against_a_count_by_hand():
    """All widths 8, 32×32, batch 4: the largest map is layer 2's, 8 + 8 channels of 16×16."""
    convolution, block, classifier = 9 * 3 * 8 + 16, (9 + 8) * 8 + 2 * 16, 9 * 10
    parameters = convolution + 13 * block + classifier
    expected = 4 * (2 * parameters + 3 * 4 * 16 * 16 * 16)
    assert Network((8,) * 14, 32, 10).bytes(batch_size=4) == expected


def test_a_file_that_tells_no_widths_counts_as_mobilenet(tmp_path):
    path = tmp_path / "n.onnx"
    path.write_bytes(TINY.onnx(None, np.random.default_rng(0)))
    assert OnnxFile.load(path).bytes(4) == Network(BASE_WIDTHS, 32, 10).bytes(4)
