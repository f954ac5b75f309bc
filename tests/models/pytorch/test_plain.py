"""The PyTorch net against counts by formula, hooks on its own layers, and NumPy convolutions."""

import numpy as np
import pytest
import torch
from torch import nn

from models.pytorch.plain import PlainNet, convolutions, folded_weights, initialised
from nas.search_space import SearchSpace
from networks.mobilenet_v1 import BASE_WIDTHS
from networks.mobilenet_v1 import network as mobilenet_v1
from tests.helpers.randomized import randomized_net
from utils.errors import UserError

TINY = (8, 16, 8, 24, 8, 16, 8, 8, 16, 8, 8, 8, 24, 16)
CONFIGURATIONS = [
    TINY,
    mobilenet_v1(2).scaled(0.25),
    SearchSpace().draw_uniform(np.random.default_rng(0)),
]


@pytest.mark.parametrize("configuration", [BASE_WIDTHS, *CONFIGURATIONS])
def test_parameters_are_those_of_the_formula(configuration):
    net = PlainNet(mobilenet_v1(10), configuration)
    count = sum(parameter.numel() for parameter in net.parameters())
    assert count == mobilenet_v1(10).parameters(configuration)


@pytest.mark.parametrize("input_size", [32, 50])
@pytest.mark.parametrize("configuration", CONFIGURATIONS)
def test_macs_and_maps_are_those_of_the_formula(configuration, input_size):
    """Every convolution and the classifier is counted from its real output, by a hook."""
    net = PlainNet(mobilenet_v1(10), configuration).eval()
    macs, sides = [], []

    def count(module, inputs, output):
        macs.append(module.weight.numel() * output[0, 0].numel())
        sides.append(output.shape[-1])

    for module in net.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            module.register_forward_hook(count)
    with torch.no_grad():
        logits = net(torch.zeros(1, 3, input_size, input_size))
    macs[-1] = net.classifier.weight.numel()
    assert logits.shape == (1, 10)
    assert sum(macs) == net.network.macs(configuration, input_size)
    assert sides[0:1] + sides[2:-1:2] == net.network.map_sizes(input_size)[:-1]


def test_a_wrong_configuration_is_refused():
    with pytest.raises(UserError, match="configuration has 2 widths"):
        PlainNet(mobilenet_v1(10), (8, 8))


def convolve(images, kernel, bias, stride, groups):
    """Return a padded convolution by its definition; images (C, H, W), the twin of conv2d."""
    size = kernel.shape[-1]
    padded = np.pad(images, ((0, 0), (size // 2,) * 2, (size // 2,) * 2))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (size, size), axis=(1, 2))
    windows = windows[:, ::stride, ::stride]
    channels, outputs = len(images) // groups, len(kernel) // groups
    maps = [
        np.einsum(
            "chwij,ocij->ohw",
            windows[g * channels : (g + 1) * channels],
            kernel[g * outputs : (g + 1) * outputs],
        )
        for g in range(groups)
    ]
    return np.concatenate(maps) + bias[:, None, None]


def test_folded_weights_compute_what_the_net_computes():
    """A NumPy net of the folded arrays is the oracle; BatchNorm has statistics and shifts."""
    net = randomized_net(TINY, 5)
    weights = folded_weights(net)
    images = np.random.default_rng(0).standard_normal((3, 33, 33))
    with torch.no_grad():
        logits = net(torch.from_numpy(images[None]).float())[0].numpy()
    value = images
    for step, layer in zip(net.network.convolutions, weights.convolutions, strict=True):
        value = convolve(value, layer.kernel, layer.bias, step.stride, layer.groups(step))
        value = np.maximum(0, value)
    expected = weights.classifier_weight @ value.mean((1, 2)) + weights.classifier_bias
    assert len(weights.convolutions) == 27
    assert weights.classes == 5
    np.testing.assert_allclose(logits, expected, rtol=1e-4, atol=1e-4 * np.abs(expected).max())


def test_folding_needs_evaluation_mode_and_leaves_the_net_as_it_was():
    net = randomized_net(TINY, 5)
    before = [parameter.clone() for parameter in net.parameters()]
    folded_weights(net)
    assert all(map(torch.equal, before, net.parameters()))
    with pytest.raises(ValueError, match="evaluation mode"):
        folded_weights(net.train())


def test_training_starts_from_the_gluon_nets_distributions():
    """Oracle: the deviations of He et al. 2015 by fan-in; the same seed gives the same numbers."""
    net = initialised(PlainNet(mobilenet_v1(1000), BASE_WIDTHS), seed=1)
    for conv, _ in convolutions(net):
        wanted = (2 / conv.weight[0].numel()) ** 0.5
        assert conv.weight.std().item() == pytest.approx(wanted, rel=0.15)
    assert len(convolutions(net)) == 27
    assert net.classifier.weight.std().item() == pytest.approx(0.01, rel=0.01)
    assert not net.classifier.bias.any()
    again = initialised(PlainNet(mobilenet_v1(1000), BASE_WIDTHS), seed=1).state_dict()
    assert all(torch.equal(again[name], array) for name, array in net.state_dict().items())
