"""AOWS: the temperature schedule, and the probabilities from which training draws its widths."""

import numba
import numpy as np

from nas import mrf
from nas.ows import lagrangian


def temperature(progress, epochs, warmup=5, minimum=0.0005):
    """Return the temperature tau of the Gibbs distribution at a moment of training.

    progress: epochs done so far, a float between 0 and epochs
    Log-linear through epoch 0: 1, warm-up: 1, warm-up + 1: 0.01, middle: 0.001, last: minimum.
    At 20 epochs these are epochs 0, 5, 6, 10 and 20, the reference's. A shorter training keeps
    their order: see `schedule_epochs`. Never below the minimum.
    Source: Berman et al. 2020, the authors' schedule.
    """
    points = schedule_epochs(epochs, warmup)
    values = np.maximum([1, 1, 0.01, 0.001, minimum], minimum)
    return float(np.exp(np.interp(progress, points, np.log(values))))


def schedule_epochs(epochs, warmup=5):
    """Return the epochs of the five points of the temperature schedule, increasing.

    # Differs from the paper: a warm-up that would not end before the training does is cut to a
    # quarter of it, and the drop and the middle move so that all points stay in order.
    """
    start = warmup if warmup < epochs else epochs / 4
    drop = start + min(1, (epochs - start) / 15)
    middle = epochs / 2 if epochs / 2 > drop else (drop + epochs) / 2
    return 0.0, float(start), float(drop), float(middle), float(epochs)


@numba.njit(cache=True)
def solve(unary, latency, sizes, target, iterations, tau):
    """One solve of AOWS on a dense chain: the multiplier, the best states, the probabilities.

    p(c) ∝ exp((sum unary - gamma * latency) / tau), gamma from the Lagrangian search.
    Returns (gamma, states, probabilities): probabilities has shape (N, S), the marginals of p
    with zeros behind each node's size. gamma is NaN if the target cannot be met.
    """
    gamma, states, _, _ = lagrangian(unary, latency, sizes, target, iterations)
    scores = unary / tau
    probabilities = mrf.sum_product_dense(scores, (-gamma / tau) * latency, sizes)
    return gamma, states, probabilities


def draw(probabilities, rng, count):
    """Return count independent draws per layer from marginals (N, S): int64, shape (count, N)."""
    cumulative = probabilities.cumsum(axis=1)
    cumulative /= cumulative[:, -1:]
    uniforms = rng.random((count, len(probabilities), 1))
    return (uniforms >= cumulative).sum(axis=2)


def uniform_probabilities(sizes):
    """Return equal probabilities for the widths of each layer, shape (N, S)."""
    columns = np.arange(max(sizes))
    return (columns < np.asarray(sizes)[:, None]) / np.asarray(sizes)[:, None]
