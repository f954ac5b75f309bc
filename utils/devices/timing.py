"""Timing: measurements that keep their raw times, warm-up, runs in a row and in rounds.

A `run` is a function without arguments that runs one batch and returns the seconds it took; a
`visit` is a function of a number of runs that returns the seconds of each.
"""

import time
from dataclasses import dataclass
from decimal import Decimal

import numpy as np

REDUCTIONS = ("mean", "median", "min", "quartile")
BOOTSTRAPS = 200
NOISY = 0.1  # IQR / median above which a measurement is not trusted
ONE_UNTIMED = 1  # run before runs in a row, and where a file does not state how many
REFERENCE_EVERY = 5  # networks after which a round times the reference network again
DIGITS = 12  # of a time, so that rounding to binary fractions shows none
SETTLE_S = 0.002  # untimed seconds of a visit, while the caches hold the last network's data


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
        """The lower quartile: disturbances make a machine slower, hardly ever faster."""
        return float(np.quantile(self.times_s, 0.25))

    @property
    def iqr_s(self):
        """The interquartile range."""
        return float(np.quantile(self.times_s, 0.75) - self.quartile_s)

    def noise(self, reduction, rng):
        """Return the standard error of the reduced times, relative to them.

        By the bootstrap; times that vary less than their last digit, as programs print few, are
        known to that digit. Infinite for a single time, which tells nothing of it.
        """
        if len(self.times_s) == 1:
            return np.inf
        times_s = np.array(self.times_s)
        drawn = rng.integers(len(times_s), size=(BOOTSTRAPS, len(times_s)))
        reduced_s = [Measurement(tuple(times_s[row])).reduced_s(reduction) for row in drawn]
        noise_s, rounding_s = np.std(reduced_s), self._last_digit_s / np.sqrt(12)
        if np.std(times_s) < rounding_s:
            noise_s = np.hypot(noise_s, rounding_s)
        return float(noise_s / self.reduced_s(reduction))

    @property
    def _last_digit_s(self):
        """What the last decimal place of the times that have most of them stands for."""
        decimals = (Decimal(f"{seconds:.{DIGITS}g}").normalize() for seconds in self.times_s)
        return 10.0 ** min(each.as_tuple().exponent for each in decimals)

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
    """Run once and return the seconds it took, by a clock."""
    start = clock()
    run()
    return clock() - start


def warm_up(run, count, seconds=0.0, clock=time.perf_counter):
    """Run untimed at least `count` times and for at least `seconds`; return the number of runs."""
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


def in_turn(visits, repeats):
    """Yield the seconds of each of several visits."""
    for each in visits:
        yield each(repeats)


def time_in_rounds(visits, reference, iterations, rounds, rng, advance=None, made=in_turn):
    """Time several networks and a reference a few runs at a time, round after round.

    visits:     one visit per network; reference: that of the reference network
    made:       makes the visits of a round, as in_turn does; with another one they may be anything
    iterations: timed runs of each network, spread evenly over the rounds
    rng:        draws the order of the networks of each round
    advance:    if given, called with the number of timed runs after each visit to a network
    Returns (one Measurement per network, the Measurement of the reference). A slow second of the
    machine affects a few runs of many networks, which a low quantile ignores, rather than all runs
    of one; slow drift affects all networks and the reference alike.
    """
    times_s = [[] for _ in visits]
    reference_s = []
    for repeats in runs_per_round(iterations, rounds):
        order = []
        for position, index in enumerate(rng.permutation(len(visits))):
            order += [None, index] if position % REFERENCE_EVERY == 0 else [index]
        planned = [reference if index is None else visits[index] for index in order]
        for index, seconds in zip(order, made(planned, repeats), strict=True):
            if index is None:
                reference_s += seconds
                continue
            times_s[index] += seconds
            if advance:
                advance(repeats)
    return [Measurement(tuple(times)) for times in times_s], Measurement(tuple(reference_s))


def runs_per_round(iterations, rounds):
    """Return the number of timed runs in each round: `rounds` numbers, the larger ones first."""
    rounds = min(rounds, iterations)
    return [len(part) for part in np.array_split(np.arange(iterations), rounds)]


def visit(run, repeats, untimed, seconds=SETTLE_S, clock=time.perf_counter):
    """Return the seconds of a few runs, after untimed ones that refill the caches."""
    warm_up(run, untimed, seconds, clock)
    return [run() for _ in range(repeats)]
