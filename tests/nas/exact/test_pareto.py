import numpy as np
import pytest
from hypothesis import given, settings

from benchmarks.oracles import search_instances
from nas.constraint import Constraint, InfeasibleError
from nas.exact.constrained_search import solve
from nas.exact.pareto import front
from nas.search_space import SearchSpace
from tests.helpers.small_chains import chains, enumerate_chain


def is_dominated(pair, pairs):
    latency, score = pair
    no_worse = (pairs[:, 0] <= latency) & (pairs[:, 1] >= score)
    return (no_worse & ((pairs[:, 0] < latency) | (pairs[:, 1] > score))).any()


@given(chains())
@settings(max_examples=200)
def test_enumeration_finds_the_same_front(chain):
    unary, [pairwise] = chain
    _, scores, latencies = enumerate_chain(unary, pairwise)
    pairs = np.unique(np.column_stack([latencies, scores]).round(9), axis=0)
    expected = [pair for pair in pairs if not is_dominated(pair, pairs)]
    result = front(unary, pairwise)
    found = np.column_stack([result.latencies_ms, result.scores])
    np.testing.assert_allclose(found, expected, atol=2e-9)
    assert result.complete
    assert (result.gaps == 0).all()
    for states, score in zip(result.states, result.scores, strict=True):
        assert sum(u[s] for u, s in zip(unary, states, strict=True)) == pytest.approx(score)
    sampled = front(unary, pairwise, samples=30, capacity=1)
    pairs = np.column_stack([sampled.latencies_ms, sampled.scores]).round(9)
    assert {tuple(pair) for pair in pairs} <= {tuple(pair) for pair in expected}
    assert len(np.unique(pairs, axis=0)) == len(pairs)


def test_every_search_at_full_size_ends_on_the_front():
    unary, pairwise = search_instances.realistic(SearchSpace(), np.random.default_rng(0))
    whole = front(unary, pairwise)
    assert whole.complete
    assert len(whole.scores) > 300
    for target in search_instances.targets(unary, pairwise, 30):
        on_front = whole.states[whole.latencies_ms <= target][-1]
        assert solve(unary, [Constraint(pairwise, target)]).states == tuple(on_front)


def test_a_front_that_is_too_large_is_sampled_from_the_fastest_to_the_best():
    unary, pairwise = search_instances.realistic(SearchSpace(), np.random.default_rng(0))
    whole = front(unary, pairwise)
    bars = []

    def progress(targets):
        bars.append(len(targets))
        return targets

    sample = front(unary, pairwise, samples=40, capacity=20, progress=progress)
    assert not sample.complete
    assert bars == [40]
    assert 20 < len(sample.scores) <= 40
    points = set(zip(whole.latencies_ms.round(12), whole.scores.round(12), strict=True))
    assert set(zip(sample.latencies_ms.round(12), sample.scores.round(12), strict=True)) <= points
    for end in (0, -1):
        assert sample.latencies_ms[end] == pytest.approx(whole.latencies_ms[end], rel=1e-12)
    assert (np.diff(sample.scores) > 0).all()
    assert (np.diff(sample.latencies_ms) > 0).all()


def test_a_front_under_another_constraint_is_feasible_under_it():
    """Oracle: enumeration of what satisfies the other constraint."""
    rng = np.random.default_rng(0)
    unary = [rng.normal(size=4) for _ in range(4)]
    latency, memory = ([rng.random((4, 4)) for _ in range(3)] for _ in range(2))
    _, scores, latencies = enumerate_chain(unary, latency)
    feasible = enumerate_chain(unary, memory)[2] <= 1.0
    pairs = np.column_stack([latencies, scores])[feasible]
    expected = {tuple(pair.round(9)) for pair in pairs if not is_dominated(pair, pairs)}
    result = front(unary, latency, [Constraint(memory, 1.0, "memory", "MB")], samples=400)
    found = set(zip(result.latencies_ms.round(9), result.scores.round(9), strict=True))
    assert found == expected
    assert not result.complete
    with pytest.raises(InfeasibleError, match="memory"):
        front(unary, latency, [Constraint(memory, 0.01, "memory", "MB")])


def test_a_chain_without_a_finite_latency_has_no_front():
    """Oracle: the search of the same chain; a state without a score leaves only infinite pairs."""
    unary, latency = [np.array([0.0, -np.inf]), np.array([0.0])], [np.array([[np.inf], [1.0]])]
    with pytest.raises(InfeasibleError):
        solve(unary, [Constraint(latency, 9.0)])
    with pytest.raises(InfeasibleError, match="no configuration has a finite latency"):
        front(unary, latency)
