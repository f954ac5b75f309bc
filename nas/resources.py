"""MACs and parameters as pairwise resources of a search space: constraints of latency's kind."""

import numpy as np

from models.mobilenet_v1 import count_macs, count_parameters


def macs(space):
    """Return the multiply-accumulate operations of a SearchSpace as a pairwise resource.

    One array per neighbouring pair of layers, of shape (choices of layer l, choices of layer
    l + 1); the sum along a configuration is models.mobilenet_v1.count_macs of it.
    """
    return _pairwise(
        space, lambda widths: count_macs(widths, space.input_size, space.classes, space.strides)
    )


def parameters(space):
    """Return the trainable parameters of a SearchSpace as a pairwise resource, as `macs` does."""
    return _pairwise(space, lambda widths: count_parameters(widths, space.classes))


def _pairwise(space, count):
    """Return a count, which is a sum over neighbouring layers, as one array per pair of layers.

    With the other layers at their smallest, count(layers l and l + 1) - count(layer l) is what
    layer l + 1 adds; the first pair also holds what is left. At least 0, since counts grow.
    """
    blocks = []
    for layer in range(len(space.choices) - 1):
        grid = np.meshgrid(space.choices[layer], space.choices[layer + 1], indexing="ij")
        widths = list(space.smallest)
        widths[layer] = grid[0]
        alone = count(widths) if layer else 0
        widths[layer + 1] = grid[1]
        blocks.append((count(widths) - alone).astype(np.float64))
    return blocks
