"""Oracles: weighted least squares over ordered partitions by enumeration, and sums by hand."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nas.monotone_scores import RISE, monotone


def nearest_rising(scores, images):
    """Return the nearest non-decreasing scores: the best of all cuts into blocks of equal value."""
    best, least = None, np.inf
    for cuts in itertools.product((False, True), repeat=len(scores) - 1):
        blocks = np.cumsum([False, *cuts])
        sums, weights = np.bincount(blocks, scores * images), np.bincount(blocks, images)
        fitted = (sums / weights)[blocks]
        error = (images * (fitted - scores) ** 2).sum()
        if (np.diff(fitted) >= 0).all() and error < least:
            best, least = fitted, error
    return best


@given(st.lists(st.tuples(st.integers(-9, 9), st.integers(1, 9)), min_size=1, max_size=7))
def test_scores_are_the_nearest_that_rise(pairs):
    scores, images = np.array(pairs, dtype=float).T
    (found,) = monotone([scores], [images])
    expected = nearest_rising(scores, images) + RISE * np.arange(len(scores))
    np.testing.assert_allclose(found, expected, atol=1e-12)
    assert (np.diff(found) > 0).all()


def test_widths_never_drawn_stay_so_and_do_not_count():
    (found,) = monotone([np.array([-np.inf, 3.0, -np.inf, 1.0])], [np.array([0, 1, 0, 3])])
    assert found.tolist() == pytest.approx([-np.inf, 1.5 + RISE, -np.inf, 1.5 + 3 * RISE])


def test_each_layer_by_itself_and_rising_means_are_left():
    means = [np.array([-0.3, -0.2, -0.1]), np.array([-np.inf, -np.inf])]
    first, second = monotone(means, [np.array([5, 1, 7]), np.zeros(2, dtype=int)])
    np.testing.assert_allclose(first, means[0] + RISE * np.arange(3))
    assert second.tolist() == [-np.inf, -np.inf]
