"""Numbers as they are printed where somebody may type them back, as a limit of a search."""

from decimal import ROUND_CEILING, Decimal

DIGITS = 4


def rounded_up(value):
    """Return a positive number as text of 4 significant digits, never less than the number.

    As a limit it is one that the value satisfies.
    """
    exact = Decimal(repr(float(value)))  # what is typed to get this very number
    if not exact.is_finite() or not exact:
        return f"{value:g}"
    last = Decimal(1).scaleb(exact.adjusted() + 1 - DIGITS)
    return f"{float(exact.quantize(last, ROUND_CEILING)):.{DIGITS}g}"


def within(value, limit):
    """Return a value as rounded_up does; the limit itself where that would exceed it."""
    text = rounded_up(value)
    return as_typed(limit) if value <= limit < float(text) else text


def as_typed(limit):
    """Return a limit as text of as few digits as tell it exactly."""
    return next(text for n in (DIGITS, 12, 17) if float(text := f"{limit:.{n}g}") == limit)
