"""Oracle: every rounding by itertools, priced by LatencyTable.predict."""

import itertools
import math

import numpy as np
import pytest

from benchmarks.peers.rounding import RoundingSearch
from nas.latency_table import LatencyTable
from nas.search_space import SearchSpace
from utils.metadata import Metadata

# Six layers, two of them with a single choice.
SPACE = SearchSpace(
    32, 10, 0.1, 1.0, 5, base_widths=(8, 64, 64, 128, 8, 128), strides=(2, 1, 2, 1, 1, 2)
)


@pytest.fixture(scope="module")
def table():
    rng = np.random.default_rng(0)
    entries = {v: v.in_channels * v.out_channels * rng.uniform(1, 2) for v in SPACE.variables}
    return LatencyTable(entries, Metadata.of({"search_space": SPACE.as_dict()}))


def around(width, choices):
    """Return the choices next to a width, by looking at all of them."""
    below = [c for c in choices if c <= width]
    above = [c for c in choices if c >= width]
    return {max(below, default=choices[0]), min(above, default=choices[-1])}


def best(table, history, target_ms):
    """Return the greatest product of widths within the target, of all roundings of all steps."""
    roundings = {
        rounding
        for widths in history
        for rounding in itertools.product(*map(around, widths, SPACE.choices))
    }
    return max(math.prod(c) for c in roundings if table.predict(c) <= target_ms)


def shrinking(rng):
    """Return widths after each step of a pruning that removes channels at random."""
    history = [np.array(SPACE.largest)]
    while history[-1].max() > 1:
        history.append(np.maximum(history[-1] - rng.integers(12, size=len(SPACE.choices)), 1))
    return history


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("share", [0.1, 0.4, 0.8, 1.0])
def test_the_best_rounding_of_all_steps_is_found(table, seed, share):
    history = shrinking(np.random.default_rng(seed))
    search = RoundingSearch(table, SPACE, share * table.predict(SPACE.largest))
    seen = []
    for widths in history:
        search.see(widths)
        seen.append(widths)
        if search.is_done:
            break
    assert search.is_done
    # Also of the steps after the last one that was looked at.
    assert math.prod(search.best) == best(table, history, search.target_ms)
    assert table.predict(search.best) <= search.target_ms
    assert any(search.rounded == tuple(widths) for widths in seen)


def test_nothing_is_found_while_no_rounding_meets_the_target(table):
    search = RoundingSearch(table, SPACE, 0.5 * table.predict(SPACE.smallest))
    for widths in (SPACE.largest, (1,) * len(SPACE.choices)):
        search.see(widths)
        assert search.best is None
        assert not search.is_done


def test_a_target_that_the_widest_network_meets_takes_it(table):
    search = RoundingSearch(table, SPACE, table.predict(SPACE.largest))
    search.see(SPACE.largest)
    assert search.is_done
    assert search.best == SPACE.largest
