"""Which sub-networks to evaluate: a balanced start, then those that may be the answer.

Each round draws scores from the posterior, searches them exactly, and evaluates what it finds and
the present answer, so that evaluations concentrate where the answer lies.
Source: Thompson, On the likelihood that one unknown probability exceeds another, 1933.
"""

import numpy as np

from nas.fitted_scores import LEAST, FittedScores, balanced

FIRST = 30  # sub-networks of the balanced start, at most
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

    def __contains__(self, states):
        return tuple(states) in self._losses

    def add(self, states):
        """Evaluate those of some configurations (n, N) that are new."""
        new = [s for s in dict.fromkeys(map(tuple, states)) if s not in self._losses]
        if new:
            losses = self._evaluate(np.array(new))
            self._losses |= dict(zip(new, map(float, losses), strict=True))

    def fit(self, prior):
        """Return the FittedScores."""
        return FittedScores(prior, list(self._losses), list(self._losses.values()))


def fit_where_the_answer_lies(prior, evaluated, adopt, candidate, rng, most, *, goes_on=False):
    """Return the FittedScores of sub-networks, of which `most` at most are evaluated here.

    prior: a nas.fitted_scores.ScorePrior; evaluated: Evaluated, to which they are added
    adopt: adopt(FittedScores) -> the states that are reported by it; called last with what is
        returned
    candidate: candidate(scores) -> the best states by drawn scores
    most: LEAST + BATCH at least; the balanced start takes FIRST, LEAST, or half of them
    goes_on: whether to evaluate more where earlier evaluations settle the answer
    Each round evaluates the answer, too: what the best of many configurations promises is too good
    more often than not. Ends when the answer has stayed the same for UNCHANGED rounds, and at once
    if earlier evaluations have both led to it and were of it.
    """
    most = max(most, LEAST + BATCH)
    begun = len(evaluated)
    first = min(FIRST, max(LEAST, most // 2)) - begun
    if first > 0:
        evaluated.add(balanced(prior.seen, first, rng).tolist())
    fit = evaluated.fit(prior)
    states = tuple(adopt(fit))
    if first <= 0 and states in evaluated and not goes_on:
        return fit
    unchanged = 0
    while unchanged < UNCHANGED and (left := begun + most - len(evaluated)) > 0:
        drawn = [candidate(fit.draw(rng)) for _ in range(min(BATCH, left) - 1)]
        evaluated.add([states, *drawn])
        fit = evaluated.fit(prior)
        before, states = states, tuple(adopt(fit))
        unchanged = unchanged + 1 if states == before else 0
    return fit
