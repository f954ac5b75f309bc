"""Scores fitted to the losses of evaluated sub-networks, with training's statistics as the prior.

    -log loss(c) = intercept + sum_l psi_l(c_l) + residual
    psi_l(w) = the sum of layer l's increments up to width w, each at least 0

    residual   ~ N(0, sigma^2)                        what is not additive, and the images' noise
    increments ~ N(alpha D m, alpha^2 D E D' + tau^2) m: training's scores; E: their squared errors

D takes differences of neighbouring widths. The intercept is estimated with the increments; alpha,
sigma and tau maximise the restricted likelihood times sigma, which keeps sigma from 0: few
sub-networks have a fit through all of them. A width that is too narrow multiplies the loss
rather than adds to it: on 300 sub-networks, half of them left out, the logarithm ranks the better
ones by 0.89 (0.86 without it), all by 0.96 (0.95).
Source: Patterson and Thompson 1971 (restricted likelihood); Chung, Rabe-Hesketh, Dorie, Gelman and
Liu 2013 (a likelihood times the standard deviation, against estimates of 0); Lawson and Hanson 1974
(non-negative least squares); Lin and Dunson 2014 (monotone posteriors by projection).
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.linalg import block_diag, cho_factor, cho_solve
from scipy.optimize import minimize, nnls

from nas.noise import DrawnScores
from utils.errors import UserError

LEAST_SPREAD = 1e-4  # of scores: what differs less does not differ
LEAST = 10  # sub-networks, the fewest to estimate hyperparameters from
STARTS = (0.02, 0.2)  # of sigma, of the scores' spread: some end in a local maximum
FOLDS = 10  # of the validation on sub-networks left out
DRAWS = 100  # of the posterior, for intervals and noise
LEVEL = 0.9  # of the intervals


@dataclass(frozen=True)
class ScorePrior:
    """What training says about the scores, in nats of a whole network's loss; -inf: never drawn."""

    means: list  # per layer (S,)
    errors: list  # per layer (S,): standard errors

    @cached_property
    def seen(self):
        """Per layer the widths that have a score, as positions among its choices."""
        return [np.flatnonzero(np.asarray(means) > -np.inf) for means in self.means]

    @cached_property
    def increments(self):
        """The differences of neighbouring widths' means, of all layers, shape (D,)."""
        rows = zip(self.means, self.seen, strict=True)
        return np.concatenate([np.diff(np.asarray(means)[seen]) for means, seen in rows])

    @cached_property
    def covariance(self):
        """The covariance of the increments, from the standard errors, shape (D, D)."""
        blocks = []
        for errors, seen in zip(self.errors, self.seen, strict=True):
            differences = np.diff(np.eye(len(seen)), axis=0)
            blocks.append(differences * np.square(np.asarray(errors)[seen]) @ differences.T)
        return block_diag(*blocks)

    def features(self, states):
        """Return which increments configurations (n, N) have, 0 or 1, shape (n, D)."""
        columns = [
            np.asarray(column)[:, None] >= seen[1:]
            for column, seen in zip(np.asarray(states).T, self.seen, strict=True)
        ]
        return np.hstack(columns).astype(float)

    def unary(self, increments):
        """Return the scores of increments (D,), one array (S,) per layer, from 0 up."""
        parts = np.split(increments, np.cumsum([len(seen) - 1 for seen in self.seen])[:-1])
        scores = []
        for means, seen, part in zip(self.means, self.seen, parts, strict=True):
            layer = np.full(len(means), -np.inf)
            layer[seen] = np.concatenate([[0.0], np.cumsum(part)])
            scores.append(layer)
        return scores


@dataclass(frozen=True)
class Hyperparameters:
    """The model's hyperparameters: see the module."""

    alpha: float
    sigma: float
    tau: float

    def covariance(self, prior):
        """Return the prior covariance of the increments, shape (D, D)."""
        return self.alpha**2 * prior.covariance + self.tau**2 * np.eye(len(prior.increments))

    @classmethod
    def most_likely(cls, features, scores, prior):
        """Return the most likely ones given scores (n,) and features (n, D): see the module."""
        scale = max(float(scores.std()), LEAST_SPREAD)
        ones, identity = np.ones(len(scores)), np.eye(len(scores))
        means = features @ prior.increments
        of_prior = features @ prior.covariance @ features.T
        of_rest = features @ features.T

        def loss(logarithms):
            alpha, sigma, tau = np.exp(logarithms) * [1, scale, scale]
            covariance = alpha**2 * of_prior + tau**2 * of_rest + sigma**2 * identity
            factor = cho_factor(covariance, lower=True)
            rest = scores - alpha * means
            weights = cho_solve(factor, ones)
            rest = rest - weights @ rest / weights.sum()
            determinant = 2 * np.log(np.diag(factor[0])).sum() + np.log(weights.sum())
            return determinant + rest @ cho_solve(factor, rest) - 2 * np.log(sigma)

        bounds = np.log([(0.01, 100), (1e-3, 1), (1e-4, 1)])
        tau = 0.2 / max(1, features.shape[1]) ** 0.5
        found = [
            minimize(loss, np.log([1, sigma, tau]), method="Nelder-Mead", bounds=bounds)
            for sigma in STARTS
        ]
        best = min(found, key=lambda each: each.fun)
        return cls(*(np.exp(best.x) * [1, scale, scale]).tolist())


class FittedScores:
    """The posterior of the scores, given the losses of sub-networks.

    A configuration's score is minus the logarithm of its expected loss: the intercept is part of
    the first layer's scores.
    """

    def __init__(self, prior, states, losses, hyper=None):
        """
        prior: a ScorePrior; states: (n, N), sub-networks of widths with a score; losses: (n,)
        hyper: the Hyperparameters; estimated if not given
        Raises UserError for a loss that is not finite and greater than 0.
        """
        losses = np.asarray(losses, dtype=float)
        if not (np.isfinite(losses) & (losses > 0)).all():
            raise UserError(
                "the loss of a sub-network is not a number greater than 0: the training has "
                "diverged, try a lower --lr"
            )
        self.prior, self.states, self.losses = prior, np.asarray(states), losses
        self._features, self._scores = prior.features(states), -np.log(losses)
        self.hyper = hyper or Hyperparameters.most_likely(self._features, self._scores, prior)
        covariance = self.hyper.covariance(prior)
        # Rows of the data, centred to remove the intercept, then those of the prior.
        centred = self._features - self._features.mean(axis=0)
        self._whitening = np.linalg.inv(np.linalg.cholesky(covariance))
        matrix = np.vstack([centred / self.hyper.sigma, self._whitening])
        self._orthogonal, self._matrix = np.linalg.qr(matrix)
        self.increments, self._intercept = self._solve(self._scores, np.zeros(len(covariance)))

    def _solve(self, scores, prior_noise):
        """Return the increments (D,) and the intercept that fit scores (n,) best.

        prior_noise: (D,), added to the whitened prior
        """
        data = (scores - scores.mean()) / self.hyper.sigma
        mean = self.hyper.alpha * self.prior.increments
        right = np.concatenate([data, self._whitening @ mean + prior_noise])
        if not len(mean):  # every layer has one width
            return mean, float(scores.mean())
        increments, _ = nnls(self._matrix, right @ self._orthogonal, maxiter=100 * len(mean))
        return increments, float((scores - self._features @ increments).mean())

    @cached_property
    def scores(self):
        """The scores of greatest posterior density, one array (S,) per layer."""
        return self._with_intercept(self.increments, self._intercept)

    def _with_intercept(self, increments, intercept):
        first, *others = self.prior.unary(increments)
        return [first + intercept, *others]

    def draw(self, rng):
        """Return scores drawn from the posterior and made monotone, one array (S,) per layer.

        The best fit to data and prior redrawn with their noise: exactly a draw if no increment is
        at its bound, else the nearest to one.
        """
        noise = rng.normal(size=len(self.losses)) * self.hyper.sigma
        prior_noise = rng.normal(size=len(self.increments))
        return self._with_intercept(*self._solve(self._scores + noise, prior_noise))

    def losses_within(self, states, rng, level=LEVEL):
        """Return the intervals of the losses of configurations (n, N): (low, high), each (n,)."""
        scores = DrawnScores([self.draw(rng) for _ in range(DRAWS)]).scores(states)
        scores += rng.normal(size=scores.shape) * self.hyper.sigma
        tails = (1 - level) / 2, (1 + level) / 2
        # The Weibull positions: quantiles of few draws lie too far inside by others.
        low, high = np.quantile(np.exp(-scores), tails, axis=0, method="weibull")
        return low, high

    def left_out(self, rng):
        """Return the loss of each sub-network as predicted by a fit to the others, (n,).

        Each of FOLDS parts is left out in turn; the hyperparameters are those of all sub-networks.
        """
        if len(self.losses) == 1:  # there is one configuration
            return self.losses.copy()
        fold = rng.permutation(len(self.losses)) % FOLDS
        predicted = np.empty(len(self.losses))
        for number in range(FOLDS):
            out = fold == number
            fit = FittedScores(self.prior, self.states[~out], self.losses[~out], self.hyper)
            predicted[out] = np.exp(-fit._intercept - self._features[out] @ fit.increments)
        return predicted


def balanced(seen, count, rng):
    """Return states (count, N) in which a layer's widths occur equally often, give or take one.

    seen: per layer the positions that are drawn from
    """
    columns = []
    for choices in seen:
        repeated = np.tile(rng.permutation(choices), -(-count // len(choices)))[:count]
        columns.append(rng.permutation(repeated))
    return np.stack(columns, axis=1)
