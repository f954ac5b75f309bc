"""Limits of a search: sums over neighbouring layers, such as latency, MACs, parameters."""

import itertools
from dataclasses import dataclass

import numpy as np

from models.mobilenet_v1 import count_macs, count_parameters
from nas import mrf
from utils.errors import UserError
from utils.formatting import as_typed, rounded_up

SLACK = 1e-12  # relative: sums of the same latencies in another order agree to this


@dataclass(frozen=True)
class Constraint:
    """A limit on a sum over neighbouring nodes: a latency, MACs, parameters."""

    pairwise: list  # N-1 arrays; pairwise[i] has shape (S_i, S_{i+1}), at least 0
    limit: float
    name: str = "latency"
    unit: str = "ms"
    is_bound: bool = False  # its values are upper bounds of what is predicted

    def value(self, states):
        """Return what a configuration uses, in the unit of the limit."""
        pairs = itertools.pairwise(states)
        return float(sum(block[s, t] for block, (s, t) in zip(self.pairwise, pairs, strict=True)))

    def keeps(self, states):
        """Return whether a configuration keeps the limit, up to the rounding of sums."""
        return self.value(states) <= self.limit * (1 + SLACK)


class InfeasibleError(UserError):
    """A limit is below what any configuration reaches, or no configuration keeps all limits."""


def least_sum(unary, pairwise):
    """Return the least sum of a resource of any configuration whose states all have a score."""
    allowed = [np.where(np.isneginf(scores), -np.inf, 0.0) for scores in unary]
    return -mrf.max_sum(allowed, [-np.asarray(block) for block in pairwise])[0]


def unreachable(constraint, least):
    """Return the error for a constraint that no configuration keeps."""
    name, unit = constraint.name, constraint.unit
    by = "fastest configuration" if name == "latency" else f"least {name} of any configuration"
    return InfeasibleError(
        f"target {as_typed(constraint.limit)} {unit} is below the {by}, {rounded_up(least)} {unit}"
    )


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
