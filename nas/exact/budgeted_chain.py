"""A chain under budgets, prepared for label setting: framed, scaled, with exact sums."""

from dataclasses import dataclass

import numpy as np

from nas import mrf
from nas.transitions import Transitions, check, pack_pairwise, pad
from utils.errors import UserError

GRID = 2.0**46  # parts that a limit is divided into; sums of parts are exact in float64


@dataclass(frozen=True)
class BudgetedChain:
    """A chain whose first and last nodes are dummies: one state, score 0, no resources used.

    unary:     (N, S), scores relative to the best of their node, so at most 0
    resources: (m, T), what transitions use, in units of the scales and rounded to multiples of
               1 / GRID, so that equal sums compare equal whatever the unit of the input
    budgets:   (m,), the limits in units of the scales
    """

    unary: np.ndarray
    transitions: Transitions
    resources: np.ndarray
    budgets: np.ndarray
    scales: np.ndarray
    origin: tuple  # per node but the dummies, the states of the input that have a score

    @classmethod
    def of(cls, unary, pairwises, limits):
        """Return the chain of N unary potentials, m lists of N-1 pairwise resources, m limits.

        States whose score is -inf are left out. Raises ValueError for shapes that disagree, NaN or
        negative resources, UserError for a node without a state left or a limit of NaN.
        """
        for pairwise in pairwises:
            check(unary, pairwise, np.inf)
        origin, scores = [], [np.zeros(1)]
        for layer, potential in enumerate(unary, start=1):
            seen = np.flatnonzero(np.asarray(potential) > -np.inf)
            if not len(seen):
                raise UserError(f"no width of layer {layer} has a score: nothing to search")
            origin.append(seen)
            scores.append(np.asarray(potential, np.float64)[seen])
        scores.append(np.zeros(1))
        best = [potential.max() for potential in scores]
        framed = [_framed(pairwise, origin) for pairwise in pairwises]
        transitions, values = pack_pairwise(framed, [len(potential) for potential in scores])
        scaled = [
            _scaled(row, transitions, float(limit))
            for row, limit in zip(values, limits, strict=True)
        ]
        parts, budgets, scales = map(np.array, zip(*scaled, strict=True))
        relative = pad([potential - most for potential, most in zip(scores, best, strict=True)])
        return cls(relative, transitions, parts, budgets, scales, tuple(origin))

    def input_states(self, states):
        """Return states of this chain as states of the input, a tuple of ints."""
        return tuple(
            int(seen[state]) for seen, state in zip(self.origin, states[1:-1], strict=True)
        )

    def score(self, states):
        """Return the score of states, at most 0, summed from the first node to the last."""
        return float(mrf.unary_sum(self.unary, states))


def _framed(pairwise, origin):
    """Return one resource of the states that have a score, dummies included, block by block."""
    blocks = [np.zeros((1, len(origin[0])))]
    for block, rows, columns in zip(pairwise, origin[:-1], origin[1:], strict=True):
        blocks.append(np.asarray(block)[np.ix_(rows, columns)])
    return [*blocks, np.zeros((len(origin[-1]), 1))]


def _scaled(values, transitions, limit):
    """Return a resource in parts of its scale, the limit as a budget, and the scale.

    The parts are multiples of 1 / GRID, off by at most half of it: a configuration whose latency is
    exactly the target is feasible. They are capped at twice the scale, which no budget allows.
    """
    if np.isnan(limit):
        raise UserError("the target is NaN")
    of_pairs = np.split(values, transitions.starts[1:, 0])
    most = np.array([part.max(initial=0.0) for part in of_pairs]).sum()
    # A limit above the greatest sum is lowered to it: it may be infinite.
    limit = min(limit, most)
    scale = limit if limit > 0 else most or 1.0
    parts = np.rint(np.minimum(values / scale, 2.0) * GRID) / GRID
    return parts, limit / scale + len(of_pairs) / GRID, scale
