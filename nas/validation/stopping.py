"""When to stop collecting samples: the target error is reached, or more of them do not help."""

import math
from dataclasses import dataclass

import numpy as np

from nas.validation.cross_validation import (
    AUTO,
    FOLDS,
    START,
    CrossValidator,
    choose,
    number_of_trials,
)
from nas.validation.prediction_errors import errors_by_thirds
from utils.formatting import percent

FIRST_CHECK = 50  # samples; fewer say too little about their own error
GROWTH = 1.4  # from one check to the next
LEAST_OF_A_THIRD = 10  # networks of a third of the latency range; fewer do not show its error
WORTHWHILE = 0.03  # doubling the samples should lower the error by at least 3 %, relative


@dataclass(frozen=True)
class Verdict:
    """Whether to go on, judging by the samples collected so far."""

    samples: int
    nrmse: float  # cross-validated, of relative errors
    standard_error: float  # of nrmse
    gain: float  # by which share of the error the last doubling of the samples lowered it
    gain_error: float  # standard error of gain
    target: float
    thirds: tuple[float, ...] = ()  # errors by thirds of the latency range; NaN: too few networks

    @property
    def reached(self):
        """Whether the error plus one standard error, and each third's error, meet the target."""
        met = self.nrmse + self.standard_error <= self.target
        return met and not any(error > self.target for error in self.thirds)

    @property
    def exhausted(self):
        """Whether more samples stopped helping: the gain plus one standard error is small."""
        return self.gain + self.gain_error < WORTHWHILE

    @property
    def stop(self):
        """Whether to stop."""
        return self.reached or self.exhausted

    def __str__(self):
        error = f"{percent(self.nrmse)} ± {percent(self.standard_error)} %"
        error = f"{self.samples} samples: cross-validated error {error}"
        if self.thirds:
            thirds = ("–" if math.isnan(each) else percent(each) for each in self.thirds)
            error += f" (by latency, from fast to slow: {', '.join(thirds)} %)"
        if self.reached:
            return f"{error}: the target of {percent(self.target)} % is reached"
        gain = (
            f"doubling the samples lowered it by {100 * self.gain:.1f} ± "
            f"{100 * self.gain_error:.1f} % of itself"
        )
        if self.exhausted:
            return (
                f"{error}, target {percent(self.target)} %; {gain}: more samples do not help, "
                "what is left is the noise of the timings"
            )
        return f"{error}, target {percent(self.target)} %; {gain}"


def judge(samples, space, target, rng, tick=None):
    """Return the Verdict on samples, a list of (configuration, latency in ms per image).

    target: the wanted error, root mean square of relative errors
    The same held-out networks are predicted by tables fitted to all the other folds and to half
    of them; R is chosen by cross-validation, K hardly matters.
    """
    tick = tick or (lambda: None)
    validator = CrossValidator(samples, space, rng)
    best, _ = choose(validator, regularize=START, tick=tick)
    full_ms = validator.predict(best.regularize, best.strength, tick=tick)
    half_ms, _ = validator.predict_from_part(best.regularize, best.strength, 0.5, tick)
    full_ms, measured_ms = validator.of_networks(full_ms)
    half_ms, _ = validator.of_networks(half_ms)
    full, half = ((full_ms / measured_ms - 1) ** 2, (half_ms / measured_ms - 1) ** 2)
    # gain = 1 - sqrt(mean full / mean half); its standard error by the delta method, paired.
    ratio = full.mean() / half.mean()
    spread = np.std(full - ratio * half, ddof=1) / half.mean() / np.sqrt(len(full))
    return Verdict(
        samples=len(samples),
        nrmse=best.nrmse,
        standard_error=best.standard_error,
        gain=float(1 - np.sqrt(ratio)),
        gain_error=float(spread / (2 * np.sqrt(ratio))),
        target=target,
        thirds=tuple(
            third.rms if third.networks >= LEAST_OF_A_THIRD else math.nan
            for third in errors_by_thirds(full_ms, measured_ms)
        ),
    )


def judge_fits():
    """Return how many problems `judge` solves at most."""
    return (number_of_trials(START, AUTO) + 2) * FOLDS


def next_check(samples):
    """Return at how many samples the next Verdict is due, after one at `samples` or none at 0."""
    return max(FIRST_CHECK, math.ceil(GROWTH * samples))
