"""Sorted channels: the same function, in both frameworks; what matters comes first."""

import numpy as np
import pytest
import torch

from models.channel_order import EPSILON, importances, permuted, sorted_by_importance
from models.description import Description
from models.operations import Add, Classify, Convolve, Width
from models.pytorch.arrays import load_weights, network_arrays
from models.pytorch.plain import PlainNet
from models.trained_weights import TrainedWeights
from networks import NETWORKS, open_network
from tests.helpers.randomized import randomized

CLASSES = 7


def trained(name, dtype=torch.float64):
    """Return (a PyTorch net as if trained, its TrainedWeights)."""
    network = open_network(name, CLASSES)
    torch.manual_seed(0)
    net = randomized(PlainNet(network, network.scaled(0.2))).to(dtype)
    return net, TrainedWeights.of(network, list(network_arrays(net).values()))


def logits(net, dtype):
    images = torch.from_numpy(np.random.default_rng(0).standard_normal((4, 3, 48, 48)))
    with torch.no_grad():
        return net(images.to(dtype)).numpy()


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 1e-5)])
@pytest.mark.parametrize("name", NETWORKS)
def test_sorting_changes_no_output(name, dtype, tolerance):
    net, weights = trained(name, dtype)
    wanted = logits(net, dtype)
    ours = sorted_by_importance(weights)
    moved = [
        not np.array_equal(one.kernel, other.kernel)
        for one, other in zip(ours.convolutions, weights.convolutions, strict=True)
    ]
    assert all(moved)
    load_weights(net, ours)
    found = logits(net, dtype)
    assert np.abs(found - wanted).max() < tolerance * np.abs(wanted).max()


def test_a_layer_of_one_channel_has_an_importance():
    """Oracle: by hand; a weight of 2 reads each channel before it, 3 reads the one."""
    wide, gate = Width("wide", 3), Width("gate", 1)
    steps = [
        Convolve("first", 3, wide),
        Convolve("gate", wide, gate, kernel_size=1),
        Classify(gate, 5),
    ]
    network = Description("gated", steps)
    kernels = [np.ones((3, 3, 3, 3)), np.full((1, 3, 1, 1), 2.0)]
    arrays = []
    for kernel in kernels:
        zeros, ones = np.zeros(len(kernel)), np.full(len(kernel), 1 - EPSILON)
        arrays += [kernel, ones, zeros, zeros, ones]
    weights = TrainedWeights.of(network, [*arrays, np.full((5, 1), 3.0), np.zeros(5)])
    found = importances(weights)
    assert found[wide] == pytest.approx([4, 4, 4])
    assert found[gate] == pytest.approx([5 * 9])


def test_sorting_changes_no_output_in_mxnet():
    gluon_plain = pytest.importorskip("models.gluon.plain")
    from models.gluon.arrays import load_weights as load_gluon
    from models.gluon.arrays import network_arrays as gluon_arrays
    from tests.helpers.mxnet_nets import images
    from tests.helpers.mxnet_nets import randomized as randomized_gluon

    network = open_network("resnet18", CLASSES)
    net = randomized_gluon(gluon_plain.PlainNet(network, network.scaled(0.2)))
    batch = images(4, 48)
    wanted = net(batch).asnumpy()
    weights = TrainedWeights.of(network, list(gluon_arrays(net).values()))
    load_gluon(net, sorted_by_importance(weights))
    assert np.abs(net(batch).asnumpy() - wanted).max() < 1e-5 * np.abs(wanted).max()


@pytest.mark.parametrize("name", NETWORKS)
def test_each_width_is_sorted_once_by_all_layers_that_share_it(name):
    """Oracle: importances of the sorted network, which fall; its widths are all of them."""
    _, weights = trained(name)
    before, after = importances(weights), importances(sorted_by_importance(weights))
    assert set(after) == set(weights.network.widths)
    for width, importance in after.items():
        np.testing.assert_allclose(importance, np.sort(before[width])[::-1], rtol=1e-9)
        assert (importance >= 0).all()


def test_a_channel_that_nothing_reads_comes_last():
    _, weights = trained("resnet18")
    first, second = weights.network.convolutions[1:3]  # of the first block
    weights.convolutions[second.index].kernel[:, 5] = 0
    assert np.argmin(importances(weights)[first.outputs]) == 5


def test_importance_is_the_squares_of_the_weights_that_read():
    """By hand: a stem that a block adds to, which a convolution and the classifier read."""
    stem, inner = Width("the stem", 8), Width("the block", 8)
    operations = (
        Convolve("the stem", 3, stem, stride=2),
        Convolve("one", stem, inner, kernel_size=3),
        Convolve("two", inner, stem, kernel_size=1, linear=True),
        Add("sum", to="the stem"),
        Classify(stem, 4),
    )
    network = Description("Tiny", operations)
    net = randomized(PlainNet(network, (8, 8))).double()
    weights = TrainedWeights.of(network, list(network_arrays(net).values()))
    _, one, two = weights.convolutions
    found = importances(weights)
    for c in range(8):
        squares = [(one.kernel[o, c] ** 2).sum() / (one.variance[o] + 1e-5) for o in range(8)]
        wanted = sum(squares) + (weights.classifier_weight[:, c] ** 2).sum()
        assert found[stem][c] == pytest.approx(wanted, rel=1e-9)
        squares = [two.kernel[o, c, 0, 0] ** 2 / (two.variance[o] + 1e-5) for o in range(8)]
        assert found[inner][c] == pytest.approx(sum(squares), rel=1e-9)


def test_the_order_does_not_depend_on_the_scales_that_batch_norm_takes_away():
    """Oracle: the orders before; both convolutions that read a width are scaled differently."""
    _, weights = trained("resnet18")
    before = importances(weights)
    for factor, each in enumerate(weights.convolutions, start=1):
        each.kernel[:] *= factor
        each.variance[:] = factor**2 * (each.variance + 1e-5) - 1e-5
    for width, importance in importances(weights).items():
        np.testing.assert_allclose(importance, before[width], rtol=1e-9)


def test_permuted_moves_channels_where_they_are_asked_to():
    _, weights = trained("mobilenet_v1")
    stem = weights.network.widths[0]
    orders = {
        w: np.arange(c) for w, c in zip(weights.network.widths, _channels(weights), strict=True)
    }
    orders[stem] = orders[stem][::-1]
    ours = permuted(weights, orders)
    (first, depthwise, pointwise), wanted = ours.convolutions[:3], weights.convolutions
    np.testing.assert_array_equal(first.kernel, wanted[0].kernel[::-1])
    np.testing.assert_array_equal(first.mean, wanted[0].mean[::-1])
    np.testing.assert_array_equal(depthwise.kernel, wanted[1].kernel[::-1])
    np.testing.assert_array_equal(pointwise.kernel, wanted[2].kernel[:, ::-1])
    np.testing.assert_array_equal(pointwise.scale, wanted[2].scale)


def _channels(weights):
    sizes = {step.outputs: len(conv.kernel) for step, conv in _pairs(weights)}
    return [sizes[width] for width in weights.network.widths]


def _pairs(weights):
    return zip(weights.network.convolutions, weights.convolutions, strict=True)
