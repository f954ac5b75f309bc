"""A chain under budgets in the form that label setting works on: framed, scaled, exact sums."""

from dataclasses import dataclass

import numpy as np

from nas import mrf
from utils.errors import UserError

GRID = 2.0**46  # a limit is divided into so many parts; sums of parts are exact in float64


@dataclass(frozen=True)
class BudgetedChain:
    """A chain whose first and last nodes are dummies: one state, no score, nothing used up.

    unary:     (N, S), scores relative to the best of their node, so at most 0
    resources: (m, N-1, S, S), in units of the scales and rounded to multiples of 1 / GRID, so that
               equal sums compare equal whatever the unit of the input
    sizes:     (N,), the number of states of each node
    budgets:   (m,), the limits in units of the scales
    """

    unary: np.ndarray
    resources: np.ndarray
    sizes: np.ndarray
    budgets: np.ndarray
    scales: np.ndarray
    offset: float  # the sum of the best scores of the nodes
    origin: tuple  # per node but the dummies, the states of the input that have a score

    @classmethod
    def of(cls, unary, pairwises, limits):
        """Return the chain of N unary potentials, m lists of N-1 pairwise resources, m limits.

        States whose score is -inf are left out. Raises ValueError for shapes that disagree, NaN,
        +inf or negative resources, UserError for a node without a state left or a limit of NaN.
        """
        for pairwise in pairwises:
            mrf.pad(unary, pairwise)
        origin, scores = [], [np.zeros(1)]
        for layer, potential in enumerate(unary, start=1):
            seen = np.flatnonzero(np.asarray(potential) > -np.inf)
            if not len(seen):
                raise UserError(f"no width of layer {layer} has a score: nothing to search")
            origin.append(seen)
            scores.append(np.asarray(potential, np.float64)[seen])
        best = [potential.max() for potential in scores]
        scores.append(np.zeros(1))
        sizes = np.array([len(potential) for potential in scores])
        dense = np.zeros((len(sizes), sizes.max()))
        for row, potential in zip(dense, scores, strict=True):
            row[: len(potential)] = potential - potential.max()
        scaled = [
            _scaled(_framed(pairwise, origin, sizes), float(limit))
            for pairwise, limit in zip(pairwises, limits, strict=True)
        ]
        resources, budgets, scales = (np.array(parts) for parts in zip(*scaled, strict=True))
        return cls(dense, resources, sizes, budgets, scales, float(sum(best)), tuple(origin))

    def input_states(self, states):
        """Return states of this chain as states of the input, a tuple of ints."""
        return tuple(
            int(seen[state]) for seen, state in zip(self.origin, states[1:-1], strict=True)
        )

    def spent(self, states):
        """Return what states use up of each resource, in units of the scales, shape (m,)."""
        nodes = np.arange(len(self.sizes) - 1)
        return self.resources[:, nodes, states[:-1], states[1:]].sum(axis=1)

    def score(self, states):
        """Return the score of states, at most 0, summed from the first node to the last."""
        total = 0.0
        for node, state in enumerate(states):
            total += self.unary[node, state]
        return total


def _framed(pairwise, origin, sizes):
    """Return one resource of the states that have a score, dummies included: (N-1, S, S)."""
    blocks = [
        np.asarray(block, np.float64)[rows][:, columns]
        for block, rows, columns in zip(pairwise, origin[:-1], origin[1:], strict=True)
    ]
    dense = np.zeros((len(sizes) - 1, max(sizes), max(sizes)))
    dense[1:-1] = mrf.pad_pairwise(blocks, sizes[1:-1])
    if not (dense >= 0).all():
        raise ValueError("latencies and other resources must be finite and at least 0")
    return dense


def _scaled(resource, limit):
    """Return a resource in parts of its scale, the limit as a budget of it, and the scale."""
    if np.isnan(limit):
        raise UserError("the target is NaN")
    most = resource.max(axis=(1, 2)).sum()
    # A limit above the greatest sum is lowered to it: it may be infinite.
    limit = min(limit, most)
    scale = limit if limit > 0 else most or 1.0
    # Twice the scale is as forbidden as more. Every summand is off by half a part at most: a
    # target that is exactly a configuration's latency is kept by it.
    parts = np.rint(np.minimum(resource / scale, 2.0) * GRID) / GRID
    return parts, limit / scale + len(resource) / GRID, scale
