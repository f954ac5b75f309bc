"""Scores smoothed along the widths."""

import numpy as np
import pytest

from nas.smoothing import smoothed

WIDTHS = np.array([8, 16, 24, 40, 64, 96])


def test_a_quadratic_of_the_logarithm_is_left_as_it_is():
    """Oracle: the polynomial itself; a width without images keeps its score, whatever it is."""
    scores = 0.1 * np.log(WIDTHS) - 0.02 * np.log(WIDTHS) ** 2 - 1
    scores[2] = -np.inf
    counts = np.array([5, 9, 0, 3, 7, 1])
    assert smoothed(scores, WIDTHS, counts) == pytest.approx(scores)


def test_counts_weigh_the_scores():
    """Oracle: np.polyfit on every value, so often as it was counted."""
    rng = np.random.default_rng(0)
    counts = rng.integers(1, 20, size=6)
    scores = rng.standard_normal(6)
    each = np.repeat(np.arange(6), counts)
    line = np.polyfit(np.log(WIDTHS)[each], scores[each], 1)
    assert smoothed(scores, WIDTHS, counts, degree=1) == pytest.approx(
        np.polyval(line, np.log(WIDTHS))
    )


def test_few_widths_are_left_alone():
    scores = [-1.0, -2.0, -1.0, -np.inf]
    assert smoothed(scores, WIDTHS[:4], [1, 1, 1, 0]).tolist() == scores
