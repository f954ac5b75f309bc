"""The search as a mixed-integer linear program over widths and layers, without the chain."""

import itertools

import numpy as np
from scipy import sparse
from scipy.optimize import Bounds, LinearConstraint, milp


def solve(space, values_ms, scores, target_ms, time_limit_s=600):
    """Return (choices, score) of greatest score whose latency is at most target_ms, by HiGHS.

    values_ms: the latency of each of space.variables; scores: one array per width
    One binary variable per choice of a width; one variable per pair of choices that a layer reads
    and writes, whose sums over either are the choices. Raises RuntimeError if it is not solved.
    """
    starts = np.cumsum([0, *space.sizes])
    rows, columns, entries, right = [], [], [], []
    cost, width = [np.zeros(starts[-1])], dict(zip(space.description.widths, starts, strict=False))

    def equation(ones, minus=()):
        rows.extend([len(right)] * (len(ones) + len(minus)))
        columns.extend([*ones, *minus])
        entries.extend([1] * len(ones) + [-1] * len(minus))
        right.append(0 if minus else 1)

    for start, size in zip(starts, space.sizes, strict=False):
        equation(range(start, start + size))
    count = starts[-1]
    for layer, block in zip(space.description.layers, space.blocks, strict=True):
        pairs = count + np.arange(block.size).reshape(block.shape)
        cost.append(values_ms[block].ravel())
        count += block.size
        for axis, channels in ((0, layer.inputs), (1, layer.outputs)):
            if channels in width:
                for choice, ones in enumerate(np.moveaxis(pairs, axis, 0)):
                    equation(ones.tolist(), [width[channels] + choice])
    equations = sparse.csr_matrix((entries, (rows, columns)), shape=(len(right), count))
    gain = np.concatenate([*scores, np.zeros(count - starts[-1])])
    latency = np.concatenate(cost)[None] / target_ms
    result = milp(
        -gain,
        constraints=[LinearConstraint(equations, right, right), LinearConstraint(latency, ub=1.0)],
        bounds=Bounds(0, 1),
        integrality=np.arange(count) < starts[-1],
        options={"mip_rel_gap": 1e-9, "time_limit": time_limit_s},
    )
    if result.status:
        raise RuntimeError(result.message)
    chosen = [result.x[start:end].argmax() for start, end in itertools.pairwise(starts)]
    return chosen, -result.fun
