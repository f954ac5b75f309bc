"""Latency targets with the tables that predict whether they are met: limits of a width search."""

from dataclasses import dataclass

from nas.constraint import Constraint, greatest_sum
from nas.latency_table import LatencyTable
from nas.search_space import SearchSpace
from nas.validation.conformal import Residuals
from pipeline.latency.target import resolution_as_text, resolved
from utils.formatting import as_typed, rounded_up
from utils.metadata import NETWORK_DIGEST
from utils.progress import warn

NEAR, LEAST_NEAR = 0.15, 3  # relative distance to a target, and samples needed within it
WRONG_UNIT = 100  # times the greatest value: a target beyond that is hardly meant


@dataclass(frozen=True)
class LatencyLimit:
    """A target in ms per image on the device that a table was fitted for."""

    table: LatencyTable
    target_ms: float
    name: str = "latency"  # in messages; more than one limit must be told apart
    confidence: float | None = None  # with which the target is to be met; None: as predicted

    @property
    def margin(self):
        """How much slower than predicted, relative, a network near the target may be."""
        if not self.confidence:
            return 0.0
        return Residuals.of(self.table).margin(self.confidence, self.target_ms)

    def constraint(self, space, factor=1.0):
        """Return the Constraint on the table's upper bound.

        factor: by which the table is known to be wrong near the target
        Raises UserError if the table lacks variables of the space, or does not state its errors.
        """
        scale = factor * (1 + self.margin)
        pairwise = [scale * block for block in self.table.pairwise(space)]
        return Constraint(pairwise, self.target_ms, self.name, is_bound=bool(self.confidence))


def latency_field(constraint):
    """Return what a file calls the values of a Constraint on a latency."""
    return "upper_bound_ms" if constraint.is_bound else "latency_ms"


def warn_of_loose(constraints, space):
    """Print a warning for each Constraint that all configurations of a space satisfy.

    Returns whether there is one.
    """
    loose = False
    for each in constraints:
        greatest = greatest_sum(space.chain.node_sizes, each.pairwise)
        if each.limit < greatest:
            continue
        loose = True
        unit = "ms per image" if each.unit == "ms" else each.unit
        doubt = ": is its unit right?" if each.limit > WRONG_UNIT * greatest else ""
        warn(
            f"target {as_typed(each.limit)} {each.unit} excludes nothing: the greatest "
            f"{each.name} of any configuration is {rounded_up(greatest)} {unit}{doubt}"
        )
    return loose


def search_space_of(question, table):
    """Return the search space: the table's own, unless an option says otherwise."""
    fields = table.space.as_dict()
    fields.pop(NETWORK_DIGEST, None)  # it was compared when the table's space was read
    for name in ("network", "input_size", "min_width", "max_width", "levels"):
        if getattr(question, name) is not None:
            fields[name] = getattr(question, name)
    return SearchSpace.from_dict(fields)


def is_sampled(limit):
    """Return whether a table has enough samples near a target; True if unknown."""
    if limit.table.metadata.fit.residuals_predicted_ms is None:
        return True
    return Residuals.of(limit.table).within(limit.target_ms, NEAR) >= LEAST_NEAR


def warn_of_unsampled(limits):
    """Print a warning for each LatencyLimit whose answers lie where its table was not sampled."""
    for limit in limits:
        if not is_sampled(limit):
            warn(
                f"{limit.table.source} was fitted to fewer than {LEAST_NEAR} networks within "
                f"{NEAR:.0%} of {as_typed(limit.target_ms)} ms: its predictions there are not "
                "tested; add samples (latency.py generate), or --verify"
            )


def open_limits(question):
    """Return the LatencyLimits of a Question: of each table's file and its target.

    Prints the number of a target that is not stated in ms.
    """
    paths, confidence, limits = question.latency_model, question.confidence, []
    tables = [LatencyTable.load(path) for path in paths]
    space = search_space_of(question, tables[0])
    for path, table, target in zip(paths, tables, question.latency_target, strict=True):
        target_ms = resolved(target, space, table)
        if text := resolution_as_text(target, target_ms, table):
            print(text)
        name = "latency" if len(paths) == 1 else f"latency by {path}"
        if confidence:
            name = f"upper bound ({100 * confidence:g} % confidence) of the {name}"
        limits.append(LatencyLimit(table, target_ms, name, confidence))
    return limits
