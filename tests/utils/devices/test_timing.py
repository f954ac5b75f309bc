"""Timing with a mock clock and scripted runs: every number is checked by hand."""

from functools import partial

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from utils.devices.timing import (
    Measurement,
    elapsed_s,
    runs_per_round,
    time_in_a_row,
    time_in_rounds,
    visit,
    warm_up,
)


class MockClock:
    """A clock that only moves when a run advances it."""

    def __init__(self):
        self.now_s = 100.0

    def __call__(self):
        return self.now_s

    def run_of(self, seconds):
        """Return a run that takes so long by this clock."""

        def run():
            self.now_s += seconds
            return seconds

        return run


def test_statistics_against_numbers_worked_by_hand():
    measurement = Measurement((4.0, 1.0, 2.0, 3.0, 10.0))
    assert measurement.mean_s == 4
    assert measurement.median_s == 3
    assert measurement.min_s == 1
    assert measurement.quartile_s == 2
    assert measurement.iqr_s == 2  # from 2 to 4
    assert [measurement.reduced_s(name) for name in ("mean", "median", "min", "quartile")] == [
        4,
        3,
        1,
        2,
    ]
    assert measurement.times_s == (4.0, 1.0, 2.0, 3.0, 10.0)


@given(st.lists(st.floats(1e-6, 1e3), min_size=1, max_size=50))
def test_statistics_are_ordered(times):
    measurement = Measurement(tuple(times))
    slack = 1e-9 * measurement.median_s
    assert measurement.min_s <= measurement.quartile_s + slack
    assert measurement.quartile_s <= measurement.median_s + slack
    assert measurement.iqr_s >= -slack


def test_a_measurement_needs_times_and_a_known_reduction():
    with pytest.raises(ValueError, match="at least one"):
        Measurement(())
    with pytest.raises(ValueError, match="unknown reduction 'mode'"):
        Measurement((1.0,)).reduced_s("mode")


@pytest.mark.parametrize(("spread", "noisy"), [(0.05, False), (0.09, False), (0.12, True)])
def test_a_measurement_warns_beyond_a_tenth(spread, noisy):
    """Times 1, 1 + spread in equal number: median 1 + spread/2, IQR = spread."""
    measurement = Measurement((1.0,) * 10 + (1.0 + spread,) * 10)
    assert bool(measurement.warning) == noisy


def test_elapsed_time_is_the_clocks():
    clock = MockClock()
    assert elapsed_s(clock.run_of(0.25), clock) == 0.25


@pytest.mark.parametrize(
    ("count", "seconds", "expected"),
    [(0, 0, 0), (3, 0, 3), (3, 1.0, 4), (3, 0.5, 3), (0, 0.7, 3), (10, 1.0, 10)],
)
def test_warm_up_runs_until_both_count_and_time_are_reached(count, seconds, expected):
    """Runs of a quarter second: the count of runs is worked by hand."""
    clock = MockClock()
    assert warm_up(clock.run_of(0.25), count, seconds, clock) == expected
    assert clock.now_s == 100 + 0.25 * expected


def test_times_in_a_row_are_the_runs_own_in_order():
    times = iter([3.0, 1.0, 2.0])
    advanced = []
    measurement = time_in_a_row(lambda: next(times), 3, advanced.append)
    assert measurement.times_s == (3.0, 1.0, 2.0)
    assert sum(advanced) == 3


@given(st.integers(1, 200), st.integers(1, 50))
def test_rounds_share_the_runs_evenly(iterations, rounds):
    runs = runs_per_round(iterations, rounds)
    assert sum(runs) == iterations
    assert max(runs) - min(runs) <= 1
    assert len(runs) == min(rounds, iterations)


def log_of_rounds(networks, iterations, rounds, seed=0):
    """Time networks that write down who runs; returns (log, measurements, reference)."""
    clock = MockClock()
    log = []

    def logged(name, seconds):
        run = clock.run_of(seconds)

        def logged_run():
            log.append(name)
            return run()

        return partial(visit, logged_run, untimed=1, clock=clock)

    visits = [logged(network, 1.0 + network) for network in range(networks)]
    rng = np.random.default_rng(seed)
    reference = logged("reference", 0.5)
    return (log, *time_in_rounds(visits, reference, iterations, rounds, rng))


def test_rounds_time_every_network_in_every_round():
    """7 networks, 3 rounds of 2 runs, each visit after 1 untimed run: counted by hand."""
    log, measurements, reference = log_of_rounds(7, iterations=6, rounds=3)
    assert [measurement.times_s for measurement in measurements] == [
        (1.0 + network,) * 6 for network in range(7)
    ]
    assert len(reference.times_s) == 3 * 2 * 2  # before the first and the sixth of each round
    rounds = np.array_split(np.array(log, dtype=object), 3)
    for one_round in rounds:
        assert [list(one_round).count(network) for network in range(7)] == [3] * 7


def test_rounds_have_orders_of_their_own():
    log, *_ = log_of_rounds(20, iterations=4, rounds=4)
    order = [name for name, before in zip(log, [None, *log], strict=False) if name != before]
    networks = [name for name in order if name != "reference"]
    first, second = networks[:20], networks[20:40]
    assert sorted(first) == sorted(second) == list(range(20))
    assert first != second


def test_short_runs_are_repeated_untimed_until_the_caches_are_filled():
    """Runs of a millisecond: two untimed runs fill the 2 ms before the timed one."""
    clock = MockClock()
    count = []

    def run():
        count.append(1)
        return clock.run_of(0.001)()

    assert visit(run, 1, 1, clock=clock) == [0.001]
    assert len(count) == 3


def test_a_slow_second_spoils_a_row_but_not_the_rounds():
    """A disturbance of a minute that doubles the time of networks of equal speed, one second.

    In a row it takes one network's 24 runs whole, and its lower quartile doubles. In rounds it
    falls on one round of each network and no lower quartile moves.
    """

    def machine():
        clock = MockClock()

        def run():
            slow = 124 <= clock.now_s < 184
            return clock.run_of(2.0 if slow else 1.0)()

        return run, clock

    run, _ = machine()
    in_a_row = [time_in_a_row(run, 24) for _ in range(5)]
    assert max(one.quartile_s for one in in_a_row) == 2
    run, clock = machine()
    rng, visited = np.random.default_rng(0), partial(visit, run, untimed=1, clock=clock)
    in_rounds, _ = time_in_rounds([visited] * 5, visited, iterations=24, rounds=8, rng=rng)
    assert {one.quartile_s for one in in_rounds} == {1.0}


def test_progress_counts_every_timed_run():
    clock = MockClock()
    advanced = []
    visited = partial(visit, clock.run_of(1.0), untimed=1, clock=clock)
    rng = np.random.default_rng(0)
    time_in_rounds([visited] * 3, visited, 7, 3, rng, advanced.append)
    assert sum(advanced) == 21
