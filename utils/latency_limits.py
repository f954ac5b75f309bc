"""Latency targets with the tables that predict whether they are met: limits of a width search."""

from dataclasses import dataclass

from nas.conformal import Residuals
from nas.constrained_search import Constraint
from nas.latency_table import LatencyTable


@dataclass(frozen=True)
class LatencyLimit:
    """A target in ms per image on the device that a table was fitted for."""

    table: LatencyTable
    target_ms: float
    name: str = "latency"  # in messages; more than one limit must be told apart
    confidence: float | None = None  # with which the target is to be met; None: as predicted

    @property
    def margin(self):
        """How much slower than predicted, relative, a network may turn out to be."""
        return Residuals.of(self.table).margin(self.confidence) if self.confidence else 0.0

    def constraint(self, space, factor=1.0):
        """Return the Constraint on the table's upper bound.

        factor: by which the table is known to be wrong where it matters
        Raises UserError if the table lacks variables of the space, or does not state its errors.
        """
        scale = factor * (1 + self.margin)
        pairwise = [scale * block for block in self.table.pairwise(space)]
        return Constraint(pairwise, self.target_ms, self.name)


def open_limits(paths, targets_ms, confidence):
    """Return the LatencyLimits of tables' files and as many targets in ms per image."""
    limits = []
    for path, target_ms in zip(paths, targets_ms, strict=True):
        name = "latency" if len(paths) == 1 else f"latency by {path}"
        if confidence:
            name = f"upper bound ({100 * confidence:g} % confidence) of the {name}"
        limits.append(LatencyLimit(LatencyTable.load(path), target_ms, name, confidence))
    return limits
