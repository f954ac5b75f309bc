"""Latency targets as users state them, in ms per image."""

from utils.errors import UserError
from utils.formatting import as_typed, rounded_up


def resolved(target, space, table):
    """Return a nas.latency_target.LatencyTarget in ms per image, rounded as it is printed.

    Raises UserError if that needs a table and it is None.
    """
    if target.unit == "ms":
        return target.number
    if table is None:
        raise UserError(f"--latency-target {target.text} needs --latency-model, which predicts it")
    return float(rounded_up(target.resolve(space, table.pairwise(space))))


def resolution_as_text(target, target_ms, table):
    """Return a line with a target in ms, None if it is stated in ms."""
    if target.unit == "ms":
        return None
    return f"target {target.text}: {as_typed(target_ms)} ms per image by {table.source}"


def open_target(target, table):
    """Return a target of `benchmark` in ms, None without one; table: a LatencyTable or None."""
    if target is None:
        return None
    return resolved(target, table and table.space, table)
