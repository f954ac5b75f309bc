"""Differences between two methods, paired by seed and target, with bootstrap intervals."""

from dataclasses import dataclass
from itertools import combinations

import numpy as np

RESAMPLES = 10_000
WITHIN = 0.95  # share of the resamples inside an interval
ENDS = ((1 - WITHIN) / 2, (1 + WITHIN) / 2)  # quantiles


@dataclass(frozen=True)
class Paired:
    """How much better one method is than another."""

    mean: float
    low: float  # the interval's ends; NaN where it needs more seeds or targets
    high: float
    won: int  # cells in which the first is better
    cells: int  # targets × seeds, without those of equal values, as one network has
    seeds: int

    @classmethod
    def of(cls, first, second):
        """first, second: {(target, seed): value}, the greater the better; equal where one network

        Those seeds count that have all of some targets: of the targets with which this is most.
        Returns None if there are none. Resamples draw seeds, then targets, with replacement. Of one
        target there is no interval: means of a few seeds hardly leave their range.
        """
        targets, seeds = _most_cells(sorted(set(first) & set(second)))
        if not seeds:
            return None
        gains = np.array([[first[t, s] - second[t, s] for s in seeds] for t in targets])
        low = high = np.nan
        if min(gains.shape) > 1:
            low, high = _interval(gains)
        return cls(
            mean=float(gains.mean()),
            low=float(low),
            high=float(high),
            won=int((gains > 0).sum()),
            cells=int((gains != 0).sum()),
            seeds=len(seeds),
        )


def _most_cells(cells):
    """Return the (targets, seeds) of most cells, all of which are among those given."""
    targets = sorted({target for target, _ in cells})
    blocks = [((), ())]
    for count in range(1, len(targets) + 1):
        for chosen in combinations(targets, count):
            seeds = sorted({s for _, s in cells if all((t, s) in cells for t in chosen)})
            blocks.append((chosen, seeds))
    return max(blocks, key=lambda block: (len(block[0]) * len(block[1]), len(block[1])))


def _interval(gains):
    rng = np.random.default_rng(0)
    targets, seeds = (rng.integers(n, size=(RESAMPLES, n)) for n in gains.shape)
    means = gains[targets[:, :, None], seeds[:, None, :]].mean(axis=(1, 2))
    return np.quantile(means, ENDS)
