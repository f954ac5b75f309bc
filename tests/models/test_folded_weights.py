"""Random folded weights: their shapes are the network's, and their activations stay in range."""

import numpy as np
import pytest

from models.folded_weights import random_weights
from networks.mobilenet_v1 import BASE_WIDTHS, STRIDES
from networks.mobilenet_v1 import network as mobilenet_v1


@pytest.mark.parametrize("configuration", [BASE_WIDTHS, mobilenet_v1(2).scaled(0.2), (8, 16) * 7])
def test_random_weights_have_the_shapes_of_the_network(configuration):
    """The parameters are counted by formula: folding leaves one bias where BatchNorm had two."""
    weights = random_weights(mobilenet_v1(10), configuration, np.random.default_rng(0))
    count = sum(layer.kernel.size + layer.bias.size for layer in weights.convolutions)
    count += weights.classifier_weight.size + weights.classifier_bias.size
    norms = sum(configuration) + sum(configuration[:-1])  # one scale per channel less
    assert count == mobilenet_v1(10).parameters(configuration) - norms
    steps = weights.network.convolutions
    depthwise = list(zip(steps, weights.convolutions, strict=True))[1::2]
    assert [step.stride for step, _ in depthwise] == list(STRIDES[1:])
    assert [layer.groups(step) for step, layer in depthwise] == list(configuration[:-1])
    assert [len(layer.kernel) for layer in weights.convolutions[2::2]] == list(configuration[1:])
    assert {step.stride for step in steps[2::2]} == {1}


def test_the_same_generator_gives_the_same_weights():
    first, second = (
        random_weights(mobilenet_v1(4), (8,) * 14, np.random.default_rng(3)) for _ in range(2)
    )
    for one, other in zip(first.convolutions, second.convolutions, strict=True):
        np.testing.assert_array_equal(one.kernel, other.kernel)
