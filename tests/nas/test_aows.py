import itertools

import numpy as np
import pytest

from nas import aows, mrf, ows


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


def test_probabilities_are_the_marginals_of_the_gibbs_distribution():
    """Oracle: nas.mrf.sum_product on the ragged chain, itself tested by enumeration."""
    rng = np.random.default_rng(0)
    unary = [np.sort(rng.normal(size=size)) for size in (3, 5, 4)]
    latency = [rng.random((3, 5)), rng.random((5, 4))]
    result = ows.search(unary, latency, 0.5, "lagrangian")
    gamma, states, probabilities = aows.solve(*mrf.pad(unary, latency), 0.5, 12, 0.1)
    assert (gamma, tuple(states)) == (result.gamma, result.states)
    expected = mrf.sum_product([u / 0.1 for u in unary], [-gamma * p / 0.1 for p in latency])
    for row, marginal in zip(probabilities, expected, strict=True):
        np.testing.assert_allclose(row[: len(marginal)], marginal, atol=1e-12)
        assert (row[len(marginal) :] == 0).all()


def test_draws_follow_the_probabilities():
    probabilities = np.array([[0.2, 0.8, 0.0], [0.5, 0.0, 0.5]])
    draws = aows.draw(probabilities, np.random.default_rng(0), 10_000)
    for layer, row in enumerate(probabilities):
        shares = np.bincount(draws[:, layer], minlength=3) / len(draws)
        assert np.abs(shares - row).max() < 5 * 0.5 / np.sqrt(len(draws))
        assert (shares[row == 0] == 0).all()


def test_uniform_probabilities_leave_no_room_behind_a_layers_widths():
    np.testing.assert_allclose(
        aows.uniform_probabilities([2, 4]), [[0.5, 0.5, 0, 0], [0.25, 0.25, 0.25, 0.25]]
    )
