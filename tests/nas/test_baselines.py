import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chisquare

from benchmarks.oracles import search_instances
from nas import baselines
from nas.answer import Answer
from nas.constraint import Constraint
from nas.exact.constrained_search import solve
from nas.search_space import SearchSpace
from tests.helpers.small_chains import chains, enumerate_chain


def test_the_widest_uniform_network_meets_the_target():
    """Oracle: the levels of the space, whose latencies and scores need no interpolation."""
    space = SearchSpace(levels=5)
    unary = [np.arange(len(widths), dtype=float) for widths in space.choices]
    pairwise = [np.add.outer(before, after) for before, after in itertools.pairwise(unary)]
    for configuration in space.uniform_multipliers():
        states = space.states(configuration)
        latency = sum(b[states[i], states[i + 1]] for i, b in enumerate(pairwise))
        found = baselines.widest_uniform(space, unary, [Constraint(pairwise, latency)])
        assert found.configuration(space) == configuration
        assert found.latency_ms == pytest.approx(latency)
        assert found.score == pytest.approx(states.sum())
    widest = baselines.widest_uniform(space, unary, [Constraint(pairwise, 1e9)])
    assert widest.configuration(space) == space.largest
    assert baselines.widest_uniform(space, unary, [Constraint(pairwise, -1.0)]) is None


def test_a_uniform_network_lies_between_the_choices_and_needs_widths_that_were_drawn():
    """Oracle: by hand; the choices are 80 and 160 channels, 160 and 320."""
    space = SearchSpace(32, 10, 1, 2, 2, base_widths=(80, 160), strides=(1, 1))
    unary = [np.array([0.0, 10.0]), np.array([0.0, 20.0])]
    pairwise = [np.array([[1.0, 1.0], [2.0, 2.0]])]
    found = baselines.widest_uniform(space, unary, [Constraint(pairwise, 1.5)])
    assert found.configuration(space) == (120, 248)
    assert found.latency_ms == pytest.approx(1.5)
    assert found.score == pytest.approx(5 + 20 * 88 / 160)
    assert 1.5 < found.multiplier < 1.56
    never = [np.array([-np.inf, 10.0]), unary[1]]
    assert baselines.widest_uniform(space, never, [Constraint(pairwise, 1.5)]) is None
    assert baselines.widest_uniform(space, never, [Constraint(pairwise, 9.0)]).score == 30


def test_greedy_slimming_by_hand():
    """From (2, 2) at 6 ms: layer 1 costs 1 per 1 ms, layer 2 costs 1 per 2 ms, so layer 2 shrinks;
    then layer 1 costs 1 per 1 ms, layer 2 costs 9 per 1 ms, so layer 1 shrinks."""
    unary = [np.array([-5.0, -1.0, 0.0]), np.array([-10.0, -1.0, 0.0])]
    pairwise = [np.array([[1.0, 1.0, 3.0], [2.0, 3.0, 5.0], [3.0, 4.0, 6.0]])]
    assert baselines.greedy_slimming(unary, [Constraint(pairwise, 6.0)]).states == (2, 2)
    assert baselines.greedy_slimming(unary, [Constraint(pairwise, 5.9)]).states == (2, 1)
    assert baselines.greedy_slimming(unary, [Constraint(pairwise, 3.9)]).states == (1, 1)
    assert baselines.greedy_slimming(unary, [Constraint(pairwise, 0.9)]) is None


def test_greedy_slimming_shrinks_what_saves_no_time_last():
    unary = [np.array([-0.1, 0.0]), np.array([-1.0, 0.0])]
    pairwise = [np.array([[1.0, 3.0], [1.0, 2.0]])]  # the narrower first layer is slower
    assert baselines.greedy_slimming(unary, [Constraint(pairwise, 1.5)]).states == (1, 0)


@given(chains(), st.integers(0, 64))
@settings(max_examples=100)
def test_no_baseline_beats_the_search_or_misses_the_target(chain, share):
    unary, [pairwise] = chain
    _, _, latencies = enumerate_chain(unary, pairwise)
    target = latencies.min() + share / 64 * np.ptp(latencies)
    best = solve(unary, [Constraint(pairwise, target)])
    answers = baselines.random_feasible(
        unary, [Constraint(pairwise, target)], np.random.default_rng(0), 5
    )
    answers.append(baselines.greedy_slimming(unary, [Constraint(pairwise, target)]))
    assert len(answers) == 6
    for answer in filter(None, answers):
        assert answer.score <= best.score + 1e-9
        assert answer.latency_ms <= target + 1e-9
        assert answer == Answer.of(unary, [Constraint(pairwise, target)], answer.states)


def test_random_feasible_is_uniform_over_what_meets_the_target():
    """Against enumeration: a chi-square test on the counts of every feasible configuration."""
    rng = np.random.default_rng(0)
    unary = [np.array([0.0, 1.0, -np.inf]), *(np.zeros(3) for _ in range(3))]
    pairwise = [rng.random((3, 3)) for _ in range(3)]
    states, _, latencies = enumerate_chain(unary, pairwise)
    target = np.quantile(latencies, 0.3)
    feasible = [tuple(row) for row in states[latencies <= target]]
    answers = baselines.random_feasible(unary, [Constraint(pairwise, target)], rng, 4000)
    drawn = [answer.states for answer in answers]
    assert set(drawn) == set(feasible)
    assert chisquare([drawn.count(row) for row in feasible]).pvalue > 1e-3


def test_what_fits_only_when_rounded_down_to_bins_is_rejected():
    """25 wide layers of 80.5 bins each miss the target, though 25 times 80 bins would meet it."""
    unary = [np.zeros(1), *(np.zeros(2) for _ in range(40))]
    step = np.array([[0.0, 80.5 / baselines.BINS]])
    pairwise = [step, *(np.tile(step, (2, 1)) for _ in range(39))]
    answers = baselines.random_feasible(
        unary, [Constraint(pairwise, 1.0)], np.random.default_rng(0), 200
    )
    assert len(answers) == 200
    assert max(sum(answer.states) for answer in answers) == 24


def test_random_feasible_finds_the_fastest_configuration_or_nothing():
    unary, pairwise = search_instances.realistic(SearchSpace(), np.random.default_rng(0))
    fastest = min(search_instances.targets(unary, pairwise, 2))
    rng = np.random.default_rng(0)
    assert baselines.random_feasible(unary, [Constraint(pairwise, 0.01 * fastest)], rng, 5) == []


def test_every_baseline_is_feasible_and_greedy_weighs_the_exceeded_constraints():
    rng = np.random.default_rng(1)
    unary = [np.arange(3.0), np.arange(3.0), np.arange(3.0)]
    pairwises = [[rng.random((3, 3)) for _ in range(2)] for _ in range(2)]
    states, _, first = enumerate_chain(unary, pairwises[0])
    second = enumerate_chain(unary, pairwises[1])[2]
    limits = [np.quantile(first, 0.5), np.quantile(second, 0.4)]
    constraints = [Constraint(*pair) for pair in zip(pairwises, limits, strict=True)]
    feasible = {tuple(row) for row in states[(first <= limits[0]) & (second <= limits[1])]}
    answers = baselines.random_feasible(unary, constraints, rng, 500)
    assert {answer.states for answer in answers} == feasible
    greedy = baselines.greedy_slimming(unary, constraints)
    assert greedy.states in feasible
    assert greedy.values == pytest.approx([c.value(greedy.states) for c in constraints])
    assert greedy.score <= solve(unary, constraints).score


def test_greedy_slimming_by_hand_looks_at_a_constraint_only_while_it_is_exceeded():
    """The second limit is never exceeded: with it in the prices the first layer would shrink."""
    unary = [np.array([-1.0, 0.0]), np.array([-2.0, 0.0])]
    latency = [np.array([[1.0, 3.0], [2.0, 5.0]])]  # 2 saved by layer 1, 3 by layer 2
    memory = [np.array([[0.0, 0.0], [9.0, 9.0]])]
    constraints = [Constraint(latency, 4.0), Constraint(memory, 10.0, "memory", "MB")]
    assert baselines.greedy_slimming(unary, constraints).states == (0, 1)
    constraints = [Constraint(latency, 2.5), Constraint(memory, 10.0, "memory", "MB")]
    assert baselines.greedy_slimming(unary, constraints).states == (0, 0)
    constraints = [Constraint([3 * latency[0]], 15.0), Constraint(memory, 8.0, "memory", "MB")]
    assert baselines.greedy_slimming(unary, constraints).states == (0, 1)
