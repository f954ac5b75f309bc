"""The Gluon and the PyTorch slimmable net: the same losses and gradients of the same parameters."""

from types import SimpleNamespace

import numpy as np

from models.gluon.runtime import mx
from models.gluon.slimmable import MaskedPass
from models.gluon.slimmable import SlimmableNet as GluonSlimmable
from models.gluon.slimmable import sandwich_step as gluon_step
from models.pytorch.slimmable import SlimmableNet, sandwich_step
from tests.helpers.masked_passes import SPACE, three_masked_passes
from tests.helpers.mxnet_nets import randomized, trainable
from tests.helpers.torch_nets import batch_of, copy_from_gluon, gradients


def torch_net(gluon):
    """Return a PyTorch slimmable net with the parameters of a Gluon PlainNet."""
    net = SlimmableNet(SPACE.description, SPACE.smallest, SPACE.largest)
    copy_from_gluon(gluon, net.wide)
    return net


def assert_gradients_agree(gluon, net, tolerance):
    """Relative to the greatest entry of each parameter's gradient, unless that is 0 but for noise.

    (Shifts in front of a BatchNorm behind active ReLUs have no effect, and so no gradient.)
    """
    expected = [parameter.grad().asnumpy() for parameter in trainable(gluon).values()]
    noise = 1e-3 * max(np.abs(gradient).max() for gradient in expected)
    for (name, found), wanted in zip(gradients(net).items(), expected, strict=True):
        size = max(np.abs(wanted).max(), noise)
        assert np.abs(found - wanted).max() < tolerance * size, name


def test_a_step_agrees():
    """ReLUs are far from 0: whether one that is near it is active, single precision may not tell,
    and one alone changes the gradients of its channel by a hundredth. Losses agree to 1e-4;
    for gradients the test in double precision is the strict one.
    """
    gluon = randomized(GluonSlimmable(SPACE.description, SPACE.smallest, SPACE.largest))
    for parameter in gluon.full.collect_params(".*beta").values():
        parameter.set_data(parameter.data() + 5)
    net, arrays = torch_net(gluon.full), batch_of(SPACE, 32)
    losses = sandwich_step(net, *arrays)
    wanted = gluon_step(gluon, *([mx.nd.array(array.numpy())] for array in arrays))
    for name, loss in vars(wanted).items():
        np.testing.assert_allclose(vars(losses)[name], loss, rtol=1e-4, atol=1e-5)
    assert_gradients_agree(gluon.full, net, 1e-3)


def test_a_step_agrees_in_double_precision():
    """Oracle: three masked passes in Gluon and one backward pass."""
    gluon = randomized(MaskedPass(SPACE.description, SPACE.largest, fused=False))
    net, (images, labels, widths) = torch_net(gluon).double(), batch_of(SPACE, 8)
    images = images.double()
    losses = sandwich_step(net, images, labels, widths)
    gluon.cast("float64")
    passes = SimpleNamespace(
        masked=lambda images, widths: gluon(images, widths.astype("float64")),
        collect_params=gluon.collect_params,
    )
    arrays = [mx.nd.array(array.numpy(), dtype="float64") for array in (images, labels, widths)]
    wanted, _ = three_masked_passes(passes, *arrays)
    for loss, expected in zip(vars(losses).values(), wanted, strict=True):
        np.testing.assert_allclose(loss, expected, rtol=1e-6)  # read in single precision
    assert_gradients_agree(gluon, net, 1e-9)
