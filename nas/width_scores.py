"""Scores of widths: the losses of each width of each layer, and the unary potentials from them.

With few images per width, chance makes the means differ about as much as width does, and the best
of many configurations is the luckiest. `monotone` uses that a wider layer should be no worse.
"""

import numpy as np
from scipy.optimize import isotonic_regression

from nas.compiled import njit
from utils.errors import UserError


class WidthLosses:
    """Keeps, for every width of every layer, the last values of the images that had that width.

    A value is an image's contribution to the unary potential, -(L(c) - L(max)) / layers, with L
    the hard cross entropy of the image under its random configuration c and at maximum width.
    The mean over the window estimates psi_l(w).
    Source: OWS (Berman et al. 2020) with the sliding window of the authors' README.
    """

    def __init__(self, sizes, window):
        """sizes: number of widths of each layer; window: values kept per width, at least 1.

        Raises UserError if there is not enough memory.
        """
        if window < 1:
            raise ValueError(f"window {window} must be at least 1")
        self.sizes = np.asarray(sizes, dtype=np.int64)
        shape = (len(self.sizes), int(self.sizes.max()))
        self.window = window
        self.counts = np.zeros(shape, dtype=np.int64)  # all values ever recorded
        self._sums = np.zeros(shape)
        try:
            self._rings = np.zeros((*shape, window), dtype=np.float32)
        except (MemoryError, ValueError, OverflowError):  # the last two: more than any machine has
            needed = 4 * shape[0] * shape[1] * window / 1e9
            raise UserError(
                f"a window of {window} images needs {needed:.3g} GB: choose a smaller --window"
            ) from None

    def record(self, states, losses, full_losses):
        """Record one batch.

        states: (images, layers) ints, the position of each width among its layer's choices
        losses, full_losses: (images,) hard cross entropies at these widths and at maximum width
        Raises FloatingPointError, before anything is recorded, if a loss is not finite.
        """
        arrays = (self._rings, self._sums, self.counts)
        if not _record(*arrays, np.asarray(states), np.asarray(losses), np.asarray(full_losses)):
            raise FloatingPointError("a loss is NaN or infinite")

    def unary(self):
        """Return the unary potentials psi, shape (layers, S); -inf for a width never drawn.

        Entries beyond a layer's number of widths are meaningless.
        """
        kept = self.images()
        return np.where(kept > 0, self._sums / np.maximum(kept, 1), -np.inf)

    def images(self):
        """Return how many images are in the window of each width, shape (layers, S)."""
        return np.minimum(self.counts, self.window)

    def errors(self, run=1):
        """Return the standard errors of the unary potentials, shape (layers, S).

        run: successive images that have one configuration, whose losses are not independent; with
             no more runs than widths they count as one image
        One standard deviation holds for all widths of a layer, pooled over their windows: a width
        may have been drawn only once. 0 for a width never drawn.
        Source: Liang and Zeger, Longitudinal data analysis using generalized linear models, 1986
        (squared sums over what belongs together).
        """
        images, means = self.images(), self.unary()
        of_images, of_runs, runs = np.zeros((3, len(self.sizes)))
        for index in np.argwhere(images):
            count, kept = self.counts[*index], images[*index]
            # The values' numbers among all ever recorded; runs begin at multiples of their length.
            numbers = count - 1 - (count - 1 - np.arange(kept)) % self.window
            run_of = numbers // run - numbers.min() // run
            deviations = self._rings[*index][:kept] - means[*index]
            of_images[index[0]] += np.square(deviations, dtype=np.float64).sum()
            of_runs[index[0]] += np.square(np.bincount(run_of, weights=deviations)).sum()
            runs[index[0]] += run_of.max() + 1
        drawn, total = (images > 0).sum(axis=1), images.sum(axis=1)
        alone = of_images / np.maximum(total - drawn, 1)
        together = of_runs / np.maximum(total, 1) * runs / np.maximum(runs - drawn, 1)
        variances = np.where(runs > drawn, np.maximum(alone, together), run * alone)
        return np.sqrt(np.where(images > 0, variances[:, None], 0.0) / np.maximum(images, 1))

    def all_drawn(self):
        """Return whether every width of every layer has been drawn at least once."""
        return all(row[:size].all() for row, size in zip(self.counts, self.sizes, strict=True))

    def to_arrays(self):
        """Return the windows as arrays for a checkpoint: values oldest first, counts and sums."""
        values = []
        for ring, count in zip(self._rings.reshape(-1, self.window), self.counts.flat, strict=True):
            kept = ring[: min(count, self.window)]
            values.append(np.roll(kept, -(count % self.window)) if count > self.window else kept)
        return {
            "values": np.concatenate(values),
            "counts": self.counts.copy(),
            "sums": self._sums.copy(),
        }

    @classmethod
    def from_arrays(cls, sizes, window, arrays, saved_window):
        """Return the windows of a checkpoint; a smaller window keeps the newest values.

        With the window that was saved, training goes on as if there had been no checkpoint: so do
        the counts, and the sums with their rounding. Sums that are missing, or are not those of the
        values, are recomputed.
        Raises ValueError if the arrays do not belong together or to these sizes.
        """
        losses = cls(sizes, window)
        counts = arrays["counts"]
        kept = np.minimum(counts, saved_window)
        if kept.shape != losses.counts.shape or kept.sum() != len(arrays["values"]):
            raise ValueError("the windows belong to another search space")
        if counts[np.arange(counts.shape[1]) >= losses.sizes[:, None]].any():
            raise ValueError("images are counted at widths that a layer does not have")
        parts = np.split(arrays["values"], np.cumsum(kept.ravel())[:-1])
        for index, part in zip(np.ndindex(kept.shape), parts, strict=True):
            newest, count = part[-window:], counts[index]
            # A greater window is not full, whatever was counted.
            count = count if len(newest) == min(count, window) else len(newest)
            losses._rings[index][: len(newest)] = np.roll(newest, count % window)
            losses._sums[index] = newest.sum(dtype=np.float64)
            losses.counts[index] = count
        sums = arrays.get("sums")
        if window == saved_window and sums is not None and np.allclose(sums, losses._sums):
            losses._sums[:] = sums
        return losses


@njit
def _record(rings, sums, counts, states, losses, full_losses):
    """Record one batch unless a loss is not finite; returns whether it did.

    Layer by layer, so that the ends of one layer's rings stay in the cache.
    """
    images, layers = states.shape
    window = rings.shape[2]
    contributions = np.empty(images, dtype=np.float32)
    for image in range(images):
        contributions[image] = (full_losses[image] - losses[image]) / layers
        if not np.isfinite(contributions[image]):
            return False
    for layer in range(layers):
        for image in range(images):
            state = states[image, layer]
            slot = counts[layer, state]
            if slot >= window:
                slot %= window
                # A float64 sum of float32 values: what leaves the window leaves the sum exactly,
                # unless the values differ by a factor of 1e8 and more.
                sums[layer, state] -= rings[layer, state, slot]
            sums[layer, state] += contributions[image]
            rings[layer, state, slot] = contributions[image]
            counts[layer, state] += 1
    return True


def monotone(unary, images):
    """Return scores, one array (S,) per layer, that rise with the width.

    unary:  mean scores of each layer's widths (S,), narrow to wide; -inf for a width never drawn,
            which stays so
    images: how many images each mean is of, (S,) per layer: the weights
    Nearest to the means in weighted squares (isotonic regression). Among widths of equal score a
    search takes the fastest.
    Source: Barlow, Bartholomew, Bremner, Brunk: Statistical Inference under Order Restrictions,
    1972.
    """
    return [
        _rising(np.asarray(u, float), np.asarray(n)) for u, n in zip(unary, images, strict=True)
    ]


def _rising(scores, images):
    seen = images > 0
    rising = np.full(len(scores), -np.inf)
    if seen.any():
        rising[seen] = isotonic_regression(scores[seen], weights=images[seen]).x
    return rising
