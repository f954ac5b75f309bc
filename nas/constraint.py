"""Limits of a search: sums over neighbouring layers, such as latency, MACs, parameters."""

from dataclasses import dataclass

import numpy as np

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
    is_bound: bool = False  # its values are upper bounds on the prediction

    def value(self, states):
        """Return what a configuration uses, in the unit of the limit."""
        return float(mrf.pairwise_sum(self.pairwise, states))

    def is_feasible(self, states):
        """Return whether a configuration satisfies the limit, up to the rounding of sums."""
        return self.admits(self.value(states))

    def admits(self, value):
        """Return whether a value satisfies the limit, up to the rounding of sums."""
        return value <= self.limit * (1 + SLACK)


class InfeasibleError(UserError):
    """No configuration is feasible: one limit is out of reach, or all of them together are."""


class NoAnswerYetError(InfeasibleError):
    """No configuration of the widths that were drawn so far is feasible."""


def least_sum(unary, pairwise):
    """Return the least sum of a resource over configurations whose states all have a score."""
    allowed = [np.where(np.isneginf(scores), -np.inf, 0.0) for scores in unary]
    return -mrf.max_sum(allowed, [-np.asarray(block) for block in pairwise])[0]


def greatest_sum(sizes, pairwise):
    """Return the greatest sum of a resource over all configurations.

    sizes: the number of states of each node
    """
    costs = (np.asarray(block) for block in pairwise)
    allowed = [np.where(np.isposinf(block), -np.inf, block) for block in costs]
    return mrf.max_sum([np.zeros(size) for size in sizes], allowed)[0]


def unreachable(constraint, least):
    """Return the error for a constraint that no configuration satisfies.

    least: the least that any configuration uses
    """
    name, unit = constraint.name, constraint.unit
    by = "fastest configuration" if name == "latency" else f"least {name} of any configuration"
    return InfeasibleError(
        f"target {as_typed(constraint.limit)} {unit} is below the {by}, {rounded_up(least)} {unit}"
    )


def macs(space):
    """Return the multiply-accumulate operations of a SearchSpace's networks, as pairwise costs."""
    return space.pairwise(
        lambda layer, side, inputs, outputs: layer.weights(inputs, outputs) * side * side
    )


def parameters(space):
    """Return the trainable parameters of a SearchSpace's networks, as pairwise costs."""
    return space.pairwise(lambda layer, side, *channels: layer.parameters(*channels))
