"""The scores that a supernet gives configurations, by windows of several lengths."""

import numpy as np

from nas.search_space import SearchSpace
from nas.width_scores import monotone
from pipeline.search.checkpoints import WINDOWS
from utils import checkpoints
from utils.errors import UserError

MONOTONE = "monotone"
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

    def monotone_unary(self, window):
        """Return the scores of a window as train_nas.py --scores monotone makes them."""
        return np.array(monotone(self.unary(window), self.windows[window]))

    def noise(self, window):
        """Return (a score's standard error, standard deviation of a layer's scores), medians."""
        errors = [v.std() / len(v) ** 0.5 for v in self._newest(window) if len(v)]
        rows = zip(self.unary(window), self.space.choices, strict=True)
        return np.median(errors), np.median([np.std(row[: len(widths)]) for row, widths in rows])

    def scores(self, configurations):
        """Return {window: scores (n,)} of configurations, as they are and monotone."""
        layers = np.arange(len(self.space.choices))
        states = [self.space.states(configuration) for configuration in configurations]
        scores = {}
        for name in self.windows:
            for title, unary in (
                (name, self.unary(name)),
                (f"{name}, {MONOTONE}", self.monotone_unary(name)),
            ):
                scores[title] = np.array([unary[layers, row].sum() for row in states])
        return scores
