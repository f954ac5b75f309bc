from unittest import mock

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.oracles import milp, search_instances
from nas.constraint import Constraint, InfeasibleError, least_sum, macs, parameters
from nas.exact import constrained_search
from nas.exact.constrained_search import solve
from nas.search_space import SearchSpace
from tests.helpers.small_chains import chains, enumerate_chain, random_pairwise
from utils.errors import UserError

TIE = 1e-9  # scores and latencies of the small chains differ by more, or not at all
CAPACITIES = st.sampled_from([1, 2, 16])  # labels per state in the first pass


def few_labels(capacity):
    """So few labels that small chains, too, need several passes."""
    return mock.patch.object(constrained_search, "CAPACITY", capacity)


def search(unary, pairwise, target, **options):
    return solve(unary, [Constraint(pairwise, target)], **options)


def total(potentials, states):
    return sum(potential[state] for potential, state in zip(potentials, states, strict=True))


def latency(pairwise, states):
    return sum(block[states[i], states[i + 1]] for i, block in enumerate(pairwise))


@given(chains(), st.integers(0, 70), st.booleans(), CAPACITIES)
@settings(max_examples=300)
def test_enumeration_finds_nothing_better_nor_as_good_and_faster(chain, share, on_a_sum, capacity):
    unary, [pairwise] = chain
    states, scores, latencies = enumerate_chain(unary, pairwise)
    target = latencies.min() + share / 64 * np.ptp(latencies)
    if on_a_sum:  # zero slack: the target is exactly the latency of some configuration
        target = latencies[share % len(latencies)]
    with few_labels(capacity):
        result = search(unary, pairwise, target)
    meeting = latencies <= target + TIE
    best = scores[meeting].max()
    assert result.score == pytest.approx(best, abs=TIE)
    assert result.score == pytest.approx(total(unary, result.states), abs=TIE)
    assert latency(pairwise, result.states) == pytest.approx(
        latencies[meeting & (scores > best - TIE)].min(), abs=TIE
    )
    assert list(result.states) in states.tolist()
    assert (result.gap, result.bound) == (0, result.score)


@given(chains(resources=3), st.tuples(*[st.integers(0, 64)] * 3), CAPACITIES)
@settings(max_examples=300)
def test_enumeration_agrees_on_three_constraints_or_that_nothing_is_feasible(
    chain, shares, capacity
):
    unary, pairwises = chain
    enumerated = [enumerate_chain(unary, pairwise) for pairwise in pairwises]
    sums = np.array([latencies for _, _, latencies in enumerated])
    limits = [row.min() + share / 64 * np.ptp(row) for row, share in zip(sums, shares, strict=True)]
    constraints = [Constraint(p, limit) for p, limit in zip(pairwises, limits, strict=True)]
    meeting = (sums <= np.array(limits)[:, None] + TIE).all(axis=0)
    if not meeting.any():
        with few_labels(capacity), pytest.raises(InfeasibleError, match="satisfies all limits"):
            solve(unary, constraints)
        return
    with few_labels(capacity):
        result = solve(unary, constraints)
    scores = enumerated[0][1]
    best = scores[meeting].max()
    assert result.score == pytest.approx(best, abs=TIE)
    assert latency(pairwises[0], result.states) == pytest.approx(
        sums[0][meeting & (scores > best - TIE)].min(), abs=TIE
    )
    for pairwise, limit in zip(pairwises, limits, strict=True):
        assert latency(pairwise, result.states) <= limit + TIE
    assert result.gap == 0


def test_enumeration_agrees_where_the_multipliers_find_nothing_feasible():
    """Each limit is exactly what one hidden configuration uses: label setting starts from none."""
    for seed in range(60):
        rng = np.random.default_rng(seed)
        sizes = [3] * 6
        unary = [rng.normal(size=size) for size in sizes]
        pairwises = [random_pairwise(rng, sizes, "real") for _ in range(3)]
        sums = np.array([enumerate_chain(unary, pairwise)[2] for pairwise in pairwises])
        limits = sums[:, rng.integers(sums.shape[1])]
        constraints = [Constraint(p, limit) for p, limit in zip(pairwises, limits, strict=True)]
        with few_labels(1):
            result = solve(unary, constraints)
        meeting = (sums <= limits[:, None] + TIE).all(axis=0)
        best = enumerate_chain(unary, pairwises[0])[1][meeting].max()
        assert result.score == pytest.approx(best, abs=TIE)
        assert result.gap == 0


def test_of_many_equal_scores_under_three_limits_the_fastest_answers():
    """Oracle: enumeration, where more labels tie than the first pass keeps."""
    found = 0
    for seed in range(40):
        rng = np.random.default_rng(seed)
        sizes = [4] * 5
        unary = [np.zeros(size) for size in sizes]
        pairwises = [random_pairwise(rng, sizes, "real") for _ in range(3)]
        sums = np.array([enumerate_chain(unary, pairwise)[2] for pairwise in pairwises])
        limits = np.quantile(sums, 0.5, axis=1)
        meeting = (sums <= limits[:, None]).all(axis=0)
        constraints = [Constraint(p, limit) for p, limit in zip(pairwises, limits, strict=True)]
        if meeting.any():
            found += 1
            answer = solve(unary, constraints)
            assert answer.values[0] == pytest.approx(sums[0][meeting].min(), abs=TIE)
    assert found > 30


def least_latencies(unary, pairwise):
    """The least latency of each total of whole scores from 0 on: dynamic programming over them."""
    most = int(sum(scores.max() for scores in unary))
    least = np.full((len(unary[0]), most + 1), np.inf)
    least[np.arange(len(unary[0])), unary[0].astype(int)] = 0
    for scores, block in zip(unary[1:], pairwise, strict=True):
        moved = np.full((len(scores), most + 1), np.inf)
        for state, gain in enumerate(scores.astype(int)):
            before = (least + block[:, state, None]).min(axis=0)
            moved[state, gain:] = before[: most + 1 - gain]
        least = moved
    return least.min(axis=0)


@pytest.mark.parametrize("whole", [True, False])
def test_ties_at_full_size_against_dynamic_programming_over_whole_scores(whole):
    rng = np.random.default_rng(0)
    unary = [rng.integers(0, 4, 10).astype(float) for _ in range(14)]
    pairwise = [rng.random((10, 10)) ** 2 for _ in range(13)]
    if whole:
        pairwise = [(20 * block).round() for block in pairwise]
    least = least_latencies(unary, pairwise)
    for target in search_instances.targets(unary, pairwise, 40):
        result = search(unary, pairwise, target)
        assert result.score == np.flatnonzero(least <= target).max()
        assert latency(pairwise, result.states) == pytest.approx(least[int(result.score)])
        assert result.gap == 0


@pytest.mark.parametrize("seed", range(4))
def test_mixed_integer_programming_agrees_at_full_size(seed):
    unary, pairwise = search_instances.realistic(SearchSpace(), np.random.default_rng(seed))
    for target in search_instances.targets(unary, pairwise, 3):
        result = search(unary, pairwise, target)
        assert result.score == pytest.approx(
            total(unary, milp.solve(unary, [pairwise], [target])), abs=1e-9
        )
        assert latency(pairwise, result.states) <= target
        assert result.gap == 0


@pytest.mark.parametrize("seed", range(2))
def test_mixed_integer_programming_agrees_with_macs_and_parameters_limited_too(seed):
    space = SearchSpace()
    unary, pairwise = search_instances.realistic(space, np.random.default_rng(seed))
    pairwises = [pairwise, macs(space), parameters(space)]
    limits = [search_instances.targets(unary, p, 10)[4 + i] for i, p in enumerate(pairwises)]
    result = solve(unary, [Constraint(*pair) for pair in zip(pairwises, limits, strict=True)])
    answer = milp.solve(unary, pairwises, limits)
    assert result.score == pytest.approx(total(unary, answer), abs=1e-9)
    assert result.gap == 0


def test_the_answer_is_never_worse_than_the_bisection_s_and_within_its_bound():
    unary, pairwise = search_instances.realistic(SearchSpace(), np.random.default_rng(5))
    better = 0
    for target in search_instances.targets(unary, pairwise, 50):
        exact = search(unary, pairwise, target)
        states, bound = search_instances.bisection(unary, pairwise, target)
        bisected = total(unary, states)
        assert bisected - 1e-12 <= exact.score <= bound + 1e-12
        better += exact.score > bisected + 1e-9
    assert better > 10


@given(chains(resources=2), st.integers(0, 64), st.sampled_from([1e3, 1e-3, 3e-7, 1 / 3]))
@settings(max_examples=200)
def test_the_unit_of_latency_does_not_matter(chain, share, unit):
    unary, pairwises = chain
    limits = []
    for pairwise in pairwises:
        _, _, latencies = enumerate_chain(unary, pairwise)
        # Often exactly the latency of a configuration, or several.
        limits.append(np.sort(latencies)[share % len(latencies)])
    one = [Constraint(p, limit) for p, limit in zip(pairwises, limits, strict=True)]
    other = [Constraint([unit * b for b in c.pairwise], unit * c.limit) for c in one]
    for count in (1, 2):
        try:
            result = solve(unary, one[:count])
        except InfeasibleError:
            with pytest.raises(InfeasibleError):
                solve(unary, other[:count])
            continue
        scaled = solve(unary, other[:count])
        assert (scaled.states, scaled.score, scaled.bound) == (
            result.states, result.score, result.bound,
        )  # fmt: skip
        assert np.multiply(scaled.gammas, unit) == pytest.approx(result.gammas)


def test_the_answer_is_the_same_in_microseconds_at_full_size():
    unary, pairwise = search_instances.realistic(SearchSpace(), np.random.default_rng(1))
    for target in search_instances.targets(unary, pairwise, 10):
        in_us = search(unary, [1000 * block for block in pairwise], 1000 * target)
        assert in_us.states == search(unary, pairwise, target).states


def test_an_unreachable_target_names_the_least_latency_of_what_has_a_score():
    unary = [np.array([-np.inf, 0.0, 1.0]), np.array([0.0, 1.0])]
    pairwise = [np.array([[0.1, 0.1], [2.0, 3.0], [4.0, 5.0]])]
    assert least_sum(unary, pairwise) == 2
    with pytest.raises(InfeasibleError, match=r"target 1\.9 ms .* configuration, 2 ms") as error:
        search(unary, pairwise, 1.9)
    assert isinstance(error.value, UserError)
    with pytest.raises(InfeasibleError, match=r"target 1e\+06 MACs .* least cost .* 2e\+06 MACs"):
        solve(
            unary,
            [
                Constraint(pairwise, 5.0),
                Constraint([1e6 * pairwise[0]], 1e6, name="cost", unit="MACs"),
            ],
        )


@pytest.mark.parametrize("target", [1e9, np.inf])
def test_a_loose_target_gives_the_best_scores_and_a_multiplier_of_zero(target):
    unary, pairwise = search_instances.realistic(SearchSpace(), np.random.default_rng(0))
    result = search(unary, pairwise, target)
    assert result.states == tuple(int(scores.argmax()) for scores in unary)
    assert (result.gammas, result.gap) == ((0.0,), 0)


def test_one_node_has_no_latency():
    assert search([np.array([1.0, 3.0, 2.0])], [], 0.0).states == (1,)
    with pytest.raises(InfeasibleError, match="0 ms"):
        search([np.array([1.0, 3.0, 2.0])], [], -1.0)


def test_no_latency_at_all_is_allowed_where_it_is_possible():
    unary = [np.array([0.0, 1.0]), np.array([0.0, 1.0])]
    pairwise = [np.array([[0.0, 0.0], [1e-9, 1e-9]])]
    assert search(unary, pairwise, 0.0).states == (0, 1)


def test_scores_of_very_different_size_keep_their_differences():
    """A width with a catastrophic loss must not drown the differences of the others."""
    unary = [np.array([-1e6, 0.0, 1e-7]), np.array([-1e6, 0.0, 1e-7])]
    pairwise = [np.array([[0.1, 0.1, 0.1], [0.1, 0.2, 0.3], [0.1, 0.3, 0.4]])]
    assert search(unary, pairwise, 0.3).states in [(1, 2), (2, 1)]
    assert search(unary, pairwise, 0.4).states == (2, 2)


def test_with_little_effort_the_answer_meets_the_target_and_its_bound_holds():
    unary, pairwise = search_instances.subset_sum(8, 8, np.random.default_rng(0))
    target = search_instances.targets(unary, pairwise, 3)[1]
    little, more, full = (search(unary, pairwise, target, effort=e) for e in (0, 1e5, 1e9))
    assert full.gap == 0
    for result in (little, more):
        assert latency(pairwise, result.states) <= target
        assert result.score <= full.score + 1e-12
        assert result.bound >= full.score - 1e-12
    assert 0 < more.gap < little.gap


def test_bad_arrays_are_refused():
    unary, pairwise = [np.zeros(2), np.zeros(2)], [np.ones((2, 2))]
    for bad in (-1.0, np.nan, -np.inf):  # +inf forbids a transition
        with pytest.raises(ValueError, match=r"NaN|at least 0"):
            search(unary, [np.array([[1.0, bad], [1.0, 1.0]])], 3.0)
    with pytest.raises(ValueError, match="shape"):
        search(unary, [np.ones((2, 3))], 3.0)
    with pytest.raises(UserError, match="NaN"):
        search(unary, pairwise, np.nan)
    with pytest.raises(UserError, match="layer 2"):
        search([np.zeros(2), np.full(2, -np.inf)], pairwise, 3.0)
