"""Oracle: an additive truth, of which all configurations are known."""

import itertools

import numpy as np
import pytest

from nas.fitted_scores import LEAST, ScorePrior, balanced
from nas.mrf import unary_sum
from nas.thompson import BATCH, FIRST, Evaluated, fit_where_the_answer_lies

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
    return max((s for s in states if sum(s) <= LIMIT), key=lambda s: unary_sum(unary, s))


class Evaluations:
    """Losses of a truth, with noise of each configuration's own; counts what is asked."""

    def __init__(self, truth, noise=0.01):
        self.truth, self.noise, self.asked = truth, noise, []

    def __call__(self, states):
        self.asked += [tuple(row) for row in states.tolist()]
        noise = [np.random.default_rng(row).normal(0, self.noise) for row in states]
        return [
            np.exp(n - unary_sum(self.truth, row)) for row, n in zip(states, noise, strict=True)
        ]


def prior_of(truth, error):
    rng = np.random.default_rng(SEED)
    return ScorePrior(
        [rng.normal(layer, error) for layer in truth], [np.full(len(u), error) for u in truth]
    )


def fitted(truth, most, known=(), noise=0.01, answer=lambda fit: best(fit.scores), **goes_on):
    evaluate = Evaluations(truth, noise)
    evaluated = Evaluated(evaluate, known, evaluate(np.array(known)) if len(known) else ())
    evaluate.asked.clear()
    rng = np.random.default_rng(2)
    prior = prior_of(truth, 0.3)
    fit = fit_where_the_answer_lies(prior, evaluated, answer, best, rng, most, **goes_on)
    return fit, evaluate.asked


def test_the_best_is_found_though_training_names_another(truth):
    """Oracle: enumeration of the truth; and that the prior alone answers otherwise."""
    prior = prior_of(truth, 0.3)
    assert best(prior.means) != best(truth)
    fit, _ = fitted(truth, most=60)
    assert best(fit.scores) == best(truth)


def test_later_evaluations_gather_where_the_answer_lies(truth):
    """Oracle: the true scores of what is evaluated, at random and after."""
    _, asked = fitted(truth, most=60, noise=0.2)
    scores = [unary_sum(truth, states) for states in asked]
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
    assert LEAST <= len(few) <= LEAST + BATCH  # one may be drawn twice
    changing = itertools.product(*map(range, SIZES))
    _, spent = fitted(truth, most=40, answer=lambda _: next(changing))
    assert len(spent) == 40


@pytest.mark.parametrize(("most", "count"), [(24, 12), (60, FIRST), (1000, FIRST)])
def test_the_start_takes_half_at_most_and_the_answer_is_evaluated(truth, most, count):
    """Oracle: the balanced start, drawn here, too."""
    start = balanced([np.arange(6)] * 3, count, np.random.default_rng(2)).tolist()
    start = list(dict.fromkeys(map(tuple, start)))
    fit, asked = fitted(truth, most)
    assert asked[: len(start)] == start
    assert len(asked) > len(start)
    assert best(fit.scores) in asked


def test_what_was_evaluated_before_is_not_evaluated_again(truth):
    """Oracle: what is asked again, after a first fit: nothing if its answer was evaluated."""
    fit, asked = fitted(truth, most=60)
    assert best(fit.scores) in asked
    _, again = fitted(truth, most=60, known=asked)
    assert not again
    _, more = fitted(truth, most=60, known=asked, noise=0.2, goes_on=True)
    assert 1 <= len(more) <= 60
    others = [states for states in asked if states != best(fit.scores)]
    fit, again = fitted(truth, most=20, known=others)
    assert 1 <= len(again) <= 20
    assert not set(again) & set(others)
    assert len(fit.losses) == len(others) + len(again)
