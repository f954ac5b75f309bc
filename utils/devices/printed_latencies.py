"""The latencies that a program prints: a number per line, a JSON array, or what a pattern finds."""

import json
import math
import re

from utils.errors import UserError
from utils.json_types import LEAST_MS, MOST_MS

UNITS_S = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9}  # names of a pattern's groups
LONGEST = 300  # characters of a program's line in a message


def parse_pattern(text):
    """Return the compiled regular expression of --command-pattern.

    The number is a group that is named after one of UNITS_S, or else the first group, in ms. There
    may be a group for each unit, of which one matches.
    Raises UserError if it is not a regular expression with a group, or if it names groups, none of
    them after a unit.
    """
    try:
        pattern = re.compile(text, re.MULTILINE)
    except re.error as error:
        raise UserError(f"{text!r} is not a regular expression: {error}") from None
    if not pattern.groups:
        raise UserError(f"{text!r} has no group, such as in 'median: ([0-9.]+) ms'")
    if pattern.groupindex and not pattern.groupindex.keys() & UNITS_S.keys():
        names = ", ".join(pattern.groupindex)
        raise UserError(f"{text!r} names the group {names}, which is no unit: {', '.join(UNITS_S)}")
    return pattern


def printed_latencies_s(output, errors="", pattern=None):
    """Return the latencies, in seconds, that a program printed.

    output, errors: what it printed to its two streams. Without a pattern, `output` must hold a
    number of ms in each line, or a JSON array of them; with one, every match in both counts.
    Raises UserError if there is none, or one is not a positive, finite number; it says what "was
    printed", to be completed by what printed it.
    """
    if pattern:
        found = [_found(match) for text in (output, errors) for match in pattern.finditer(text)]
    else:
        found = [(number, UNITS_S["ms"]) for number in _numbers(output)]
    if not found:
        last = last_line(errors) if pattern and not output.strip() else last_line(output)
        raise UserError(
            "printed no latency" + (f", but ended in {last!r}" if last else ", nothing at all")
        )
    return [unit_s * _checked(number, unit_s) for number, unit_s in found]


def last_line(text):
    """Return the last line that is not empty, shortened and without control characters."""
    lines = [" ".join(line.split()) for line in text.splitlines()]
    last = next((line for line in reversed(lines) if line), "")
    last = "".join(character if character.isprintable() else "?" for character in last)
    return last if len(last) <= LONGEST else f"{last[:LONGEST]} …"


def _found(match):
    """Return (number, seconds of its unit) of a match."""
    for unit, number in match.groupdict().items():
        if unit in UNITS_S and number is not None:
            return number, UNITS_S[unit]
    return match[1], UNITS_S["ms"]


def _numbers(output):
    """Return the elements of a JSON array, or the lines that are not empty."""
    if not output.lstrip().startswith("["):
        return [line.strip() for line in output.splitlines() if line.strip()]
    try:
        array = json.loads(output)
    except (ValueError, RecursionError) as error:
        raise UserError(f"printed no JSON array: {str(error).partition(';')[0]}") from None
    return array


def _checked(found, unit_s):
    """Return a number that was found as a float; found: text, or a value from JSON."""
    try:
        if not isinstance(found, str | int | float) or isinstance(found, bool):
            raise TypeError
        if isinstance(found, str) and ("_" in found or not found.isascii()):  # Python's, not C's
            raise ValueError
        number = float(found)
    except (TypeError, ValueError, OverflowError):
        raise UserError(
            f"printed {last_line(str(found))!r} where a latency was expected: --command-pattern "
            "says where it is"
        ) from None
    if not (math.isfinite(number) and LEAST_MS <= 1e3 * unit_s * number <= MOST_MS):
        raise UserError(f"printed the latency {found!s:.40}, which is not positive and finite")
    return number
