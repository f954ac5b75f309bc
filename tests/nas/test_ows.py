import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nas.constraint import InfeasibleError
from nas.ows import METHODS, search
from utils.errors import UserError
from utils.formatting import rounded_up


def random_chain(rng, sizes):
    unary = [np.sort(rng.normal(size=size)) for size in sizes]
    pairwise = [rng.random(shape) + 0.1 for shape in itertools.pairwise(sizes)]
    return unary, pairwise


def enumerate_chain(unary, pairwise):
    """All sequences with their scores and latencies."""
    rows = []
    for states in itertools.product(*(range(len(u)) for u in unary)):
        score = sum(u[s] for u, s in zip(unary, states, strict=True))
        latency = sum(p[states[i], states[i + 1]] for i, p in enumerate(pairwise))
        rows.append((states, score, latency))
    return rows


def lagrangian_twin(rows, target):
    """Exhaustive: the best feasible configuration among those optimal for some multiplier."""
    best = None
    scores = np.array([row[1] for row in rows])
    latencies = np.array([row[2] for row in rows])
    for gamma in np.concatenate([[0], np.geomspace(1e-4, 1e4, 4000)]):
        index = (scores - gamma * latencies).argmax()
        if latencies[index] <= target and (best is None or latencies[index] > latencies[best]):
            best = index
    return rows[best]


@given(st.integers(0, 10_000), st.floats(0.02, 1.1))
@settings(max_examples=40)
def test_bisection_finds_the_configuration_of_the_smallest_feasible_multiplier(seed, share):
    rng = np.random.default_rng(seed)
    unary, pairwise = random_chain(rng, [3, 2, 4])
    rows = enumerate_chain(unary, pairwise)
    latencies = [row[2] for row in rows]
    target = min(latencies) + share * (max(latencies) - min(latencies))
    result = search(unary, pairwise, target, "lagrangian", iterations=50)
    states, score, latency = lagrangian_twin(rows, target)
    assert result.states == states
    assert result.score == pytest.approx(score)
    assert result.latency_ms == pytest.approx(latency)
    assert result.latency_ms <= target * (1 + 1e-12)
    best = max(row[1] for row in rows if row[2] <= target)
    assert result.bound >= best - 1e-9


@given(st.integers(0, 10_000), st.floats(0.02, 1.1))
@settings(max_examples=40)
def test_the_exact_answer_is_the_enumerated_best_and_at_least_the_bisections(seed, share):
    rng = np.random.default_rng(seed)
    unary, pairwise = random_chain(rng, [3, 2, 4])
    rows = enumerate_chain(unary, pairwise)
    latencies = [row[2] for row in rows]
    target = min(latencies) + share * (max(latencies) - min(latencies))
    result = search(unary, pairwise, target)
    assert result.score == pytest.approx(max(row[1] for row in rows if row[2] <= target))
    assert result.latency_ms <= target * (1 + 1e-12)
    assert result.gap == 0
    assert result.score >= search(unary, pairwise, target, "lagrangian").score - 1e-12


@pytest.mark.parametrize("method", METHODS)
def test_an_unreachable_target_names_the_fastest_latency(method):
    unary, pairwise = random_chain(np.random.default_rng(0), [3, 3, 3])
    fastest = min(row[2] for row in enumerate_chain(unary, pairwise))
    with pytest.raises(InfeasibleError, match=f"{rounded_up(fastest)} ms"):
        search(unary, pairwise, fastest * 0.999, method)


@pytest.mark.parametrize("method", METHODS)
def test_zero_slack_gives_the_fastest_configuration(method):
    unary, pairwise = random_chain(np.random.default_rng(0), [3, 3, 3])
    states, _, fastest = min(enumerate_chain(unary, pairwise), key=lambda row: row[2])
    assert search(unary, pairwise, fastest, method).states == states


@pytest.mark.parametrize("method", METHODS)
def test_a_loose_target_gives_the_best_scores(method):
    unary, pairwise = random_chain(np.random.default_rng(0), [3, 3, 3])
    result = search(unary, pairwise, 1e9, method)
    assert result.states == (2, 2, 2)
    assert (result.gamma, result.gap) == (0, 0)


@pytest.mark.parametrize("method", METHODS)
def test_a_width_that_was_never_drawn_cannot_win(method):
    unary = [np.array([-0.1, -np.inf, -0.3]), np.array([-np.inf, -0.2])]
    pairwise = [np.array([[5.0, 5.0], [0.1, 0.1], [1.0, 1.0]])]
    for target in (1.0, 4.0, 5.0, 100.0):
        assert 1 not in search(unary, pairwise, target, method).states[:1]
    # The fastest configuration with scores is the one to name, not the unseen 0.1 ms.
    with pytest.raises(InfeasibleError, match="1 ms"):
        search(unary, pairwise, 0.5, method)
    with pytest.raises(UserError, match="no width of layer 2"):
        search([unary[0], np.full(2, -np.inf)], pairwise, 5.0, method)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("unit", [1e-6, 1e-3, 1e3, 1e6])
def test_the_answer_does_not_depend_on_the_unit_of_latency(unit, method):
    unary, pairwise = random_chain(np.random.default_rng(4), [5] * 6)
    in_ms = search(unary, pairwise, 2.0, method)
    in_unit = search(unary, [block * unit for block in pairwise], 2.0 * unit, method)
    assert in_unit.states == in_ms.states


@pytest.mark.parametrize("method", METHODS)
def test_one_layer_has_no_latency_between_layers(method):
    result = search([np.array([1.0, 3.0, 2.0])], [], 0.0, method)
    assert (result.states, result.latency_ms) == ((1,), 0.0)


@pytest.mark.parametrize("method", METHODS)
def test_equal_scores_still_reach_the_target(method):
    pairwise = [np.array([[4.0, 3.0], [2.0, 1.0]])]
    assert search([np.zeros(2), np.zeros(2)], pairwise, 1.0, method).states == (1, 1)
