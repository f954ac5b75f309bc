import numpy as np
import pytest

from models.gluon.plain import PlainNet, reestimate_batch_norm
from models.gluon.runtime import FUSES_BATCH_NORM, mx
from networks.mobilenet_v1 import BASE_WIDTHS
from networks.mobilenet_v1 import network as mobilenet_v1
from tests.helpers.mxnet_nets import (
    difference_of_all,
    gradients,
    images,
    in_training,
    randomized,
    trainable,
)
from utils.errors import UserError

IRREGULAR = (16, 24, 40, 32, 104, 48, 64, 88, 16, 72, 56, 40, 128, 24)


@pytest.mark.parametrize("size", [5, 32, 33, 100])
def test_any_input_size_gives_one_row_of_logits_per_image(size):
    net = randomized(PlainNet(mobilenet_v1(7), mobilenet_v1(2).scaled(0.25)))
    assert net(images(2, size)).shape == (2, 7)


@pytest.mark.parametrize("configuration", [BASE_WIDTHS, IRREGULAR, mobilenet_v1(2).scaled(1.5)])
def test_parameters_are_as_many_as_counted_without_a_framework(configuration):
    net = PlainNet(mobilenet_v1(10), configuration)
    total = sum(np.prod(parameter.shape) for parameter in trainable(net).values())
    assert total == mobilenet_v1(10).parameters(configuration)


def test_parameter_names_are_the_same_for_all_configurations_and_processes():
    names = list(PlainNet(mobilenet_v1(10), IRREGULAR).collect_params())
    assert names == list(PlainNet(mobilenet_v1(3), BASE_WIDTHS, fused=False).collect_params())
    assert names[0] == "net_convolution1_weight"


def test_initial_values_are_he_normal_by_fan_in_and_the_first_loss_is_log_classes():
    mx.random.seed(0)
    net = PlainNet(mobilenet_v1(10), BASE_WIDTHS)
    net.initialize()
    depthwise, pointwise = net.features[13].convolution, net.features[14].convolution
    assert depthwise.weight.data().asnumpy().std() == pytest.approx(np.sqrt(2 / 9), rel=0.05)
    assert pointwise.weight.data().asnumpy().std() == pytest.approx(np.sqrt(2 / 512), rel=0.01)
    logits = mx.nd.array(in_training(net, images(16)))
    loss = mx.gluon.loss.SoftmaxCrossEntropyLoss()(logits, mx.nd.arange(16) % 10)
    assert loss.mean().asscalar() == pytest.approx(np.log(10), rel=0.1)


@pytest.mark.skipif(not FUSES_BATCH_NORM, reason="this MXNet has no fused BatchNorm and ReLU")
@pytest.mark.parametrize(("width", "size"), [(16, 64), (32, 96), (64, 224)])
def test_the_fused_operator_trains_where_few_channels_meet_large_maps(width, size):
    """Oracle: the gradients of separate operators; in blocked layouts this raised an error."""
    fused, plain = (
        randomized(PlainNet(mobilenet_v1(10), (width,) * 14, fused=f)) for f in (True, False)
    )
    batch = images(2, size)
    assert difference_of_all(gradients(fused, batch), gradients(plain, batch)) < 0.01


@pytest.mark.skipif(not FUSES_BATCH_NORM, reason="this MXNet has no fused BatchNorm and ReLU")
@pytest.mark.parametrize(
    "configuration", [IRREGULAR, mobilenet_v1(2).scaled(0.5), mobilenet_v1(2).scaled(0.2)]
)
def test_fused_batch_norm_equals_separate_operators(configuration):
    fused = randomized(PlainNet(mobilenet_v1(10), configuration, fused=True))
    plain = randomized(PlainNet(mobilenet_v1(10), configuration, fused=False))
    batch = images(16, 48)
    for net in (fused, plain):
        net.hybridize(static_alloc=True, static_shape=True)
    np.testing.assert_allclose(fused(batch).asnumpy(), plain(batch).asnumpy(), atol=1e-5)
    difference = difference_of_all(gradients(fused, batch), gradients(plain, batch))
    assert difference < 0.01


def test_a_configuration_of_the_wrong_length_is_an_error():
    with pytest.raises(UserError, match="13 widths"):
        PlainNet(mobilenet_v1(10), BASE_WIDTHS[1:])


def test_reestimated_statistics_are_numpy_averages_over_unequal_batches():
    net = randomized(PlainNet(mobilenet_v1(10), IRREGULAR))
    batches = [images(12, seed=1), images(12, seed=2), images(4, seed=3)]
    expected = {}
    for index in (0, 1, 14, 26):
        means, variances = [], []
        for batch in batches:
            with mx.autograd.train_mode():
                y = net.features[index].convolution(net.features[:index](batch))
            y = y.asnumpy().astype(np.float64)
            means.append(y.mean(axis=(0, 2, 3)))
            variances.append(y.var(axis=(0, 2, 3)))
        weights = [12, 12, 4]
        expected[index] = [np.average(s, axis=0, weights=weights) for s in (means, variances)]
    assert reestimate_batch_norm(net, (batch.asnumpy() for batch in batches)) is net
    for index, (mean, variance) in expected.items():
        norm = net.features[index].norm
        np.testing.assert_allclose(norm.running_mean.data().asnumpy(), mean, rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(norm.running_var.data().asnumpy(), variance, rtol=1e-4)


def test_with_statistics_of_one_batch_inference_equals_training_on_that_batch():
    net = randomized(PlainNet(mobilenet_v1(10), IRREGULAR))
    net.hybridize()
    batch = images(16, 48)
    reestimate_batch_norm(net, [batch])
    np.testing.assert_allclose(net(batch).asnumpy(), in_training(net, batch), atol=2e-3)


def test_reestimating_without_a_batch_is_an_error():
    net = randomized(PlainNet(mobilenet_v1(10), IRREGULAR))
    with pytest.raises(ValueError, match="at least one batch"):
        reestimate_batch_norm(net, [])
