"""The Lagrangian dual of a constrained chain: the multipliers that bound every feasible score best.

For multipliers gamma >= 0, max-sum maximises sum unary - gamma * resources; adding gamma * limits
gives L(gamma), a bound on the score of every feasible configuration. L is convex and piecewise
linear: each configuration is a line (one resource) or a plane (several). As the gamma of a
resource grows, max-sum uses less of it.
"""

from typing import NamedTuple

import numpy as np

from nas import mrf
from nas.compiled import njit
from nas.transitions import Transitions

ROUNDS = 200  # of cutting planes; tens are usual
GREATEST = 1e6  # multiplier that is tried, in ranges of the score per budget


def solve(unary, transitions, resources, limits, slack=0.0, bisections=None):
    """Return (gammas, states, bound) of the dual under one limit or several.

    unary: (N, S), finite if there are several limits; transitions: nas.transitions.Transitions
    resources: (m, T); limits: (m,), of the order of 1 if there are several
    slack, bisections: as for `multiplier`, if there is one limit
    gammas, (m,): the multipliers; states: the best feasible configuration found, or None;
    bound: the least L found, -inf if it proves that nothing is feasible.
    """
    if len(limits) > 1:
        return multipliers(unary, transitions, resources, limits)
    one = resources[0], limits[0]
    gamma, states, bound, _ = multiplier(unary, transitions, *one, slack, bisections)
    return np.array([gamma]), states, bound


class _Problem(NamedTuple):
    """A packed chain with one limit."""

    unary: np.ndarray  # (N, S)
    transitions: Transitions
    latency: np.ndarray  # (T,)
    target: float
    allowed: float  # the target, plus what rounding may add to a sum


class _Line(NamedTuple):
    """A configuration, which bounds L from below: score - gamma * (latency - target)."""

    states: np.ndarray
    score: float
    latency: float


@njit
def multiplier(unary, transitions, latency, target, slack, bisections):
    """Return (gamma, states, bound, fastest) of one constraint: its multiplier and the results.

    unary: (N, S); transitions: Transitions; latency: (T,); target in the unit of latency
    slack: how far above the target a sum of latencies is still feasible, relative
    bisections: of the reference's bracket; None for the exact multiplier, by line intersection
    states: the best feasible configuration found, on the upper hull; bound: the least L
    fastest: the least latency, NaN if the best configuration meets the target anyway
    gamma is NaN if even the fastest configuration is infeasible.
    """
    problem = _Problem(unary, transitions, latency, target, target * (1 + slack))
    bound, exceeding = _best(problem, 0.0)
    if exceeding.latency <= problem.allowed:
        return 0.0, exceeding.states, bound, np.nan
    _, states, path = mrf.max_sum_packed(_without_scores(unary), transitions, latency, -1.0)
    feasible = _line(problem, states, path)
    if feasible.latency > problem.allowed:
        return np.nan, feasible.states, bound, feasible.latency
    if bisections is None:
        gamma, states, bound = _intersect(problem, bound, exceeding, feasible)
    else:
        gamma, states, bound = _bisect(problem, bound, exceeding, feasible, bisections)
    return gamma, states, bound, feasible.latency


@njit
def _line(problem, states, path):
    """Return the _Line of a configuration, given its states and their transitions."""
    score, latency = 0.0, 0.0
    for i in range(len(states)):
        score += problem.unary[i, states[i]]
    for j in path:
        latency += problem.latency[j] if j >= 0 else np.inf
    return _Line(states, score, latency)


@njit
def _best(problem, gamma):
    """Return the greatest score - gamma * latency, and the _Line of its configuration."""
    unary, transitions, latency, _, _ = problem
    value, states, path = mrf.max_sum_packed(unary, transitions, latency, -gamma)
    return value, _line(problem, states, path)


@njit
def _intersect(problem, bound, exceeding, feasible):
    """Return (gamma, states, bound), exact, from the lines of two configurations.

    Max-sum at the multiplier where they intersect either finds a line above both or proves that
    this is the least of L. About nine max-sums, where a bisection needs one per bit.
    Source: Handler and Zang 1980, A dual algorithm for the constrained shortest path problem.
    """
    gamma = 0.0
    for _ in range(100):  # each round finds another vertex of the hull: a guard, not a limit
        gamma = (exceeding.score - feasible.score) / (exceeding.latency - feasible.latency)
        value, line = _best(problem, gamma)
        bound = min(bound, value + gamma * problem.target)
        above = value - (exceeding.score - gamma * exceeding.latency)
        size = abs(exceeding.score) + abs(feasible.score) + gamma * exceeding.latency
        if above <= 1e-14 * len(problem.unary) * size:
            break
        if line.latency <= problem.allowed:
            feasible = line
        else:
            exceeding = line
    return gamma, feasible.states, bound


@njit
def _bisect(problem, bound, exceeding, feasible, bisections):
    """Return (gamma, states, bound): gamma bracketed by doubling, then bisected, and feasible.

    Source: Berman et al. 2020; the multiplier as in the reference.
    """
    # The slope from the best to the fastest configuration: the bracket's scale in any unit.
    drop = bound
    for i, state in enumerate(feasible.states):
        drop -= problem.unary[i, state]
    low, high = 0.0, max(drop, 1e-300) / (exceeding.latency - feasible.latency)
    for _ in range(64):  # if none will do, only the fastest configuration itself is feasible
        value, line = _best(problem, high)
        bound = min(bound, value + high * problem.target)
        if line.latency <= problem.allowed:
            feasible = line
            break
        low, high = high, 2 * high
    for _ in range(bisections):
        middle = (low + high) / 2
        value, line = _best(problem, middle)
        bound = min(bound, value + middle * problem.target)
        if line.latency <= problem.allowed:
            high, feasible = middle, line
        else:
            low = middle
    return high, feasible.states, bound


@njit
def _without_scores(unary):
    """Return unary with 0 for every score but -inf. (A loop: np.where takes seconds to compile.)"""
    result = np.zeros(unary.shape)
    for i in range(unary.shape[0]):
        for s in range(unary.shape[1]):
            if unary[i, s] == -np.inf:
                result[i, s] = -np.inf
    return result


def multipliers(unary, transitions, resources, limits):
    """Return (gammas, states, bound) of several limits by cutting planes, as `solve` does.

    Source: Kelley 1960, The cutting-plane method for solving convex programs.
    """
    columns = [scores[:size] for scores, size in zip(unary, transitions.sizes, strict=True)]
    worst = sum(scores[scores > -np.inf].min() for scores in columns)
    scale = sum(scores.max() for scores in columns) - worst or 1.0
    nodes = np.arange(len(unary))
    gamma = lowest = np.zeros(len(resources))
    bound, planes = np.inf, {}
    best, feasible = -np.inf, None
    for _ in range(ROUNDS):
        value, states, path = mrf.max_sum_packed(unary, transitions, -gamma @ resources, 1.0)
        if value + gamma @ limits < bound:
            bound, lowest = value + gamma @ limits, gamma
        if tuple(states) in planes:
            break
        score = unary[nodes, states].sum()
        spent = resources[:, path].sum(axis=1)
        if score > best and (spent <= limits).all():
            best, feasible = score, states
        planes[tuple(states)] = [(score - worst) / scale, *(limits - spent)]
        level, gamma = _lowest(np.array(list(planes.values())))
        gamma = gamma * scale
        if worst + level * scale >= bound - 1e-9 * scale:
            break
    return lowest, feasible, bound if bound >= worst else -np.inf


def _lowest(planes):
    """Return the least z, but no less than -1, with z >= p[0] + gamma @ p[1:] for all planes p.

    planes: (n, 1 + m). Returns (z, gamma), gamma at least 0.
    """
    from scipy.optimize import linprog  # half a second, which one constraint need not wait for

    matrix = np.hstack([-np.ones((len(planes), 1)), planes[:, 1:]])
    cost = np.eye(matrix.shape[1])[0]
    bounds = [(-1.0, None), *[(0.0, GREATEST)] * (len(cost) - 1)]
    plan = linprog(cost, A_ub=matrix, b_ub=-planes[:, 0], bounds=bounds, method="highs-ds")
    return plan.x[0], plan.x[1:]
