"""How long something will take, said once: a mock clock, numbers worked by hand."""

import pytest

from pipeline.latency.progress import Forecast


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


def run(capsys, steps, seconds_per_step, preparing_s=0, group=None, count=30):
    """Make some of the steps, each group prepared first; return the lines that were printed."""
    clock = Clock()
    forecast = Forecast("timing 9 networks", steps, group, clock)
    for step in range(count):
        if step % (group or steps) == 0:
            clock.now += preparing_s
        clock.now += seconds_per_step
        forecast()
    return capsys.readouterr().err.splitlines()


def test_long_work_is_announced_once(capsys):
    """From the 11th step of 1 s on 10 s are known: 589 are left of 600."""
    assert run(capsys, 600, 1) == ["timing 9 networks will take about 9.8 minutes more"]


def test_short_work_is_not(capsys):
    assert run(capsys, 70, 1) == []


@pytest.mark.parametrize(("group", "preparing_s", "minutes"), [(15, 51, 43), (5, 9, 28)])
def test_preparing_a_group_counts_once_per_group(capsys, group, preparing_s, minutes):
    """Left are 589 steps of 1 s and 39 preparations, or 594 steps and 118 preparations."""
    (line,) = run(capsys, 600, 1, preparing_s, group)
    assert int(line.split()[-3]) == pytest.approx(minutes, abs=1)
