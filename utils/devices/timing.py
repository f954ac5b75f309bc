"""Timing: measurements that keep their raw times, warm-up, runs in a row and in rounds.

A `run` is a function without arguments that runs one batch and returns how many seconds it took.
"""

import time
from dataclasses import dataclass

import numpy as np

REDUCTIONS = ("mean", "median", "min", "quartile")
NOISY = 0.1  # IQR / median above which a measurement is not to be trusted
REFERENCE_EVERY = 5  # in a round, the reference network is timed again after so many networks
SETTLE_S = 0.002  # a visit runs untimed for so long: the caches hold the last network's data


@dataclass(frozen=True)
class Measurement:
    """The raw times of one network, seconds per batch, in the order in which they were taken."""

    times_s: tuple[float, ...]

    def __post_init__(self):
        if not self.times_s:
            raise ValueError("a measurement needs at least one time")

    @property
    def mean_s(self):
        return float(np.mean(self.times_s))

    @property
    def median_s(self):
        return float(np.median(self.times_s))

    @property
    def min_s(self):
        return float(np.min(self.times_s))

    @property
    def quartile_s(self):
        """The lower quartile: what disturbs a machine makes it slower, hardly ever faster."""
        return float(np.quantile(self.times_s, 0.25))

    @property
    def iqr_s(self):
        """The interquartile range."""
        return float(np.quantile(self.times_s, 0.75) - self.quartile_s)

    @property
    def warning(self):
        """One sentence if IQR / median exceeds 0.1, else None."""
        if self.iqr_s <= NOISY * self.median_s:
            return None
        return (
            f"the times vary: their interquartile range is {self.iqr_s / self.median_s:.0%} "
            f"of the median ({len(self.times_s)} runs)"
        )

    def reduced_s(self, reduction):
        """Return the times as one number of seconds: one of REDUCTIONS."""
        if reduction not in REDUCTIONS:
            raise ValueError(f"unknown reduction {reduction!r}: choose from {REDUCTIONS}")
        return getattr(self, f"{reduction}_s")


def elapsed_s(run, clock=time.perf_counter):
    """Run once and return the seconds that it took by a clock."""
    start = clock()
    run()
    return clock() - start


def warm_up(run, count, seconds=0.0, clock=time.perf_counter):
    """Run untimed at least `count` times and for at least `seconds`; returns how often it ran."""
    start = clock()
    done = 0
    while done < count or clock() - start < seconds:
        run()
        done += 1
    return done


def time_in_a_row(run, iterations, advance=None):
    """Return the Measurement of consecutive runs; `advance(1)` is called after each."""
    times_s = []
    for _ in range(iterations):
        times_s.append(run())
        if advance:
            advance(1)
    return Measurement(tuple(times_s))


def time_in_rounds(runs, reference, iterations, rounds, rng, advance=None, clock=time.perf_counter):
    """Time several networks and a reference a few runs at a time, round after round.

    runs:       one run per network, warmed up; reference: the run of the reference network
    iterations: timed runs of each network, spread evenly over the rounds
    rng:        draws the order of the networks of each round
    advance:    if given, called with the number of timed runs after each visit to a network
    Returns (one Measurement per network, the Measurement of the reference). A slow second of the
    machine falls on some runs of many networks instead of on all runs of one, where a low quantile
    leaves it out; slow drift falls on all networks and on the reference alike.
    """
    times_s = [[] for _ in runs]
    reference_s = []
    for repeats in runs_per_round(iterations, rounds):
        for position, index in enumerate(rng.permutation(len(runs))):
            if position % REFERENCE_EVERY == 0:
                reference_s += _visit(reference, repeats, clock)
            times_s[index] += _visit(runs[index], repeats, clock)
            if advance:
                advance(repeats)
    return [Measurement(tuple(times)) for times in times_s], Measurement(tuple(reference_s))


def runs_per_round(iterations, rounds):
    """Return how many timed runs each round holds: `rounds` numbers, the larger ones first."""
    rounds = min(rounds, iterations)
    return [len(part) for part in np.array_split(np.arange(iterations), rounds)]


def _visit(run, repeats, clock):
    """Return the seconds of a few runs, after untimed ones that fill the caches again."""
    warm_up(run, 1, SETTLE_S, clock)
    return [run() for _ in range(repeats)]
