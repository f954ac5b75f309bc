import numpy as np
import pytest

from nas import ows
from nas.constraint import Constraint, InfeasibleError
from nas.latency_table import LatencyTable
from nas.search_space import SearchSpace
from nas.supernet_search import Schedule, SupernetSearch
from utils.errors import UserError

SPACE = SearchSpace(
    input_size=8, classes=3, min_width=0.5, max_width=1.5, levels=3,
    base_widths=(16, 16, 16), strides=(2, 1, 1),
)  # fmt: skip
# One channel pair costs its product: latency and width grow together.
TABLE = LatencyTable(
    {v: v.in_channels * v.out_channels / 1000 for v in SPACE.variables},
    {"search_space": SPACE.as_dict()},
)
SCHEDULE = Schedule(epochs=10, warmup=2)


def open_search(schedule=None, target_ms=1.0, window=50, method="lagrangian", others=()):
    constraints = [Constraint(TABLE.pairwise(SPACE), target_ms), *others]
    return SupernetSearch(SPACE, constraints, window=window, method=method, schedule=schedule)


def record_uniform(search, images=2000, quality=lambda states: states.sum(axis=1)):
    """Losses that fall with every step of width."""
    states = np.random.default_rng(0).integers(SPACE.sizes, size=(images, 3))
    search.record(states, 10.0 - quality(states), np.zeros(images))
    return states


def test_ows_draws_uniformly_to_the_end():
    search = open_search()
    record_uniform(search)
    for progress in (0, 3, 9.9):
        states, decision = search.draw(progress, np.random.default_rng(0), 3000)
        assert decision is None
        shares = [np.bincount(column, minlength=3) / 3000 for column in states.T]
        assert np.abs(np.array(shares) - 1 / 3).max() < 5 * 0.5 / np.sqrt(3000)


def test_answers_from_monotone_scores_use_what_the_means_leave():
    """Oracle: the middle widths are best by construction; by monotone scores the widest are."""
    by_means, monotone = (
        SupernetSearch(SPACE, [Constraint(TABLE.pairwise(SPACE), 2.0)], window=5000, scores=scores)
        for scores in ("means", "monotone")
    )
    for search in (by_means, monotone):
        record_uniform(search, quality=lambda states: np.minimum(states, 1.01).sum(axis=1) * 0.1)
        search.record(np.full((900, 3), 2), np.full(900, 10.0), np.zeros(900))
    assert by_means.best().states == (1, 1, 1)
    assert monotone.best().states == (2, 2, 2)
    assert by_means.draw(0, np.random.default_rng(0), 4)[1] is None
    with pytest.raises(ValueError, match="unknown scores 'best'"):
        SupernetSearch(SPACE, by_means.constraints, window=1, scores="best")


@pytest.mark.parametrize("scores", ["means", "monotone"])
def test_candidates_are_different_keep_the_limit_and_begin_with_the_best(scores):
    """Oracles: the scores of `unary` added up, the constraint itself."""
    constraint = Constraint(TABLE.pairwise(SPACE), 1.0)
    search = SupernetSearch(SPACE, [constraint], window=50, scores=scores)
    noise = np.random.default_rng(1)
    record_uniform(search, quality=lambda states: noise.normal(size=len(states)))
    best, *others = search.candidates(np.random.default_rng(0), 6)
    assert best.states == search.best().states
    assert len({best.states, *(other.states for other in others)}) == 1 + len(others) >= 3
    for other in others:
        assert constraint.keeps(other.states)
        assert other.values == (constraint.value(other.states),)
        by_hand = sum(u[s] for u, s in zip(search.unary(), other.states, strict=True))
        assert (other.score, other.bound) == (pytest.approx(by_hand), best.bound)
        assert other.gap >= 0


def test_scores_without_noise_leave_no_other_candidate():
    search = open_search(method="exact")
    search.record(np.tile([[0], [1], [2]], (40, 3)), np.tile([3.0, 2.0, 1.0], 40), np.zeros(120))
    assert len(search.candidates(np.random.default_rng(0), 6)) == 1


def test_widths_never_drawn_are_no_candidates():
    search = open_search(method="exact", target_ms=9.0)
    states = np.random.default_rng(0).integers(2, size=(300, 3))
    search.record(states, np.random.default_rng(1).normal(size=300), np.zeros(300))
    found = search.candidates(np.random.default_rng(0), 9)
    assert len(found) > 3
    assert max(max(result.states) for result in found) == 1


def test_fewer_configurations_than_images_are_drawn_for_equal_parts_of_them():
    states, _ = open_search().draw(0, np.random.default_rng(0), 12, configurations=3)
    expected, _ = open_search().draw(0, np.random.default_rng(0), 3)
    np.testing.assert_array_equal(states, np.repeat(expected, 4, axis=0))


def test_aows_draws_uniformly_until_the_warm_up_ends_and_every_width_was_seen():
    search = open_search(SCHEDULE)
    search.record(np.zeros((1, 3), dtype=int), np.array([1.0]), np.array([0.0]))
    assert search.draw(5, np.random.default_rng(0), 4)[1] is None  # two widths are unseen
    record_uniform(search)
    assert search.draw(1.99, np.random.default_rng(0), 4)[1] is None
    assert search.draw(2, np.random.default_rng(0), 4)[1] is not None


def test_aows_cools_down_to_the_best_configuration():
    search = open_search(SCHEDULE, target_ms=100.0)  # loose: no other configuration ties
    record_uniform(search)
    states, decision = search.draw(9.99, np.random.default_rng(0), 200)
    assert decision.configuration == SPACE.largest
    assert (SPACE.widths(states) == SPACE.largest).all()


def test_a_decision_meets_the_target_and_is_the_searchs_own_answer():
    search = open_search(SCHEDULE)
    record_uniform(search)
    _, decision = search.draw(9.99, np.random.default_rng(0), 200)
    assert decision.configuration == SPACE.configuration(search.best().states)
    assert decision.values[0] <= 1.0
    assert decision.values == pytest.approx([TABLE.predict(decision.configuration)])
    for row in decision.probabilities:
        assert sum(row) == pytest.approx(1, abs=1e-4)


def test_the_best_configuration_is_the_one_that_ows_finds_on_the_mean_scores():
    search = open_search(window=10_000)
    states = record_uniform(search)
    values = -(10.0 - states.sum(axis=1)) / 3
    unary = [
        np.array([values[states[:, layer] == state].mean() for state in range(3)])
        for layer in range(3)
    ]
    expected = ows.search(unary, TABLE.pairwise(SPACE), 1.0, "lagrangian")
    found = search.best()
    assert found.states == expected.states
    assert found.score == pytest.approx(expected.score, rel=1e-5)


def test_a_target_that_cannot_be_met_is_refused_at_once():
    with pytest.raises(InfeasibleError, match="below the fastest configuration"):
        open_search(target_ms=0.01)


def test_nothing_drawn_is_nothing_to_search():
    with pytest.raises(UserError, match="no width of layer 1 was ever drawn"):
        open_search().best()


def test_the_statistics_of_a_checkpoint_give_the_same_answer_for_a_new_target():
    search = open_search()
    record_uniform(search)
    arrays = search.to_arrays()
    for target_ms in (0.6, 1.0, 1.3):
        resumed, fresh = open_search(target_ms=target_ms), open_search(target_ms=target_ms)
        resumed.load_arrays(arrays)
        record_uniform(fresh)
        assert resumed.best().states == fresh.best().states
    with pytest.raises(UserError, match="do not fit"):
        search.load_arrays({"counts": np.zeros((2, 3), int), "values": [], "window": np.array(5)})
