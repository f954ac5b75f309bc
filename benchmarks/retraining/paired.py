"""Differences between two methods, paired by seed and target, with bootstrap intervals."""

from dataclasses import dataclass

import numpy as np

RESAMPLES = 10_000
WITHIN = 0.95  # share of the resamples inside an interval


@dataclass(frozen=True)
class Paired:
    """How much better one method is than another."""

    mean: float
    low: float  # the interval's ends; NaN where it needs more seeds
    high: float
    won: int  # cells in which the first is better
    cells: int  # targets × seeds, without those in which both have the same widths
    equal: int  # cells in which they have
    seeds: int

    @classmethod
    def of(cls, first, second):
        """first, second: {(target, seed): value}, the greater the better; equal where one network

        Only targets and seeds that both have count, and only seeds that have all these targets.
        Resamples draw seeds, then targets, with replacement.
        """
        both = sorted(set(first) & set(second))
        targets = sorted({target for target, _ in both})
        seeds = [s for s in sorted({s for _, s in both}) if all((t, s) in both for t in targets)]
        gains = np.array([[first[t, s] - second[t, s] for s in seeds] for t in targets])
        if not gains.size:
            return None
        low = high = np.nan
        if len(seeds) > 1:
            low, high = _interval(gains)
        return cls(
            mean=float(gains.mean()),
            low=float(low),
            high=float(high),
            won=int((gains > 0).sum()),
            cells=int((gains != 0).sum()),
            equal=int((gains == 0).sum()),
            seeds=len(seeds),
        )


def _interval(gains):
    rng = np.random.default_rng(0)
    targets, seeds = (rng.integers(n, size=(RESAMPLES, n)) for n in gains.shape)
    means = gains[targets[:, :, None], seeds[:, None, :]].mean(axis=(1, 2))
    return np.quantile(means, [(1 - WITHIN) / 2, (1 + WITHIN) / 2])
