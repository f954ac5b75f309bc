"""The scores that a supernet gives configurations, by windows of several lengths."""

import numpy as np

from nas.search_space import SearchSpace
from utils import checkpoints
from utils.errors import UserError
from utils.supernet_checkpoints import WINDOWS

DEFAULT = "last epoch"  # the window of the scores that variants are compared by


class Recorded:
    """What a supernet with an unlimited window recorded: values of each width of each layer.

    windows: {name: how many of the newest values count, (layers, S)}
    """

    def __init__(self, folder):
        last = checkpoints.latest(folder)
        if last is None:
            raise UserError(f"{folder} holds no checkpoint")
        arrays, about = checkpoints.load(last)
        before, _ = checkpoints.load(checkpoints.checkpoint_path(folder, about["epoch"] - 1))
        counts = arrays[f"{WINDOWS}counts"]
        of_last = counts - before[f"{WINDOWS}counts"]  # values of the last epoch
        self.space = SearchSpace.from_dict(about["search_space"])
        self._values = np.split(arrays[f"{WINDOWS}values"], np.cumsum(counts.ravel())[:-1])
        self.windows = {
            DEFAULT: of_last,
            "last half epoch": of_last // 2,
            "last two epochs": np.minimum(2 * of_last, counts),
            "whole training": counts,
        }

    def _newest(self, window):
        """Return the window's values of each width of each layer."""
        lengths = self.windows[window].ravel()
        return [v[len(v) - n :] for v, n in zip(self._values, lengths, strict=True)]

    def unary(self, window):
        """Return the scores (layers, S) of a window, -inf for a width without values."""
        means = [v.mean() if len(v) else -np.inf for v in self._newest(window)]
        return np.reshape(means, self.windows[window].shape)

    def smooth_unary(self, window):
        """Return the scores of a window, smoothed along the widths of each layer."""
        unary, images = self.unary(window), self.windows[window]
        for row, widths, counts in zip(unary, self.space.choices, images, strict=True):
            row[: len(widths)] = smoothed(row[: len(widths)], widths, counts[: len(widths)])
        return unary

    def noise(self, window):
        """Return (a score's standard error, standard deviation of a layer's scores), medians."""
        errors = [v.std() / len(v) ** 0.5 for v in self._newest(window) if len(v)]
        rows = zip(self.unary(window), self.space.choices, strict=True)
        return np.median(errors), np.median([np.std(row[: len(widths)]) for row, widths in rows])

    def scores(self, configurations):
        """Return {window: scores (n,)} of configurations, as they are and smoothed."""
        layers = np.arange(len(self.space.choices))
        states = [self.space.states(configuration) for configuration in configurations]
        scores = {}
        for name in self.windows:
            for title, unary in (
                (name, self.unary(name)),
                (f"{name}, smoothed", self.smooth_unary(name)),
            ):
                scores[title] = np.array([unary[layers, row].sum() for row in states])
        return scores


def smoothed(scores, widths, counts, degree=2):
    """Return the scores of a layer's widths, as a polynomial in the logarithm of the width.

    scores: (S,) mean values, of `counts` (S,) images each, which weigh them; widths: (S,)
    A width without images keeps its score. Layers with no more than degree + 1 other widths, too.
    """
    scores, counts = np.asarray(scores, dtype=np.float64), np.asarray(counts)
    seen = counts > 0
    if seen.sum() <= degree + 1:
        return scores
    # The variance of a mean is that of a value / its count.
    logarithms, weights = np.log(np.asarray(widths)[seen]), np.sqrt(counts[seen])
    fitted = scores.copy()
    curve = np.polynomial.Polynomial.fit(logarithms, scores[seen], degree, w=weights)
    fitted[seen] = curve(logarithms)
    return fitted
