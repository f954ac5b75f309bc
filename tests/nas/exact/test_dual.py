import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog

from benchmarks.oracles import search_instances
from nas import mrf
from nas.exact import dual
from nas.search_space import SearchSpace
from nas.transitions import pack
from tests.helpers.small_chains import chains, enumerate_chain


def packed(unary, pairwise):
    dense, transitions, [costs] = pack(unary, [pairwise], np.inf)
    return dense, transitions, costs


def relaxation(scores, sums, limits):
    """The least bound of any multipliers, by duality: the best mixture of all configurations."""
    mixture = linprog(
        -scores, A_ub=sums, b_ub=limits, A_eq=np.ones((1, len(scores))), b_eq=[1], bounds=(0, 1)
    )
    return -mixture.fun if mixture.x is not None else None


def least_of_all_slopes(scores, latencies, target):
    """The least bound of one multiplier: it is 0 or where the lines of two configurations meet."""
    rise, run = np.subtract.outer(scores, scores), np.subtract.outer(latencies, latencies)
    gammas = np.append(rise[run > 1e-9] / run[run > 1e-9], 0)
    lines = scores - gammas[gammas >= 0, None] * (latencies - target)
    return lines.max(axis=1).min()


@given(chains(), st.integers(0, 70))
@settings(max_examples=200)
def test_one_multiplier_gives_the_least_bound_of_all_enumerated_slopes(chain, share):
    unary, [pairwise] = chain
    _, scores, latencies = enumerate_chain(unary, pairwise)
    target = latencies.min() + share / 64 * np.ptp(latencies)
    target *= 1 + 1e-12  # sums in another order
    chain = packed(unary, pairwise)
    gamma, states, bound, _ = dual.multiplier(*chain, target, 0.0, None)
    assert bound == pytest.approx(least_of_all_slopes(scores, latencies, target), abs=1e-9)
    assert (scores - gamma * latencies).max() + gamma * target == pytest.approx(bound, abs=1e-9)
    # The states meet the target and are best for the multiplier, up to ties.
    score, latency = mrf.unary_sum(unary, states), mrf.pairwise_sum(pairwise, states)
    assert latency <= target
    assert score - gamma * latency == pytest.approx((scores - gamma * latencies).max(), abs=1e-9)


def test_an_unreachable_target_has_no_multiplier_and_names_the_fastest():
    chain = packed([np.zeros(2), np.zeros(2)], [np.array([[3.0, 4], [5, 6]])])
    gamma, _, _, fastest = dual.multiplier(*chain, 2.9, 0.0, None)
    assert np.isnan(gamma)
    assert fastest == 3


def test_it_is_where_a_long_bisection_ends():
    unary, pairwise = search_instances.realistic(SearchSpace(), np.random.default_rng(0))
    chain = packed(unary, pairwise)
    for target in search_instances.targets(unary, pairwise, 20):
        bisected, states, bound, _ = dual.multiplier(*chain, target, 0.0, 60)
        gamma, exact_states, exact_bound, _ = dual.multiplier(*chain, target, 0.0, None)
        assert gamma == pytest.approx(bisected, rel=1e-9)
        assert exact_bound == pytest.approx(bound, abs=1e-12)
        assert (states == exact_states).all()


def test_zero_slack_at_a_vertex_of_the_hull_gives_that_vertex():
    unary, pairwise = search_instances.realistic(SearchSpace(), np.random.default_rng(0))
    chain = packed(unary, pairwise)
    for target in search_instances.targets(unary, pairwise, 10):
        _, vertex, _, _ = dual.multiplier(*chain, target, 0.0, None)
        score, latency = mrf.unary_sum(unary, vertex), mrf.pairwise_sum(pairwise, vertex)
        _, states, bound, _ = dual.multiplier(*chain, latency, 0.0, None)
        assert (states == vertex).all()
        assert bound == pytest.approx(score, abs=1e-12)


@given(chains(resources=3), st.tuples(*[st.integers(3, 64)] * 3))
@settings(max_examples=100)
def test_several_multipliers_give_the_bound_of_the_enumerated_relaxation(chain, shares):
    unary, pairwises = chain
    enumerated = [enumerate_chain(unary, pairwise) for pairwise in pairwises]
    scores, sums = enumerated[0][1], np.array([latencies for _, _, latencies in enumerated])
    limits = sums.min(axis=1) + np.array(shares) / 64 * np.ptp(sums, axis=1) + 0.01
    dense, transitions, resources = pack(unary, pairwises, np.inf)
    resources /= limits[:, None]
    gammas, _, bound = dual.multipliers(dense, transitions, resources, np.ones(3))
    least = relaxation(scores, sums, limits)
    if least is None:
        assert bound == -np.inf
        return
    assert bound == pytest.approx(least, abs=1e-6)
    slack = 1 - sums / limits[:, None]
    assert (scores + gammas @ slack).max() == pytest.approx(bound, abs=1e-6)
