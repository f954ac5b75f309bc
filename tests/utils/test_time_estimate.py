"""The estimate of a training's time, by a clock that goes on as the test says."""

import pytest

from utils.time_estimate import STEPS, WARM_UP, TimeEstimate, duration


def said(steps, step_s, compiling_s=500):
    """Return what is said in a training of so many steps; those that warm up take longer."""
    lines, now = [], [0.0]
    estimate = TimeEstimate(steps, lines.append, lambda: now[0])
    for step in range(steps):
        now[0] += compiling_s if step < WARM_UP else step_s
        estimate.step()
    return lines


def test_a_long_training_is_told_of_once():
    """Oracle: 1007 steps of 3 s, the first seven of which are done."""
    assert WARM_UP + STEPS == 7
    (line,) = said(1007, 3)
    assert line.startswith("about 50 minutes of training to go")


@pytest.mark.parametrize(("steps", "step_s"), [(25, 3), (4, 1000), (50_000, 0.001)])
def test_a_short_one_is_not(steps, step_s):
    """A minute, or an end before anything has been timed."""
    assert said(steps, step_s) == []


def test_fast_steps_are_timed_until_that_tells_something():
    """Oracle: by hand; 2 s of steps of 10 ms are timed."""
    (line,) = said(60_000, 0.01)
    assert line.startswith("about 10 minutes")


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (61, "61 seconds"),
        (119, "120 seconds"),
        (150, "2.5 minutes"),
        (7000, "120 minutes"),
        (9000, "2.5 hours"),
        (47 * 3600, "47 hours"),
        (250 * 3600, "10 days"),
    ],
)
def test_a_duration_has_two_digits(seconds, text):
    assert duration(seconds) == text
