"""The Gluon and the PyTorch net compute the same function of the same parameters."""

import numpy as np
import torch

from models.gluon.plain import folded_weights as gluon_weights
from models.pytorch.plain import folded_weights as torch_weights
from networks.mobilenet_v1 import network as mobilenet_v1
from tests.helpers.copied_nets import copied_nets
from tests.helpers.mxnet_nets import images, in_training

CONFIGURATION = mobilenet_v1(2).scaled(0.4)


def test_folded_weights_agree():
    """Oracle: PyTorch's own fusion of the same parameters."""
    gluon, net = copied_nets(CONFIGURATION)
    ours, wanted = gluon_weights(gluon), torch_weights(net.eval())
    for one, other in zip(ours.convolutions, wanted.convolutions, strict=True):
        np.testing.assert_allclose(one.kernel, other.kernel, rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(one.bias, other.bias, rtol=1e-5, atol=1e-5)
    np.testing.assert_array_equal(ours.classifier_weight, wanted.classifier_weight)
    np.testing.assert_array_equal(ours.classifier_bias, wanted.classifier_bias)


def test_outputs_agree_in_inference():
    gluon, net = copied_nets(CONFIGURATION)
    batch = images(16, 64)
    with torch.no_grad():
        expected = net.eval()(torch.tensor(batch.asnumpy())).numpy()
    np.testing.assert_allclose(gluon(batch).asnumpy(), expected, rtol=1e-4, atol=1e-4)


def test_outputs_agree_in_training():
    """In double precision: batch statistics amplify what kernels round differently."""
    gluon, net = copied_nets(CONFIGURATION, fused=False)
    gluon.cast("float64")
    batch = images(16, 64).astype("float64")
    with torch.no_grad():
        expected = net.double().train()(torch.tensor(batch.asnumpy())).numpy()
    np.testing.assert_allclose(in_training(gluon, batch), expected, rtol=1e-8, atol=1e-8)
