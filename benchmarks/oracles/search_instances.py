"""Instances of the constrained search: realistic ones, larger ones, and the hardest ones."""

import numpy as np

from benchmarks.oracles.synthetic_device import SyntheticDevice
from nas import mrf
from nas.constraint import SLACK, least_sum
from nas.exact import dual
from nas.latency_table import LatencyTable
from nas.transitions import pack


def realistic(space, rng):
    """Return (unary, pairwise) of a SearchSpace: scores, and the table of a synthetic device.

    It has staircases and rooflines; every entry has a little noise, as in fitted tables.
    """
    device = SyntheticDevice(space, tile=int(rng.choice([8, 16, 32])))
    entries = {
        variable: device.layer_ms(variable) * rng.lognormal(0, 0.03) for variable in space.variables
    }
    return scores(space.choices, rng), LatencyTable(entries).pairwise(space)


def scores(choices, rng, noise=0.02):
    """Return scores of widths, one array per layer; the narrower the width, the steeper the fall.

    The noise is that of means of a finite number of losses.
    """
    unary = []
    for widths in choices:
        narrowing = np.array(widths)[-1] / np.array(widths)
        weight, power = rng.uniform(0.1, 0.5), rng.uniform(0.4, 1.2)
        loss = weight * (narrowing**power - 1)
        unary.append((-loss + noise * rng.normal(size=len(widths))) / len(choices))
    return unary


def scaled(layers, widths, rng):
    """Return (unary, pairwise) of any number of layers and widths; latency ~ product of widths."""
    multipliers = np.linspace(0.2, 1.5, widths)
    products = np.outer(multipliers, multipliers) + 0.1 * multipliers[:, None]
    pairwise = [
        products * rng.lognormal(0, 0.5) * rng.lognormal(0, 0.03, products.shape) / layers
        for _ in range(layers - 1)
    ]
    return scores([multipliers] * layers, rng), pairwise


def subset_sum(layers, widths, rng):
    """Return (unary, pairwise) whose score is its latency: the worst case, bounds do not help."""
    values = rng.random((layers, widths))
    return list(values), [np.tile(row, (widths, 1)) for row in values[1:]]


def targets(unary, pairwise, count):
    """Return `count` equally spaced targets between the fastest and the best configuration."""
    _, best = mrf.max_sum(unary, [0 * block for block in pairwise])
    slowest = sum(block[best[i], best[i + 1]] for i, block in enumerate(pairwise))
    return np.linspace(least_sum(unary, pairwise), slowest, count + 2)[1:-1]


def bisection(unary, pairwise, target):
    """Return the answer of the reference, by bisecting the multiplier 12 times: (states, bound)."""
    dense, transitions, [latency] = pack(unary, [pairwise], np.inf)
    _, states, bound, _ = dual.multiplier(dense, transitions, latency, target, SLACK, 12)
    return states, bound
