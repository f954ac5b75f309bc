"""Numbers as text: to be read, or to be typed back as the limit of a search."""

from decimal import ROUND_CEILING, Decimal

DIGITS = 4  # of numbers that may be typed back
NOISE = 1e-14  # relative: rounding of sums; a search allows for ten times as much


def percent(share):
    """Return a share in per cent, with at most two decimals: 0.0313 is "3.13"."""
    return f"{100 * share:.2f}".rstrip("0").rstrip(".")


def rounded(value):
    """Return a number as text, to three significant digits: 316.23 is "316", 316228 is "316000"."""
    return f"{float(f'{value:.3g}'):g}"


def rounded_up(value):
    """Return a positive number as text, rounded up (except for noise) to 4 significant digits.

    As a limit, it is one that the value satisfies.
    """
    exact = Decimal(float(value) * (1 - NOISE))
    if not exact.is_finite() or not exact:
        return f"{value:g}"
    last = Decimal(1).scaleb(exact.adjusted() + 1 - DIGITS)
    return f"{float(exact.quantize(last, ROUND_CEILING)):.{DIGITS}g}"


def within(value, limit):
    """Return a value as rounded_up does; the limit itself where that would exceed it."""
    text = rounded_up(value)
    return as_typed(limit) if value <= limit < float(text) else text


def as_typed(limit):
    """Return a limit as text: 4 significant digits if they are exact, else all but noise."""
    text = f"{limit:.{DIGITS}g}"
    return text if float(text) == limit else f"{limit:.14g}"
