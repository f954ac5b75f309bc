"""The Gluon and the PyTorch net compute the same function of the same parameters."""

import numpy as np
import torch

from models.mobilenet_v1 import scaled_widths
from models.mxnet_mobilenet_v1 import MobileNetV1 as GluonNet
from models.torch_mobilenet_v1 import MobileNetV1 as TorchNet
from tests.models.mxnet_nets import images, in_training, randomized

CONFIGURATION = scaled_widths(0.4)


def copied_nets():
    """Return a Gluon net and a PyTorch net with its parameters and statistics, paired in order."""
    gluon, net = randomized(GluonNet(CONFIGURATION, 10)), TorchNet(CONFIGURATION, classes=10)
    arrays = [parameter.data().asnumpy() for parameter in gluon.collect_params().values()]
    names = [name for name in net.state_dict() if not name.endswith("num_batches_tracked")]
    state = {name: torch.tensor(a) for name, a in zip(names, arrays, strict=True)}
    net.load_state_dict(state, strict=False)
    return gluon, net


def test_outputs_agree_in_inference_and_in_training():
    gluon, net = copied_nets()
    batch = images(16, 64)
    with torch.no_grad():
        expected = net.eval()(torch.tensor(batch.asnumpy())).numpy()
        np.testing.assert_allclose(gluon(batch).asnumpy(), expected, rtol=1e-4, atol=1e-4)
        expected = net.train()(torch.tensor(batch.asnumpy())).numpy()
        np.testing.assert_allclose(in_training(gluon, batch), expected, rtol=1e-4, atol=1e-4)
