"""Oracles: truths that are additive, the dense Gaussian posterior, CVXPY, fits without a row."""

from dataclasses import replace

import cvxpy
import numpy as np
import pytest
from scipy.stats import norm

from nas.fitted_scores import (
    LEAST,
    FittedScores,
    Hyperparameters,
    ScorePrior,
    balanced,
)
from nas.mrf import unary_sum
from nas.validation.prediction_errors import spearman
from utils.errors import UserError

SIZES = (1, 3, 4, 5)


def truth_of(rng, least=0.0):
    """Scores that rise by `least` per width at least, one array per layer."""
    return [np.cumsum(np.r_[0, least + rng.exponential(0.1, size - 1)]) for size in SIZES]


def losses_of(truth, states, noise=0.0):
    """The losses whose logarithms the truth and noise add up to."""
    return np.exp(np.array([0.5 - unary_sum(truth, row) for row in states]) + noise)


def prior_of(truth, rng, error, scale=1.0):
    """What training would tell of a truth: another scale, another offset per layer, noise."""
    means = [scale * layer + rng.normal() + rng.normal(0, error, len(layer)) for layer in truth]
    return ScorePrior(means, [np.full(len(layer), error) for layer in truth])


def all_states():
    return np.stack(np.meshgrid(*map(np.arange, SIZES), indexing="ij"), -1).reshape(-1, len(SIZES))


def test_an_additive_truth_is_found_where_training_tells_nothing():
    """Oracle: the losses of all configurations, from more evaluations than there are increments."""
    rng = np.random.default_rng(0)
    truth = truth_of(rng)
    prior = ScorePrior(
        [rng.normal(size=size) for size in SIZES], [np.full(size, 9.0) for size in SIZES]
    )
    states = balanced(prior.seen, 30, rng)
    fit = FittedScores(prior, states, losses_of(truth, states), Hyperparameters(1, 1e-6, 0.1))
    expected = losses_of(truth, all_states())
    found = [np.exp(-unary_sum(fit.scores, row)) for row in all_states()]
    np.testing.assert_allclose(found, expected, rtol=1e-4)
    assert all((np.diff(layer) >= 0).all() for layer in fit.scores)


@pytest.mark.parametrize(("count", "seed"), [(10, 0), (12, 1), (15, 3)])
def test_what_is_additive_is_not_taken_for_noise(count, seed):
    """Oracle: a truth without noise, from more sub-networks than there are increments.

    Its likelihood has a second maximum, at which all of the losses' spread is noise.
    """
    states = balanced([np.arange(3)] * 3, count, np.random.default_rng(seed))
    prior = ScorePrior([np.arange(3.0)] * 3, [np.full(3, 0.08)] * 3)
    fit = FittedScores(prior, states, np.exp(-states @ np.array([1.0, 0.1, 0.01])))
    assert fit.hyper.sigma < 0.01
    np.testing.assert_allclose(np.diff(fit.scores[0]), 1, atol=0.01)


def test_training_helps_where_few_are_evaluated():
    """Oracle: rank correlation with the losses of all configurations; training's scale is found."""
    rng = np.random.default_rng(1)
    truth = truth_of(rng)
    states = balanced([np.arange(size) for size in SIZES], LEAST, rng)
    losses = losses_of(truth, states, rng.normal(0, 0.05, LEAST))
    expected = losses_of(truth, all_states())

    def correlation(error):
        prior = prior_of(truth, np.random.default_rng(2), error, scale=0.25)
        fit = FittedScores(prior, states, losses)
        return fit, spearman([-unary_sum(fit.scores, row) for row in all_states()], expected)

    fit, informed = correlation(error=0.002)
    _, uninformed = correlation(error=9.0)
    assert informed > 0.97 > uninformed
    assert 2.5 < fit.hyper.alpha < 6


def test_the_fit_minimises_the_stated_sum_of_squares():
    """Oracle: CVXPY, on the objective as it is written in the module's docstring."""
    rng = np.random.default_rng(3)
    prior = ScorePrior(*([rng.normal(size=s) for s in SIZES], [rng.random(s) for s in SIZES]))
    states = rng.integers(SIZES, size=(20, len(SIZES)))
    logarithms = rng.normal(size=20)
    hyper = Hyperparameters(0.7, 0.3, 0.2)
    fit = FittedScores(prior, states, np.exp(logarithms), hyper)
    increments, intercept = cvxpy.Variable(len(prior.increments)), cvxpy.Variable()
    data = (-logarithms - intercept - prior.features(states) @ increments) / hyper.sigma
    inverse = np.linalg.inv(hyper.covariance(prior))
    of_prior = cvxpy.quad_form(increments - hyper.alpha * prior.increments, inverse)
    cvxpy.Problem(cvxpy.Minimize(cvxpy.sum_squares(data) + of_prior), [increments >= 0]).solve(
        solver=cvxpy.CLARABEL
    )
    np.testing.assert_allclose(fit.increments, increments.value, atol=1e-6)
    assert fit.scores[0][0] == pytest.approx(intercept.value, abs=1e-6)
    assert (fit.increments < 1e-9).any()  # some increments are at their bound


def test_draws_are_of_the_gaussian_posterior_far_from_the_bounds():
    """Oracle: its dense mean and covariance."""
    rng = np.random.default_rng(4)
    truth = truth_of(rng, least=10.0)
    prior = prior_of(truth, rng, error=0.3)
    states = balanced(prior.seen, 25, rng)
    hyper = Hyperparameters(1.0, 0.5, 0.2)
    losses = losses_of(truth, states, rng.normal(0, hyper.sigma, 25))
    fit = FittedScores(prior, states, losses, hyper)
    features = np.hstack([np.ones((25, 1)), prior.features(states)])
    precision = features.T @ features / hyper.sigma**2
    precision[1:, 1:] += np.linalg.inv(hyper.covariance(prior))
    covariance = np.linalg.inv(precision)
    row = np.r_[1, prior.features([(0, 2, 1, 3)])[0]]
    drawn = [unary_sum(fit.draw(rng), (0, 2, 1, 3)) for _ in range(1000)]
    assert np.mean(drawn) == pytest.approx(unary_sum(fit.scores, (0, 2, 1, 3)), abs=0.05)
    assert np.std(drawn) == pytest.approx(np.sqrt(row @ covariance @ row), rel=0.1)


def test_losses_lie_within_their_interval_as_often_as_it_says():
    """Oracle: 800 configurations, of 4 truths, with noise of their own: 90 % within."""
    inside = []
    for seed in range(4):
        rng = np.random.default_rng(seed)
        truth = truth_of(rng)
        prior = prior_of(truth, rng, error=0.02)
        states = balanced(prior.seen, 40, rng)
        fit = FittedScores(prior, states, losses_of(truth, states, rng.normal(0, 0.1, 40)))
        others = rng.integers(SIZES, size=(200, len(SIZES)))
        low, high = fit.losses_within(others, rng)
        losses = losses_of(truth, others, rng.normal(0, 0.1, 200))
        inside.append((low < losses) & (losses < high))
    assert 0.8 < np.mean(inside) < 0.98


def test_intervals_of_few_draws_are_not_too_narrow(monkeypatch):
    """Oracle: normal draws, of which 90 % lie within; interpolated quantiles of 100 have 88.2 %."""
    rng = np.random.default_rng(0)
    truth = truth_of(rng)
    states = balanced(prior_of(truth, rng, error=0.02).seen, 10, rng)
    fit = FittedScores(prior_of(truth, rng, error=0.02), states, losses_of(truth, states, 0.0))
    fit.hyper = replace(fit.hyper, sigma=0.0)
    alone = [np.zeros(size) for size in SIZES]
    monkeypatch.setattr(fit, "draw", lambda rng: [alone[0] + rng.normal(), *alone[1:]])
    ends = [fit.losses_within(states[:1], rng) for _ in range(2000)]
    low, high = -np.log(np.squeeze(ends)).T[::-1]
    assert np.mean(norm.cdf(high) - norm.cdf(low)) == pytest.approx(0.9, abs=0.005)


def test_a_sub_network_left_out_is_told_by_the_others():
    """Oracle: a loss that is far off changes what the fit tells of others, never of itself."""
    rng = np.random.default_rng(5)
    truth = truth_of(rng)
    prior = prior_of(truth, rng, error=0.02)
    states = balanced(prior.seen, 20, rng)
    losses = losses_of(truth, states)
    hyper = Hyperparameters(1.0, 0.1, 0.05)
    before = FittedScores(prior, states, losses, hyper).left_out(np.random.default_rng(0))
    losses[7] *= 5
    after = FittedScores(prior, states, losses, hyper).left_out(np.random.default_rng(0))
    assert after[7] == before[7]
    assert (after != before).sum() >= 17
    assert np.abs(before - losses_of(truth, states)).max() < 0.2


def test_a_width_that_was_never_drawn_has_no_score():
    rng = np.random.default_rng(6)
    truth = truth_of(rng)
    prior = prior_of(truth, rng, error=0.01)
    prior.means[2][1] = -np.inf
    states = balanced(prior.seen, 24, rng)
    assert set(states[:, 2]) == {0, 2, 3}
    fit = FittedScores(prior, states, losses_of(truth, states))
    for unary in (fit.scores, fit.draw(rng)):
        assert np.isneginf(unary[2]).tolist() == [False, True, False, False]
    assert fit.scores[2][3] - fit.scores[2][0] == pytest.approx(truth[2][3], abs=0.05)


def test_the_start_is_balanced():
    """Oracle: counts of the widths of each layer."""
    states = balanced([np.array([0, 2, 5]), np.array([1])], 10, np.random.default_rng(0))
    assert states.shape == (10, 2)
    assert sorted(np.unique(states[:, 0], return_counts=True)[1]) == [3, 3, 4]
    assert set(states[:, 1]) == {1}


@pytest.mark.parametrize("loss", [np.nan, np.inf, 0.0])
def test_a_loss_without_a_logarithm_is_refused(loss):
    prior = prior_of(truth_of(np.random.default_rng(0)), np.random.default_rng(0), 0.1)
    states = balanced(prior.seen, LEAST, np.random.default_rng(0))
    with pytest.raises(UserError, match="is not a number greater than 0"):
        FittedScores(prior, states, [1.0] * (LEAST - 1) + [loss])


def test_layers_of_one_width_leave_the_mean():
    prior = ScorePrior([np.zeros(1)] * 3, [np.ones(1)] * 3)
    losses = np.arange(1, LEAST + 1)
    fit = FittedScores(prior, [(0, 0, 0)] * LEAST, losses)
    assert unary_sum(fit.scores, (0, 0, 0)) == pytest.approx(-np.log(losses).mean())


@pytest.mark.parametrize("spread", [0.0, 1e-8])
def test_sub_networks_of_equal_losses_have_equal_scores(spread):
    """Oracle: the losses; without a least scale the likelihood's matrix was not positive."""
    rng = np.random.default_rng(7)
    prior = ScorePrior([np.zeros(3)] * 13, [np.full(3, 0.1)] * 13)
    states = balanced(prior.seen, 60, rng)
    fit = FittedScores(prior, states, 2 * np.exp(spread * rng.random(60)))
    assert [unary_sum(fit.scores, each) for each in states] == pytest.approx(
        [-np.log(2)] * 60, abs=1e-3
    )


def test_the_only_sub_network_is_predicted_by_itself():
    prior = ScorePrior([np.zeros(1)] * 3, [np.ones(1)] * 3)
    fit = FittedScores(prior, [(0, 0, 0)], [2.0])
    assert fit.left_out(np.random.default_rng(0)).tolist() == [2.0]
