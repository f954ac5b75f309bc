"""AOWS: the temperature schedule, and the distribution from which training draws its widths."""

import functools

import numpy as np

from nas import mrf
from nas.constraint import SLACK
from nas.exact import dual
from nas.ows import lagrangian

SAMPLINGS = ("independent", "joint")


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


def solve(unary, resources, sizes, limits, method="exact", iterations=12):
    """Return (gammas, states): the multipliers of the limits, and the best states that keep them.

    unary: (N, S); resources: (m, N-1, S, S); limits: (m,), in the units of the resources
    method: "exact" by line intersection, or cutting planes if there are several limits;
    "lagrangian", for one limit, by the reference's bracket and `iterations` bisections
    states is the best configuration on the convex hull; None if none that was met keeps all limits.
    """
    if method == "lagrangian":
        gamma, states, _, _ = lagrangian(unary, resources[0], sizes, limits[0], iterations)
        return np.array([gamma]), states
    allowed = limits * (1 + SLACK)
    if len(limits) == 1:
        gamma, states, _, _ = dual.multiplier(unary, resources[0], sizes, allowed[0])
        return np.array([gamma]), states
    scaled = resources / limits[:, None, None, None]
    gammas, _, answers = dual.multipliers(unary, scaled, sizes, allowed / limits)
    meeting = [a for a in answers if (_used(resources, a) <= allowed).all()]
    score = functools.partial(_score, unary)
    return gammas / limits, max(meeting, key=score, default=None)


def _used(resources, states):
    return resources[:, np.arange(len(states) - 1), states[:-1], states[1:]].sum(axis=1)


def _score(unary, states):
    return unary[np.arange(len(states)), states].sum()


def potentials(unary, resources, gammas, tau):
    """Return (unary, pairwise) of the Gibbs distribution that AOWS draws from, as a dense chain.

    p(c) ∝ exp((sum unary - sum gammas * resources) / tau); its marginals, joint draws: nas.mrf.
    """
    return unary / tau, np.tensordot(gammas / -tau, resources, axes=1)


def draw(unary, pairwise, sizes, probabilities, sampling, rng, count):
    """Return the states of `count` draws from a dense chain's Gibbs distribution, (count, N).

    probabilities: the marginals of the chain, (N, S)
    sampling: "independent", each layer from its own marginal, as the reference does; "joint",
    whole configurations (forward filtering, backward sampling)
    """
    if sampling == "joint":
        return mrf.sample_dense(unary, pairwise, sizes, rng.random((count, len(sizes))))
    cumulative = probabilities.cumsum(axis=1)
    cumulative /= cumulative[:, -1:]
    uniforms = rng.random((count, len(sizes), 1))
    return (uniforms >= cumulative).sum(axis=2)
