"""Latency targets with the tables that predict whether they are met: limits of a width search."""

from dataclasses import dataclass

from nas.constraint import Constraint
from nas.exact.constrained_search import greatest_sum
from nas.latency_table import LatencyTable
from nas.validation.conformal import Residuals
from utils.formatting import as_typed, rounded_up
from utils.progress import warn

WRONG_UNIT = 100  # times the greatest value: such a target is hardly meant


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
        return Constraint(pairwise, self.target_ms, self.name, is_bound=bool(self.confidence))


def latency_field(constraint):
    """Return what a file calls the values of a Constraint on a latency."""
    return "upper_bound_ms" if constraint.is_bound else "latency_ms"


def warn_of_loose(constraints, space):
    """Print a warning for each Constraint that all configurations of a space satisfy."""
    for each in constraints:
        greatest = greatest_sum(space.sizes, each.pairwise)
        if each.limit < greatest:
            continue
        unit = "ms per image" if each.unit == "ms" else each.unit
        doubt = ": is its unit right?" if each.limit > WRONG_UNIT * greatest else ""
        warn(
            f"target {as_typed(each.limit)} {each.unit} excludes nothing: the greatest "
            f"{each.name} of any configuration is {rounded_up(greatest)} {unit}{doubt}"
        )


def open_limits(paths, targets_ms, confidence):
    """Return the LatencyLimits of tables' files and as many targets in ms per image."""
    limits = []
    for path, target_ms in zip(paths, targets_ms, strict=True):
        name = "latency" if len(paths) == 1 else f"latency by {path}"
        if confidence:
            name = f"upper bound ({100 * confidence:g} % confidence) of the {name}"
        limits.append(LatencyLimit(LatencyTable.load(path), target_ms, name, confidence))
    return limits
