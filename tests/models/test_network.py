"""A network in the forms that devices ask for, and what it takes."""

import numpy as np

from models.network import Network
from models.onnx_file import OnnxFile
from networks.mobilenet_v1 import network as mobilenet_v1


def test_every_form_is_the_network(tmp_path):
    """Oracle: the widths, the sizes and the MACs that were asked for."""
    rng, path = np.random.default_rng(0), tmp_path / "n.onnx"
    network = Network(mobilenet_v1(10), mobilenet_v1(2).scaled(0.2), 32)
    assert not network.module().training
    assert network.module().configuration == network.configuration
    convolutions = network.folded_weights(rng).convolutions
    assert tuple(len(each.bias) for each in convolutions[::2]) == network.configuration
    path.write_bytes(network.onnx(4, rng))
    file = OnnxFile.load(path)
    assert (file.batch_size, file.input_size, file.classes, file.macs) == (4, 32, 10, network.macs)
    assert network.bytes(4) / 2 < file.bytes(4) < 2 * network.bytes(4)  # by its largest map


def test_bytes_against_a_count_by_hand():
    """All widths 8, 32×32, batch 4: the largest map is layer 2's, 8 + 8 channels of 16×16."""
    convolution, block, classifier = 9 * 3 * 8 + 16, (9 + 8) * 8 + 2 * 16, 9 * 10
    parameters = convolution + 13 * block + classifier
    expected = 4 * (2 * parameters + 3 * 4 * 16 * 16 * 16)
    assert Network(mobilenet_v1(10), (8,) * 14, 32).bytes(batch_size=4) == expected
