"""Oracle: the greatest limit by hand; a tool whose widths are the limit itself."""

import pytest

from benchmarks.peers.bisection import ACCURACY, Bisection
from utils.errors import UserError


class Tool:
    """Chooses one width, the limit rounded down to a multiple of 8, and counts the questions."""

    def __init__(self):
        self.asked = []

    def widths_within(self, percent):
        self.asked.append(percent)
        return (int(percent // 8 * 8),) if percent >= 16 else None


@pytest.fixture
def tool():
    return Tool()


@pytest.fixture
def bisection(tool):
    return Bisection(tool.widths_within, lambda widths: widths[0] / 10)


@pytest.mark.parametrize("target_ms", [9.6, 9.5, 4.0, 1.6])
def test_the_widest_that_meets_the_target(bisection, target_ms):
    percent, widths = bisection.best(target_ms)
    assert widths == (int(target_ms * 10 // 8 * 8),)
    assert percent >= min(100, widths[0] + 8 - ACCURACY)


def test_a_target_that_all_meet_needs_no_bisection(tool, bisection):
    assert bisection.best(10.0) == (100.0, (96,))
    assert tool.asked == [100.0]


def test_targets_share_what_was_asked(tool, bisection):
    for target_ms in (4.0, 4.8, 4.0):
        bisection.best(target_ms)
    assert len(tool.asked) == len(set(tool.asked))
    assert len(tool.asked) < 2 * 11


def test_no_limit_meets_a_target_below_the_narrowest(bisection):
    with pytest.raises(UserError, match=r"no limit makes the network take 1\.5 ms"):
        bisection.best(1.5)
