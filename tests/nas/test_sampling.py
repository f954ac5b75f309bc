import itertools

import numpy as np
import pytest

from nas.sampling import CoveringSampler, draw_configurations, tilted
from nas.search_space import SearchSpace

SPACE = SearchSpace(32, 10)


def covering(count, seed=0, repetitions=1, recorded=()):
    draws = draw_configurations(SPACE, seed, "covering", repetitions, list(recorded))
    return list(itertools.islice(draws, count))


def mean_position(configuration):
    return float(np.mean(SPACE.states(configuration) / (SPACE.sizes - 1)))


def test_covering_draws_go_on_where_a_file_ends():
    """Oracle: the same draws without an interruption."""
    whole = covering(24, repetitions=2)
    for done in (1, 6, 11):
        assert whole[done:] == covering(24 - done, repetitions=2, recorded=whole[:done])
    assert covering(4, seed=1) != whole[:8:2]


def test_covering_draws_cover_the_range_and_uniform_draws_its_middle():
    """Oracle: 50 draws whose positions are spread evenly leave about 10 for each fifth."""
    positions = [mean_position(configuration) for configuration in covering(150)]
    counts, _ = np.histogram(positions[::3], bins=5, range=(0, 1))
    assert (abs(counts - 10) <= 5).all()
    assert min(positions) < 0.1
    assert max(positions) > 0.9
    rng = np.random.default_rng(0)
    uniform = [mean_position(SPACE.draw_uniform(rng)) for _ in range(100)]
    assert 0.2 < min(uniform) < max(uniform) < 0.8


def test_two_of_three_covering_draws_are_of_the_least_seen_variables():
    """Oracle: a count of what was drawn; only the first layer has fewer variables than draws."""
    sampler = CoveringSampler(SPACE, 0)
    drawn = [sampler.draw(np.random.default_rng(i)) for i in range(14)]
    counts = np.zeros(len(SPACE.variables), dtype=int)
    for number, configuration in enumerate(drawn):
        path = SPACE.path(configuration)
        if number % 3:
            assert (counts[path] == 0).sum() >= 14
        np.add.at(counts, path, 1)


@pytest.mark.parametrize("mean", [0.02, 0.3, 0.5, 0.98])
def test_tilted_probabilities_are_geometric_and_have_the_mean(mean):
    """Oracle: entropy is greatest where log-probabilities are linear in the position."""
    probabilities = tilted(14, mean)
    assert probabilities.sum() == pytest.approx(1)
    assert probabilities @ np.linspace(0, 1, 14) == pytest.approx(mean)
    np.testing.assert_allclose(np.diff(np.log(probabilities), 2), 0, atol=1e-6)
    assert tilted(1, mean) == [1]
