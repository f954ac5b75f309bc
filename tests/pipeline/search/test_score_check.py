import numpy as np

from pipeline.search.score_check import draw_different


def test_sub_networks_are_compared_once_each():
    """Oracle: all that there are, of 2 × 3; and a space that has many more."""
    allowed, rng = [np.array([1, 2]), np.arange(3)], np.random.default_rng(0)
    found = sorted(map(tuple, draw_different(allowed, 9, rng)))
    assert found == [(a, b) for a in (1, 2) for b in range(3)]
    found = draw_different([np.arange(9)] * 4, 30, rng)
    assert len(set(map(tuple, found))) == len(found) == 30
