"""What cross-validation found: values to be written, read back and drawn, without a solver."""

from collections import Counter
from dataclasses import dataclass


@dataclass(frozen=True)
class Trial:
    """The cross-validated error of one (K, R)."""

    regularize: float
    strength: float
    nrmse: float  # root mean square of relative errors on held-out folds
    standard_error: float  # of nrmse


@dataclass(frozen=True)
class LearningPoint:
    """The cross-validated error of tables fitted to part of the training folds."""

    samples: int  # networks that each table was fitted to, on average
    nrmse: float
    standard_error: float


def scan_of(trials, name):
    """Return the trials that differ in "regularize" or "strength" alone, in its order.

    An empty list if it was not searched.
    """
    other = "strength" if name == "regularize" else "regularize"
    common, count = Counter(getattr(trial, other) for trial in trials).most_common(1)[0]
    if count == 1:
        return []
    scanned = [trial for trial in trials if getattr(trial, other) == common]
    return sorted(scanned, key=lambda trial: getattr(trial, name))


def flat_range(trials, name, tolerance=0.01):
    """Return (low, high): the tried values of "regularize" or "strength" about as good as the best.

    Their errors are at most 1 + tolerance times the least; None if it was not searched.
    """
    scanned = scan_of(trials, name)
    least = min((trial.nrmse for trial in scanned), default=0)
    good = [getattr(t, name) for t in scanned if t.nrmse <= (1 + tolerance) * least]
    return (min(good), max(good)) if good else None
