"""The exponential average of a network's weights while it trains, in PyTorch."""

import copy

import torch

from models.arrays import AVERAGE
from models.pytorch.arrays import load_network, network_arrays
from models.pytorch.plain import reestimate_batch_norm
from models.recipe import averaging_share


class Average:
    """A PlainNet of averaged weights, whose BatchNorm statistics are re-estimated.

    Averaged statistics would be those of other networks, the ones whose weights are averaged.
    """

    def __init__(self, net, decay):
        self._decay = decay
        self.net = copy.deepcopy(net).eval()

    @torch.no_grad()
    def restart(self, net):
        """Begin again from a net's weights."""
        self.net.load_state_dict(net.state_dict())

    @torch.no_grad()
    def update(self, net, updates):
        """Take in a net's weights after an update, whose number is `updates`."""
        own, new = (list(each.parameters()) for each in (self.net, net))
        torch._foreach_lerp_(own, new, averaging_share(self._decay, updates))

    def reestimate(self, batches):
        """Re-estimate the BatchNorm statistics on batches of images."""
        reestimate_batch_norm(self.net, batches)

    def arrays(self):
        """Return the averaged network as arrays for a checkpoint, {"average/NAME": array}."""
        return network_arrays(self.net, AVERAGE)

    def load(self, arrays, path):
        """Load what `arrays` returned; path: the file that it was read from."""
        load_network(self.net, arrays, path, AVERAGE)
