"""Oracle: an additive truth, of which all configurations are known."""

import itertools

import numpy as np
import pytest

from nas.fitted_scores import LEAST, Prior, score
from nas.thompson import FIRST, Evaluated, fit_where_the_answer_lies

SIZES = (6, 6, 6)
SEED = 2  # of what training tells
LIMIT = 9  # on the sum of the states


@pytest.fixture
def truth():
    rng = np.random.default_rng(0)
    return [np.cumsum(np.r_[0, rng.exponential(0.3, size - 1)]) for size in SIZES]


def best(unary):
    """The best states within the limit, by enumeration."""
    states = itertools.product(*map(range, SIZES))
    return max((s for s in states if sum(s) <= LIMIT), key=lambda s: score(unary, s))


class Evaluations:
    """Losses of a truth, with noise of each configuration's own; counts what is asked."""

    def __init__(self, truth, noise=0.01):
        self.truth, self.noise, self.asked = truth, noise, []

    def __call__(self, states):
        self.asked += [tuple(row) for row in states.tolist()]
        noise = [np.random.default_rng(row).normal(0, self.noise) for row in states]
        return [np.exp(n - score(self.truth, row)) for row, n in zip(states, noise, strict=True)]


def prior_of(truth, error):
    rng = np.random.default_rng(SEED)
    return Prior(
        [rng.normal(layer, error) for layer in truth], [np.full(len(u), error) for u in truth]
    )


def fitted(truth, most, known=(), noise=0.01):
    evaluate = Evaluations(truth, noise)
    evaluated = Evaluated(evaluate, known, evaluate(np.array(known)) if len(known) else ())
    evaluate.asked.clear()
    rng = np.random.default_rng(2)
    prior = prior_of(truth, 0.3)
    return fit_where_the_answer_lies(prior, evaluated, best, best, rng, most), evaluate.asked


def test_the_best_is_found_though_training_names_another(truth):
    """Oracle: enumeration of the truth; and that the prior alone answers otherwise."""
    prior = prior_of(truth, 0.3)
    assert best(prior.means) != best(truth)
    fit, _ = fitted(truth, most=60)
    assert best(fit.scores) == best(truth)


def test_later_evaluations_gather_where_the_answer_lies(truth):
    """Oracle: the true scores of what is evaluated, at random and after."""
    _, asked = fitted(truth, most=60, noise=0.2)
    scores = [score(truth, states) for states in asked]
    assert len(asked) > FIRST
    assert min(scores[FIRST:]) > np.quantile(scores[:FIRST], 0.7)
    later = asked[FIRST:]
    assert len(set(later)) == len(later)
    assert not set(later) & set(asked[:FIRST])


def test_it_ends_when_the_answer_stays_or_the_evaluations_are_spent(truth):
    """Oracle: how many are evaluated."""
    _, sure = fitted(truth, most=1000)
    assert FIRST <= len(sure) < 60
    _, few = fitted(truth, most=3)
    assert LEAST - 1 <= len(few) <= LEAST  # one may be drawn twice
    _, spent = fitted(truth, most=FIRST + 2)
    assert FIRST <= len(spent) <= FIRST + 2


def test_what_was_evaluated_before_counts(truth):
    """Oracle: what is asked again, after a first fit."""
    _, asked = fitted(truth, most=60)
    fit, again = fitted(truth, most=60, known=asked)
    assert len(again) <= 60 - len(asked)
    assert not set(again) & set(asked)
    assert len(fit.losses) == len(asked) + len(again)
