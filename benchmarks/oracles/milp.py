"""The constrained search as a mixed-integer linear program: the oracle of the exact search."""

import itertools

import numpy as np
from scipy import sparse
from scipy.optimize import Bounds, LinearConstraint, milp


def solve(unary, pairwises, limits):
    """Return the states of greatest score within the limits, by HiGHS; None if there are none.

    There is one binary variable per state of the first node and per transition; the flow into a
    state equals the flow out of it. Unary scores must be finite.
    """
    shapes = [(1, len(unary[0])), *(block.shape for block in pairwises[0])]
    starts = np.cumsum([0, *(rows * columns for rows, columns in shapes)])
    gain = np.concatenate(
        [np.broadcast_to(u, s).ravel() for u, s in zip(unary, shapes, strict=True)]
    )
    indices = [
        start + np.arange(rows * columns).reshape(rows, columns)
        for start, (rows, columns) in zip(starts[:-1], shapes, strict=True)
    ]
    flow = sparse.lil_matrix((1 + sum(len(u) for u in unary[:-1]), starts[-1]))
    flow[0, indices[0]] = 1
    row = 1
    for before, after in itertools.pairwise(indices):
        for state in range(before.shape[1]):
            flow[row, before[:, state]] = 1
            flow[row, after[state]] = -1
            row += 1
    start = np.zeros(flow.shape[0])
    start[0] = 1
    spent = np.array(
        [np.concatenate([np.zeros(len(unary[0])), *map(np.ravel, p)]) for p in pairwises]
    )
    scale = np.abs(limits)
    result = milp(
        -gain / np.abs(gain).max(),
        constraints=[
            LinearConstraint(flow.tocsr(), start, start),
            LinearConstraint(spent / scale[:, None], -np.inf, np.asarray(limits) / scale),
        ],
        bounds=Bounds(0, 1),
        integrality=np.ones(starts[-1]),
        options={"mip_rel_gap": 0.0},
    )
    if result.x is None:
        return None
    chosen = result.x.round().astype(bool)
    return [int(np.flatnonzero(chosen[i].any(axis=0))[0]) for i in indices]
