import itertools

import numpy as np
import pytest

from nas import aows, mrf, ows
from nas.transitions import pack
from tests.helpers.small_chains import enumerate_chain


def test_the_schedule_goes_through_the_references_points_at_20_epochs():
    points = {0: 1, 2.5: 1, 5: 1, 6: 0.01, 10: 0.001, 20: 0.0005}
    for epoch, tau in points.items():
        assert aows.temperature(epoch, 20) == pytest.approx(tau)
    # Log-linear between them: the geometric mean half way.
    assert aows.temperature(5.5, 20) == pytest.approx(0.1)
    assert aows.temperature(15, 20) == pytest.approx(np.sqrt(0.001 * 0.0005))


@pytest.mark.parametrize("epochs", [1, 3, 5, 6, 20, 200])
@pytest.mark.parametrize("warmup", [0, 1, 5, 15])
def test_the_schedule_makes_sense_for_any_number_of_epochs(epochs, warmup):
    points = aows.schedule_epochs(epochs, warmup)
    assert all(earlier <= later for earlier, later in itertools.pairwise(points))
    assert points[1] < points[2] < points[3] < points[4] == epochs
    taus = [aows.temperature(t, epochs, warmup) for t in np.linspace(0, epochs, 301)]
    assert all(later <= earlier for earlier, later in itertools.pairwise(taus))
    assert taus[-1] == pytest.approx(0.0005)
    if warmup:
        assert taus[0] == 1


def test_a_high_minimum_is_never_undercut():
    taus = [aows.temperature(t, 20, minimum=0.05) for t in range(21)]
    assert min(taus) == pytest.approx(0.05)


def random_chain(seed=0):
    rng = np.random.default_rng(seed)
    unary = [np.sort(rng.normal(size=size)) for size in (3, 5, 4)]
    return unary, [rng.random((3, 5)), rng.random((5, 4))]


def solved(unary, latencies, limits, method):
    """The packed chain that AOWS draws from at temperature 0.1, its multipliers and best states."""
    dense, transitions, resources = pack(unary, latencies, np.inf)
    gammas, states = aows.solve(dense, transitions, resources, np.array(limits), method, 12)
    scores, penalties = aows.potentials(dense, resources, gammas, 0.1)
    return (scores, transitions, penalties), gammas, states


@pytest.mark.parametrize("method", ows.METHODS)
def test_probabilities_are_the_marginals_of_the_gibbs_distribution(method):
    """Oracle: nas.mrf.sum_product on the ragged chain, itself tested by enumeration."""
    unary, latency = random_chain()
    chain, [gamma], states = solved(unary, [latency], [0.5], method)
    result = ows.search(unary, latency, 0.5, "lagrangian")
    assert tuple(states) == result.states
    if method == "lagrangian":
        assert gamma == result.gamma
    else:  # the bisection approaches the exact multiplier from above
        assert 0 <= result.gamma - gamma < 1e-2 * gamma
    expected = mrf.sum_product([u / 0.1 for u in unary], [-gamma * p / 0.1 for p in latency])
    for row, marginal in zip(mrf.sum_product_packed(*chain), expected, strict=True):
        np.testing.assert_allclose(row[: len(marginal)], marginal, atol=1e-12)
        assert (row[len(marginal) :] == 0).all()


def test_the_best_states_are_feasible_under_several_limits_which_weigh_in_the_distribution():
    """Oracle: enumeration of the Lagrangian dual on a grid of multipliers."""
    unary, first = random_chain()
    _, second = random_chain(1)
    limits = [0.6, 0.7]
    chain, gammas, states = solved(unary, [first, second], limits, "exact")
    rows, scores, used = enumerate_chain(unary, first)
    used = np.stack([used, enumerate_chain(unary, second)[2]])
    index = next(i for i, row in enumerate(rows) if tuple(row) == tuple(states))
    assert (used[:, index] <= limits).all()

    def dual_value(multipliers):
        return (scores - multipliers @ used).max() + multipliers @ np.array(limits)

    least = min(dual_value(np.array(g)) for g in itertools.product(np.linspace(0, 8, 81), repeat=2))
    assert dual_value(gammas) <= least + 1e-9
    weights = np.exp((scores - gammas @ used) / 0.1)
    expected = np.bincount(rows[:, 0], weights) / weights.sum()
    np.testing.assert_allclose(mrf.sum_product_packed(*chain)[0, :3], expected, atol=1e-9)


def test_independent_draws_follow_the_marginals_and_joint_draws_the_distribution():
    """Two layers that must agree: their marginals are even, a joint draw never disagrees."""
    unary, transitions, [potentials] = pack(
        [np.zeros(2), np.zeros(3)], [[np.array([[0, -np.inf, -1], [-np.inf, 0, -1]])]]
    )
    chain = unary, transitions, potentials
    marginals = mrf.sum_product_packed(*chain)
    draws = {
        sampling: aows.draw(*chain, marginals, sampling, np.random.default_rng(0), 10_000)
        for sampling in aows.SAMPLINGS
    }
    for states in draws.values():
        for layer, size in enumerate(transitions.sizes):
            shares = np.bincount(states[:, layer], minlength=3) / len(states)
            assert np.abs(shares - marginals[layer]).max() < 5 * 0.5 / np.sqrt(len(states))
            assert (shares[size:] == 0).all()
    disagree = {name: np.mean(s[:, 0] + s[:, 1] == 1) for name, s in draws.items()}
    assert disagree["joint"] == 0
    share = marginals[0, 0] * marginals[1, 1] + marginals[0, 1] * marginals[1, 0]
    assert disagree["independent"] == pytest.approx(share, abs=0.03)
