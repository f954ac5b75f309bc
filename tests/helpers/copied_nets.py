"""A Gluon net and a PyTorch net with the same parameters."""

import torch

from models.gluon.plain import PlainNet as GluonNet
from models.pytorch.plain import PlainNet as TorchNet
from networks.mobilenet_v1 import network as mobilenet_v1
from tests.helpers.mxnet_nets import randomized


def copied_nets(configuration, network=None, seed=0, **options):
    """Return a randomised Gluon net and a PyTorch net with its parameters and statistics."""
    gluon = randomized(GluonNet(network or mobilenet_v1(10), configuration, **options), seed)
    return gluon, copied(gluon)


def copied(gluon):
    """Return a PyTorch net, in training mode, with a Gluon net's parameters and statistics."""
    net = TorchNet(gluon.network, gluon.configuration)
    arrays = [parameter.data().asnumpy() for parameter in gluon.collect_params().values()]
    state = {name: torch.tensor(a) for name, a in zip(names(net), arrays, strict=True)}
    net.load_state_dict(state, strict=False)
    return net


def names(net):
    """Return a PyTorch net's names of what a Gluon net's collect_params() holds, in its order."""
    return [name for name in net.state_dict() if not name.endswith("num_batches_tracked")]
