"""The Lagrangian dual of a constrained chain: the multipliers that bound every feasible score best.

For multipliers gamma >= 0, max-sum maximises sum unary - gamma * resources; adding gamma * limits
gives L(gamma), a bound on the score of every configuration that keeps the limits. L is convex and
piecewise linear: each configuration is a line (one resource) or a plane (several).
"""

import numpy as np

from nas import mrf
from nas.compiled import njit

ROUNDS = 200  # of cutting planes; tens are usual
GREATEST = 1e6  # multiplier that is tried, in ranges of the score per budget


@njit
def multiplier(unary, latency, sizes, target):
    """Return the exact multiplier of one constraint by line intersection.

    unary: (N, S); latency: (N-1, S, S); sizes: (N,); target in the unit of latency
    Returns (gamma, states, bound, fastest): bound is the least L, states the best configuration
    on the upper hull that meets the target; gamma is NaN if even the fastest one, whose latency is
    then given, does not.
    Two configurations, one that meets the target and one that misses it, are two lines; max-sum at
    the multiplier where they meet either finds a line above both or proves that this is the least
    of L. About nine max-sums, where a bisection needs one per bit.
    Source: Handler and Zang 1980, A dual algorithm for the constrained shortest path problem.
    """
    bound, missing = mrf.max_sum_dense(unary, 0.0 * latency, sizes)
    score, slow = total(unary, latency, missing)
    if slow <= target:
        return 0.0, missing, bound, np.nan
    _, meeting = mrf.max_sum_dense(_without_scores(unary), -latency, sizes)
    worst, fast = total(unary, latency, meeting)
    if fast > target:
        return np.nan, meeting, bound, fast
    fastest = fast
    gamma = 0.0
    for _ in range(100):  # each round finds another vertex of the hull: a guard, not a limit
        gamma = (score - worst) / (slow - fast)
        value, states = mrf.max_sum_dense(unary, -gamma * latency, sizes)
        bound = min(bound, value + gamma * target)
        new_score, new = total(unary, latency, states)
        above = value - (score - gamma * slow)
        if above <= 1e-14 * len(sizes) * (abs(score) + abs(worst) + gamma * slow):
            break
        if new <= target:
            worst, fast, meeting = new_score, new, states
        else:
            score, slow = new_score, new
    return gamma, meeting, bound, fastest


@njit
def _without_scores(unary):
    """Return unary with 0 for every score but -inf. (A loop: np.where takes seconds to compile.)"""
    result = np.zeros(unary.shape)
    for i in range(unary.shape[0]):
        for s in range(unary.shape[1]):
            if unary[i, s] == -np.inf:
                result[i, s] = -np.inf
    return result


@njit
def total(unary, latency, states):
    """Return the score and the latency of states on a dense chain."""
    score, spent = unary[0, states[0]], 0.0
    for i in range(1, len(states)):
        score += unary[i, states[i]]
        spent += latency[i - 1, states[i - 1], states[i]]
    return score, spent


def multipliers(unary, resources, sizes, budgets):
    """Return the multipliers of several constraints by cutting planes.

    unary: (N, S), finite; resources: (m, N-1, S, S); budgets: (m,), best of the order of 1
    Returns (gamma, bound, answers): the multipliers, shape (m,), the least L that was found, and
    the states of the configurations that were met. The bound is -inf if it proves that no
    configuration keeps all budgets.
    Source: Kelley 1960, The cutting-plane method for solving convex programs.
    """
    columns = [scores[:size] for scores, size in zip(unary, sizes, strict=True)]
    worst = sum(scores.min() for scores in columns)
    scale = sum(scores.max() for scores in columns) - worst or 1.0
    nodes = np.arange(len(sizes))
    gamma = lowest = np.zeros(len(resources))
    bound, planes = np.inf, {}
    for _ in range(ROUNDS):
        weighted = np.tensordot(-gamma, resources, axes=1)
        value, states = mrf.max_sum_dense(unary, weighted, sizes)
        if value + gamma @ budgets < bound:
            bound, lowest = value + gamma @ budgets, gamma
        if tuple(states) in planes:
            break
        spent = resources[:, nodes[:-1], states[:-1], states[1:]].sum(axis=1)
        planes[tuple(states)] = [(unary[nodes, states].sum() - worst) / scale, *(budgets - spent)]
        level, gamma = _lowest(np.array(list(planes.values())))
        gamma = gamma * scale
        if worst + level * scale >= bound - 1e-9 * scale:
            break
    if bound < worst:
        bound = -np.inf
    return lowest, bound, [np.array(states) for states in planes]


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
