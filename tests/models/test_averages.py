"""The averages of weights in both frameworks, against the recursion in NumPy."""

import numpy as np
import pytest
import torch

from models.arrays import AVERAGE, NETWORK, has_average, without_prefix
from models.recipe import averaging_share
from networks.mobilenet_v1 import network as mobilenet_v1
from utils.errors import UserError

TINY = (8, 16, 8, 24, 8, 16, 8, 8, 16, 8, 8, 8, 24, 16)
DECAY = 0.5


class InPyTorch:
    """A net whose parameters are changed at random, and its Average."""

    def __init__(self, configuration=TINY):
        from models.pytorch.averaging import Average
        from models.pytorch.plain import PlainNet

        self.net = PlainNet(mobilenet_v1(5), configuration)
        self.average = Average(self.net, DECAY)

    def arrays(self):
        from models.pytorch.arrays import network_arrays

        return without_prefix(NETWORK, network_arrays(self.net))

    def change(self, rng):
        with torch.no_grad():
            for parameter in self.net.parameters():
                parameter.add_(torch.from_numpy(rng.standard_normal(parameter.shape)))

    def statistics(self, images):
        """Return {name: running mean of the average's first layer} of images, by itself."""
        conv = self.average.net.features[0].conv
        with torch.no_grad():
            return conv(torch.from_numpy(images)).mean((0, 2, 3)).numpy()

    @staticmethod
    def placed(images):
        return torch.from_numpy(images)


class InGluon:
    """The same in MXNet, on two devices."""

    def __init__(self, configuration=TINY):
        from models.gluon.averaging import Average
        from models.gluon.plain import PlainNet
        from models.gluon.runtime import mx

        self.mx, contexts = mx, [mx.cpu(0), mx.cpu(1)]
        self.net = PlainNet(mobilenet_v1(5), configuration)
        self.net.initialize(ctx=contexts)
        self.average = Average(self.net, DECAY, contexts)

    def arrays(self):
        from models.gluon.arrays import network_arrays

        return without_prefix(NETWORK, network_arrays(self.net))

    def change(self, rng):
        for parameter in self.net.collect_params().values():
            if parameter.grad_req != "null":
                more = self.mx.nd.array(rng.standard_normal(parameter.shape))
                parameter.set_data(parameter.data(self.mx.cpu(0)) + more)

    def statistics(self, images):
        convolution = self.average.net.features[0].convolution
        return convolution(self.mx.nd.array(images)).mean(axis=1, exclude=True).asnumpy()

    @staticmethod
    def placed(images):
        return images


def images(seed=0):
    return np.random.default_rng(seed).standard_normal((6, 3, 32, 32)).astype("float32")


def is_weight(name):
    return "running" not in name


@pytest.fixture(params=[InPyTorch, InGluon])
def made(request):
    return request.param


def test_weights_are_averaged_and_statistics_are_their_own(made):
    """Oracle: the recursion in double precision; the mean of the first convolution's output."""
    training, rng = made(), np.random.default_rng(1)
    wanted = {name: array.astype(float) for name, array in training.arrays().items()}
    for update in range(1, 5):
        training.change(rng)
        training.average.update(training.net, update)
        share = averaging_share(DECAY, update)
        for name, new in training.arrays().items():
            wanted[name] += share * (new - wanted[name])
    training.average.reestimate([training.placed(images())])
    found = training.average.arrays()
    assert has_average(found)
    assert not has_average(training.arrays())
    found = without_prefix(AVERAGE, found)
    assert found.keys() == wanted.keys()
    for name in filter(is_weight, wanted):
        np.testing.assert_allclose(found[name], wanted[name], rtol=1e-5, atol=1e-5, err_msg=name)
    mean = next(array for name, array in found.items() if name.endswith("running_mean"))
    np.testing.assert_allclose(mean, training.statistics(images()), rtol=1e-4, atol=1e-5)


def test_an_average_goes_on_exactly_from_its_arrays(made):
    """Oracle: the average that was not interrupted, bit for bit."""
    first, second = made(), made()
    first.change(np.random.default_rng(1))
    first.average.update(first.net, 1)
    first.average.reestimate([first.placed(images())])
    second.average.load(first.average.arrays(), "a.states")
    for training in (first, second):
        training.average.update(first.net, 2)
        training.average.reestimate([training.placed(images(1))])
    found, wanted = second.average.arrays(), first.average.arrays()
    assert all(np.array_equal(found[name], array) for name, array in wanted.items())
    first.average.restart(first.net)
    first.average.reestimate([first.placed(images())])
    restarted = without_prefix(AVERAGE, first.average.arrays())
    for name, array in first.arrays().items():
        assert np.array_equal(restarted[name], array) == is_weight(name) or array.ndim == 0


def test_an_average_of_another_network_is_refused(made):
    """Oracle: the file is in the message."""
    training, other = made(), made((8,) * 14)
    training.average.reestimate([training.placed(images())])
    with pytest.raises(UserError, match=r"a\.states does not fit the network"):
        other.average.load(training.average.arrays(), "a.states")
