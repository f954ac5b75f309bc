"""AOWS: the temperature schedule, and the distribution from which training draws its widths."""

import numpy as np

from nas import mrf
from nas.constraint import SLACK
from nas.exact import dual

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


def solve(unary, transitions, resources, limits, method="exact", iterations=12):
    """Return (gammas, states): the multipliers of the limits, and the best feasible states.

    unary: (N, S); transitions: nas.transitions.Transitions; resources: (m, T)
    limits: (m,), in the units of the resources
    method: "exact" by line intersection, or cutting planes if there are several limits;
    "lagrangian", for one limit, by the reference's bracket and `iterations` bisections
    states: the best feasible configuration found on the convex hull, or None.
    """
    if len(limits) == 1:
        bisections = iterations if method == "lagrangian" else None
        gammas, states, _ = dual.solve(unary, transitions, resources, limits, SLACK, bisections)
        return gammas, states
    scaled = resources / limits[:, None]
    gammas, states, _ = dual.solve(unary, transitions, scaled, limits * (1 + SLACK) / limits)
    return gammas / limits, states


def potentials(unary, resources, gammas, tau):
    """Return the potentials of the Gibbs distribution that AOWS draws from: unary, of transitions.

    p(c) ∝ exp((sum unary - sum gammas * resources) / tau); nas.mrf gives its marginals and draws.
    """
    return unary / tau, -(gammas / tau) @ resources


def draw(unary, transitions, potentials, probabilities, sampling, rng, count):
    """Return the states of `count` draws from a packed chain's Gibbs distribution, (count, N).

    probabilities: (n, S), the marginals to draw from: of the chain's nodes, or of the widths
    sampling: "independent", each row of the probabilities on its own, as the reference does;
    "joint", whole sequences of states (forward filtering, backward sampling)
    """
    if sampling == "joint":
        uniforms = rng.random((count, len(unary)))
        return mrf.sample_packed(unary, transitions, potentials, uniforms)
    cumulative = probabilities.cumsum(axis=1)
    cumulative /= cumulative[:, -1:]
    uniforms = rng.random((count, len(probabilities), 1))
    return (uniforms >= cumulative).sum(axis=2)
