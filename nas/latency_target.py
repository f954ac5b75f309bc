"""Latency targets as users state them: in ms, as a share of the widest network, as a MobileNet's.

Predictions for widths between those of a table are interpolated: see nas.interpolation.Place.
"""

import itertools
import re
from dataclasses import dataclass
from decimal import Decimal

import numpy as np

from models.description import NUMBER
from nas.interpolation import Place
from utils.errors import UserError

FORMS = "0.04 (ms per image), 60% (of the widest network's latency) or 0.6xMOBILENET"


@dataclass(frozen=True)
class LatencyTarget:
    """A target as it was typed, with its number and the number's unit: "ms", "%" or "x"."""

    text: str
    number: float
    unit: str

    def resolve(self, space, pairwise):
        """Return the target in ms per image.

        pairwise: the latencies of a table for a SearchSpace, as LatencyTable.pairwise gives them
        Raises UserError if a MobileNet's widths are outside the space.
        """
        if self.unit == "ms":
            return self.number
        if self.unit == "%":
            return self.number / 100 * Place(space, space.largest).value(pairwise)
        configuration = space.description.parse(self.text)
        return Place(space, configuration, self.text).value(pairwise)


def parse_target(text):
    """Return the LatencyTarget that a text states; raises UserError for anything else."""
    match = re.fullmatch(rf"\s*({NUMBER})\s*(%|ms|[x×*]\s*[^\W_].*|)\s*", text)
    if not match and not re.fullmatch(r"\s*[^\W\d_a-z].*", text):  # a network's name alone
        raise UserError(f"target {text!r} is none of {FORMS}")
    number, unit = match.groups() if match else ("1", "x")
    value = float(number)
    if not 0 < value < np.inf:
        raise UserError(f"target {text!r}: the number must be greater than 0 and finite")
    if unit == "%" and value > 100:
        raise UserError(f"target {text!r} is more than the widest network takes, 100%")
    return LatencyTarget(text.strip(), value, {"%": "%", "ms": "ms", "": "ms"}.get(unit, "x"))


@dataclass(frozen=True)
class UniformNetwork:
    """A network of one width multiplier, and its interpolated value of each constraint."""

    multiplier: float
    configuration: tuple[int, ...]
    values: tuple[float, ...]
    place: Place  # of its widths


def feasible_uniform(space, constraints):
    """Yield the UniformNetworks that satisfy all Constraints, the widest first.

    Any multiplier in the range of the space counts: widths go in steps of 8 channels and need not
    be choices of the space.
    """
    for multiplier in reversed(all_multipliers(space)):
        configuration = space.description.scaled(multiplier)
        place = Place(space, configuration)
        values = tuple(place.value(constraint.pairwise) for constraint in constraints)
        if all(each.admits(value) for value, each in zip(values, constraints, strict=True)):
            yield UniformNetwork(multiplier, configuration, values, place)


def all_multipliers(space):
    """Return increasing multipliers, one for each distinct uniform network of a SearchSpace.

    Each is the number of fewest decimals that gives its network.
    """
    steps = [
        (np.arange(1, int(space.max_width * base / 8) + 1) + 0.5) * 8 / base
        for base in set(space.description.base_widths)
    ]
    steps = np.unique(np.concatenate([*steps, [1]]))  # at 1 are the base widths, whatever they are
    inside = steps[(steps > space.min_width) & (steps < space.max_width)]
    edges = [space.min_width, *inside.tolist(), space.max_width]
    middles = [_roundest(low, high) for low, high in itertools.pairwise(edges)]
    found = {}
    # At a step, halves round to even: its network may be neither side's.
    for multiplier in sorted([*edges, *middles], key=_decimals):
        found.setdefault(space.description.scaled(multiplier), multiplier)
    return sorted(found.values())


def _decimals(number):
    return -Decimal(repr(float(number))).normalize().as_tuple().exponent


def _roundest(low, high):
    """Return the number of fewest decimals inside an interval, near its middle."""
    for decimals in range(1, 12):
        number = round((low + high) / 2, decimals)
        if low < number < high:
            return number
    return (low + high) / 2
