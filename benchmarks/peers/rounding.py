"""Rounding pruned widths, which may be any number of channels, to the choices of a search space."""

import itertools

import numpy as np


class RoundingSearch:
    """The best configuration within a latency target, while a network is pruned step by step.

    Each width is rounded up or down to a neighbouring choice; below the smallest one, up to it. Of
    all roundings after all steps that meet the target, the one of the greatest product of widths is
    best: a share of its channels counts the same in every layer. So the pruner loses no channel
    that the target allows, and is never more than one choice from what it asked for.
    """

    def __init__(self, table, space, target_ms):
        self._values, self._space, self.target_ms = table.values(space), space, target_ms
        self._score = -np.inf
        self.best = None  # the configuration, a tuple of ints; None if none met the target yet
        self.rounded = None  # the widths that it was rounded from
        self.is_done = False  # narrower widths cannot be better

    def see(self, widths):
        """Consider widths, none greater than those before: one number of channels per layer."""
        around = map(_neighbours, widths, self._space.choices)
        states = np.array(list(itertools.product(*around)))  # (roundings, layers), the widest last
        fits = self._latencies(states) <= self.target_ms * (1 + 1e-12)
        self.is_done = bool(fits[-1])
        if not fits.any():
            return
        states = states[fits]
        logs = [np.log(choices) for choices in self._space.choices]
        scores = sum(log[column] for log, column in zip(logs, states.T, strict=True))
        if scores.max() > self._score:
            self._score = scores.max()
            chosen = zip(self._space.choices, states[scores.argmax()], strict=True)
            self.best = tuple(choices[state] for choices, state in chosen)
            self.rounded = tuple(widths)

    def _latencies(self, states):
        """Return the predicted latency of each row of states, in ms, shape (roundings,)."""
        ends = np.pad(states, ((0, 0), (1, 1)))  # the image's channels and the classes: no choice
        blocks = enumerate(self._space.blocks)
        return sum(self._values[b[ends[:, i], ends[:, i + 1]]] for i, b in blocks)


def _neighbours(width, choices):
    """Return the positions of the choices next to a width: the one below and the one above."""
    above = min(np.searchsorted(choices, width), len(choices) - 1)
    below = max(above - (choices[above] > width), 0)
    return sorted({int(below), int(above)})
