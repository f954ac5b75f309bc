"""Scores that noise does not tell apart: the faster network wins.

The noise of a difference is its standard deviation over draws of the scores. It is small where two
configurations share most widths, whatever the noise of their sums. A difference counts from MARGIN
of its noise on: with less, the better network is the worse one in more than two of five draws. A
whole standard deviation would give up too much: with that the better one is so in five of six.
"""

import numpy as np

from nas.constraint import InfeasibleError

MARGIN = 0.25  # of the noise
STEPS = 10  # of the bisection: the latency is found to a thousandth of the range


class DrawnScores:
    """Several draws of the scores of the widths."""

    def __init__(self, draws):
        """draws: per draw the scores of each layer, (S,); -inf: a width without a score"""
        self._unary = [np.array(layer) for layer in zip(*draws, strict=True)]  # (draws, S) each

    def scores(self, states):
        """Return the drawn scores of configurations (n, N), shape (draws, n)."""
        columns = np.asarray(states).T
        return sum(layer[:, column] for layer, column in zip(self._unary, columns, strict=True))

    def noise(self, states, other):
        """Return the noise of the difference of two configurations' scores."""
        first, second = self.scores([states, other]).T
        return float((first - second).std())


def is_hidden(difference, noise):
    """Return whether noise hides a difference of scores."""
    return difference <= MARGIN * noise


def fastest_as_good(best, solve, least_ms, drawn):
    """Return the answer of a fast network that noise does not tell from `best`, and the noise.

    best: the answer of greatest score; solve(target_ms) -> that under another target
    least_ms: the latency of the fastest network; drawn: DrawnScores
    Answers have states, score and latency_ms. The lower a target, the more score is lost;
    bisection finds a target at which the loss begins to exceed MARGIN of the difference's noise.
    The noise differs from network to network, so that there may be several, and a still faster
    network that noise hides. Returns (best, 0.0) if every faster network that was tried loses more.
    """
    answer, noise = best, 0.0
    low_ms, high_ms = least_ms, best.latency_ms
    for _ in range(STEPS):
        middle_ms = (low_ms + high_ms) / 2
        try:
            found = solve(middle_ms)
        except InfeasibleError:  # under other limits
            low_ms = middle_ms
            continue
        noise_of_it = drawn.noise(best.states, found.states)
        if is_hidden(best.score - found.score, noise_of_it):
            answer, noise, high_ms = found, noise_of_it, found.latency_ms
        else:
            low_ms = middle_ms
    return answer, noise


def noticeable(front, drawn):
    """Return the indices of a Front's configurations that noise tells apart.

    The fastest one is kept, and then each that beats the one kept before it by more than MARGIN of
    the difference's noise. drawn: DrawnScores
    """
    kept = [0]
    for index, score in enumerate(front.scores):
        noise = drawn.noise(front.states[index], front.states[kept[-1]])
        if not is_hidden(score - front.scores[kept[-1]], noise):
            kept.append(index)
    return kept
