"""Conformal intervals: how far to trust a prediction, from errors on networks not trained on.

Relative errors differ with the latency: the fixed costs of small networks are harder to predict,
say, than the arithmetic of large ones. So the errors are first divided by their usual size at the
predicted latency, an ErrorScale; what is left is alike at all latencies and gives one quantile.
Source: split conformal prediction, Vovk et al. 2005, normalised as by Lei et al. 2018.
"""

import math
from dataclasses import dataclass

import numpy as np
from scipy.optimize import brentq

from utils.errors import UserError
from utils.formatting import percent
from utils.json_types import LEAST_MS
from utils.metadata import latencies_as_text, residuals_as_text

LEVEL = 0.9
LEAST_FOR_SCALE = 30  # networks; fewer do not show how errors differ
SCALE_FOLDS = 10  # an error is divided by the scale of the other folds, which has not seen it
SHRINKAGE = 5  # networks of mean error that each third is joined with: some hold only a few


@dataclass(frozen=True)
class ErrorScale:
    """The usual size of relative errors by predicted latency, 1 on average.

    Between the latencies it is interpolated, on logarithmic scales; beyond them it is constant.
    Without any it is 1 everywhere.
    """

    latencies_ms: tuple[float, ...] = ()
    sizes: tuple[float, ...] = ()

    def at(self, predicted_ms):
        """Return the sizes at predictions in ms, of their shape."""
        predicted_ms = np.asarray(predicted_ms, dtype=np.float64)
        if not self.sizes:
            return np.ones_like(predicted_ms)
        return np.exp(
            np.interp(np.log(predicted_ms), np.log(self.latencies_ms), np.log(self.sizes))
        )

    @classmethod
    def of(cls, predicted_ms, errors):
        """Return the scale of relative errors, (n,): their mean size in thirds of the range.

        The thirds are equal on a logarithmic scale, as errors_by_thirds has them: the corners hold
        few networks, but searches answer there. Fewer than 30 networks have the scale 1.
        """
        sizes = np.abs(errors)
        if len(sizes) < LEAST_FOR_SCALE or not sizes.any():
            return cls()
        low_ms, high_ms = max(np.min(predicted_ms), LEAST_MS), np.max(predicted_ms)
        if not low_ms < high_ms:
            return cls()
        edges = np.geomspace(low_ms, high_ms, 7)  # ends and middles of the thirds
        third = np.searchsorted(edges[2:5:2], predicted_ms, side="right")
        networks, sums = np.bincount(third, minlength=3), np.bincount(third, sizes, minlength=3)
        relative = (sums / sizes.mean() + SHRINKAGE) / (networks + SHRINKAGE)
        return cls(tuple(edges[1::2].tolist()), tuple(relative.tolist()))


def normalised(predicted_ms, errors):
    """Return relative errors, (n,), divided by their usual size at the predicted latencies in ms.

    Each by the scale of the other folds: divided by a scale made from themselves, errors would seem
    smaller than new ones are.
    """
    fold_of = np.empty(len(errors), dtype=np.int64)
    fold_of[np.argsort(predicted_ms, kind="stable")] = np.arange(len(errors)) % SCALE_FOLDS
    sizes = np.ones(len(errors))
    for fold in range(min(SCALE_FOLDS, len(errors))):
        others, own = fold_of != fold, fold_of == fold
        sizes[own] = ErrorScale.of(predicted_ms[others], errors[others]).at(predicted_ms[own])
    return errors / sizes


@dataclass(frozen=True)
class Interval:
    """A share `level` of new networks is within prediction · (1 ± half_width · scale)."""

    level: float
    half_width: float  # relative to the prediction, where errors are of their mean size
    residuals: int  # number of networks that it was calibrated on
    scale: ErrorScale = ErrorScale()

    @property
    def name(self):
        """What the interval is called: "90 % interval"."""
        return f"{100 * self.level:g} % interval"

    @property
    def width(self):
        """Its half-width as text: "5.5 %", or "2 to 8 %" if it differs with the latency."""
        sizes = self.scale.sizes or (1.0,)
        ends = [percent(self.half_width * size) for size in (min(sizes), max(sizes))]
        return f"{' to '.join(dict.fromkeys(ends))} %"

    def half_widths(self, predicted_ms):
        """Return the half-widths relative to predictions in ms, of their shape."""
        return self.half_width * self.scale.at(predicted_ms)

    def bounds(self, predicted_ms):
        """Return (low, high) in ms around predictions in ms."""
        predicted_ms = np.asarray(predicted_ms, dtype=np.float64)
        half_widths = self.half_widths(predicted_ms)
        return predicted_ms * (1 - half_widths), predicted_ms * (1 + half_widths)

    def coverage(self, predicted_ms, measured_ms):
        """Return the share of networks whose measured latency is inside."""
        low_ms, high_ms = self.bounds(predicted_ms)
        return float(np.mean((low_ms <= measured_ms) & (measured_ms <= high_ms)))

    @classmethod
    def of(cls, table):
        """Return the interval that a table was fitted with, or None if its metadata has none."""
        stated = table.metadata.fit.interval
        if not stated:
            return None
        scale = ErrorScale(tuple(stated.latencies_ms), tuple(stated.sizes))
        return cls(stated.level, stated.half_width, stated.residuals, scale)

    def as_dict(self):
        """Return the fields of metadata.fit.interval."""
        return {
            "level": self.level,
            "half_width": self.half_width,
            "residuals": self.residuals,
            "latencies_ms": list(self.scale.latencies_ms),
            "sizes": list(self.scale.sizes),
        }


@dataclass(frozen=True)
class Residuals:
    """The relative errors, measured / predicted - 1, of networks that a table was not fitted to."""

    values: np.ndarray  # (n,)
    predicted_ms: np.ndarray | None = None  # (n,), None in the metadata of older tables

    @property
    def measured_ms(self):
        """The measured latencies, (n,)."""
        return self.predicted_ms * (1 + self.values)

    def margin(self, confidence, target_ms=None):
        """Return how much slower than predicted, relative, a new network is at most.

        confidence: the probability with which the bound holds, for a network drawn like these: it
        is the ceil((n + 1) · confidence)-th smallest of the n errors (split conformal prediction,
        one-sided). May be negative. Raises UserError if there are too few.
        target_ms:  the margin of the network whose bound, prediction · (1 + margin), is this; None:
        that of a network whose errors are of the mean size
        """
        rank = _rank(len(self.values), confidence)
        if rank > len(self.values):
            least = math.ceil(round(confidence / (1 - confidence), 9))  # 9.000000000000002 for 0.9
            raise UserError(
                f"a confidence of {confidence:g} needs at least {least} measured networks, "
                f"the table has {len(self.values)}"
            )
        if self.predicted_ms is None:
            return float(np.sort(self.values)[rank - 1])
        scale = ErrorScale.of(self.predicted_ms, self.values)
        quantile = np.sort(normalised(self.predicted_ms, self.values))[rank - 1]
        return float(quantile) if target_ms is None else _margin_at(target_ms, quantile, scale)

    def within(self, predicted_ms, share):
        """Return how many of the networks are predicted to take about as long, None if unknown.

        share: the greatest difference, relative to predicted_ms
        """
        if self.predicted_ms is None:
            return None
        return int(np.sum(np.abs(self.predicted_ms / predicted_ms - 1) <= share))

    def as_dict(self):
        """Return the fields of metadata.fit that state the errors, in increasing order."""
        fields = {"residuals_per_mille": residuals_as_text(self.values)}
        if self.predicted_ms is not None:
            order = np.argsort(self.values, kind="stable")
            fields["residuals_at_ms"] = latencies_as_text(np.asarray(self.predicted_ms)[order])
        return fields

    @classmethod
    def of(cls, table):
        """Return the residuals that a table was fitted with; UserError if its metadata has none."""
        fitted = table.metadata.fit
        values, predicted_ms = fitted.residuals, fitted.residuals_predicted_ms
        if values is None:
            raise UserError(
                f"{table.source} does not state its errors: fit it anew by latency.py fit"
            )
        return cls(values, predicted_ms)


def _rank(count, confidence):
    """Return ceil((count + 1) · confidence): 55 of 99 and 0.55, although 100 * 0.55 > 55."""
    return math.ceil(round((count + 1) * confidence, 9))


def _margin_at(target_ms, quantile, scale):
    """Return margin = quantile · scale(T) of the T with T · (1 + margin) = target_ms."""
    if not scale.sizes:
        return float(quantile)
    ends = sorted(quantile * size for size in (min(scale.sizes), max(scale.sizes)))
    low_ms, high_ms = (target_ms / (1 + end) for end in reversed(ends))
    predicted_ms = brentq(
        lambda ms: ms * (1 + quantile * scale.at(ms)) - target_ms,
        low_ms * (1 - 1e-9),
        high_ms * (1 + 1e-9),
    )
    return float(quantile * scale.at(predicted_ms))


def calibrate(predicted_ms, measured_ms, level=LEVEL):
    """Return the Interval of cross-validated predictions, or None if there are too few.

    The half-width is the ceil((n + 1) · level)-th smallest of the n relative errors, each divided
    by the scale, which covers a new network with probability at least `level` if it is drawn like
    these.
    Source: see above; cross-validated residuals, Barber et al. 2021 (CV+), of which this is the
    symmetric, relative form.
    """
    predicted_ms, measured_ms = np.asarray(predicted_ms), np.asarray(measured_ms)
    errors = measured_ms / predicted_ms - 1
    rank = _rank(len(errors), level)
    if rank > len(errors):
        return None
    sizes = np.sort(np.abs(normalised(predicted_ms, errors)))
    return Interval(level, float(sizes[rank - 1]), len(errors), ErrorScale.of(predicted_ms, errors))
