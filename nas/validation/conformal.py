"""Conformal intervals: how far to trust a prediction, from errors on networks not trained on."""

import math
from dataclasses import asdict, dataclass

import numpy as np

from utils.errors import UserError

LEVEL = 0.9


@dataclass(frozen=True)
class Interval:
    """A share `level` of new networks is within prediction · (1 ± half_width)."""

    level: float
    half_width: float  # relative to the prediction
    residuals: int  # number of networks that it was calibrated on

    @property
    def name(self):
        """What the interval is called: "90 % interval"."""
        return f"{100 * self.level:g} % interval"

    def bounds(self, predicted_ms):
        """Return (low, high) in ms around predictions in ms."""
        predicted_ms = np.asarray(predicted_ms, dtype=np.float64)
        return predicted_ms * (1 - self.half_width), predicted_ms * (1 + self.half_width)

    def coverage(self, predicted_ms, measured_ms):
        """Return the share of networks whose measured latency is inside."""
        low_ms, high_ms = self.bounds(predicted_ms)
        return float(np.mean((low_ms <= measured_ms) & (measured_ms <= high_ms)))

    def as_dict(self):
        """Return the fields that a table's metadata states."""
        return asdict(self)

    @classmethod
    def of(cls, table):
        """Return the interval that a table was fitted with, or None if its metadata has none."""
        fields = table.metadata.get("fit", {}).get("interval")
        if fields is None:
            return None
        try:
            return cls(**{name: fields[name] for name in cls.__dataclass_fields__})
        except (KeyError, TypeError):
            raise UserError(f"{table.source}: its metadata has no valid interval") from None


@dataclass(frozen=True)
class Residuals:
    """The relative errors, measured / predicted - 1, of networks that a table was not fitted to."""

    values: np.ndarray  # (n,)

    def margin(self, confidence):
        """Return by how much, relative, a new network is slower than predicted at most.

        confidence: the probability with which the bound holds, for a network drawn like these: it
        is the ceil((n + 1) · confidence)-th smallest of the n errors (split conformal prediction,
        one-sided). May be negative. Raises UserError if there are too few.
        """
        rank = math.ceil((len(self.values) + 1) * confidence)
        if rank > len(self.values):
            raise UserError(
                f"a confidence of {confidence:g} needs at least "
                f"{math.ceil(1 / (1 - confidence) - 1)} measured networks, the table has "
                f"{len(self.values)}"
            )
        return float(np.sort(self.values)[rank - 1])

    def as_text(self):
        """Return the errors as text for a table's metadata, in per mille with two digits."""
        return " ".join(f"{1e3 * value:.2f}" for value in np.sort(self.values))

    @classmethod
    def of(cls, table):
        """Return the residuals that a table was fitted with; UserError if its metadata has none."""
        text = table.metadata.get("fit", {}).get("residuals_per_mille")
        try:
            values = np.array([float(number) / 1e3 for number in text.split()])
        except (AttributeError, ValueError):
            values = np.array([np.nan])
        if not np.isfinite(values).all():
            raise UserError(
                f"{table.source} does not state its errors: fit it anew by latency.py fit"
            )
        return cls(values)


def calibrate(predicted_ms, measured_ms, level=LEVEL):
    """Return the Interval of cross-validated predictions, or None if there are too few.

    The half-width is the ceil((n + 1) · level)-th smallest of the n relative errors, which covers
    a new network with probability at least `level` if it is drawn like these.
    Source: split conformal prediction, Vovk et al. 2005; cross-validated residuals, Barber et al.
    2021 (CV+), of which this is the symmetric, relative form.
    """
    predicted_ms, measured_ms = np.asarray(predicted_ms), np.asarray(measured_ms)
    residuals = np.sort(np.abs(measured_ms / predicted_ms - 1))
    rank = math.ceil((len(residuals) + 1) * level)
    if rank > len(residuals):
        return None
    return Interval(level, float(residuals[rank - 1]), len(residuals))
