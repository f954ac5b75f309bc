"""Random folded weights: their shapes are the network's, and their activations stay in range."""

import numpy as np
import pytest

from models.folded_weights import random_weights
from models.mobilenet_v1 import BASE_WIDTHS, STRIDES, count_parameters, scaled_widths


@pytest.mark.parametrize("configuration", [BASE_WIDTHS, scaled_widths(0.2), (8, 16) * 7])
def test_random_weights_have_the_shapes_of_the_network(configuration):
    """The parameters are counted by formula: folding leaves one bias where BatchNorm had two."""
    weights = random_weights(configuration, 10, np.random.default_rng(0))
    count = sum(layer.kernel.size + layer.bias.size for layer in weights.convolutions)
    count += weights.classifier_weight.size + weights.classifier_bias.size
    norms = sum(configuration) + sum(configuration[:-1])  # one scale per channel less
    assert count == count_parameters(configuration, 10) - norms
    depthwise = weights.convolutions[1::2]
    pointwise = weights.convolutions[2::2]
    assert [layer.stride for layer in depthwise] == list(STRIDES[1:])
    assert [layer.groups for layer in depthwise] == list(configuration[:-1])
    assert [layer.kernel.shape[0] for layer in pointwise] == list(configuration[1:])
    assert {layer.stride for layer in pointwise} == {1}


def test_the_same_generator_gives_the_same_weights():
    first, second = (random_weights((8,) * 14, 4, np.random.default_rng(3)) for _ in range(2))
    for one, other in zip(first.convolutions, second.convolutions, strict=True):
        np.testing.assert_array_equal(one.kernel, other.kernel)
