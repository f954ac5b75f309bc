"""Which sub-networks to evaluate: a balanced start, then those that may be the answer.

Each round draws scores from the posterior, searches them exactly, and evaluates what it finds, so
that evaluations concentrate where the answer lies.
Source: Thompson, On the likelihood that one unknown probability exceeds another, 1933.
"""

import numpy as np

from nas.fitted_scores import LEAST, FittedScores, balanced

FIRST = 30  # sub-networks of the balanced start
BATCH = 5  # per round
UNCHANGED = 3  # rounds in a row with the same answer: enough


class Evaluated:
    """Sub-networks and their losses, evaluated as they are asked for, each once."""

    def __init__(self, evaluate, states, losses=()):
        """
        evaluate: evaluate(states (n, N)) -> losses (n,)
        states, losses: of sub-networks that were evaluated before
        """
        self._evaluate = evaluate
        self._losses = dict(zip(map(tuple, states), map(float, losses), strict=True))

    def __len__(self):
        return len(self._losses)

    def add(self, states):
        """Evaluate those of some configurations (n, N) that are new."""
        new = [s for s in dict.fromkeys(map(tuple, states)) if s not in self._losses]
        if new:
            losses = self._evaluate(np.array(new))
            self._losses |= dict(zip(new, map(float, losses), strict=True))

    def fit(self, prior):
        """Return the FittedScores."""
        return FittedScores(prior, list(self._losses), list(self._losses.values()))


def fit_where_the_answer_lies(prior, evaluated, answer, candidate, rng, most):
    """Return the FittedScores of at most `most` evaluated sub-networks, at least LEAST.

    prior: a nas.fitted_scores.Prior; evaluated: Evaluated, to which more are added
    answer: answer(scores) -> the best states; candidate: the same, or that under other limits
    of interest
    Ends earlier when the answer by the fit has stayed the same for UNCHANGED rounds.
    """
    most = max(most, LEAST)
    first = min(FIRST, most) - len(evaluated)
    if first > 0:
        evaluated.add(balanced(prior.seen, first, rng).tolist())
    fit = evaluated.fit(prior)
    states, unchanged = answer(fit.scores), 0
    while unchanged < UNCHANGED and len(evaluated) < most:
        draws = range(min(BATCH, most - len(evaluated)))
        evaluated.add([candidate(fit.draw(rng)) for _ in draws])
        fit = evaluated.fit(prior)
        before, states = states, answer(fit.scores)
        unchanged = unchanged + 1 if tuple(states) == tuple(before) else 0
    return fit
