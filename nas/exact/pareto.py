"""The whole trade-off: every configuration that no other one beats in both score and latency."""

from contextlib import suppress
from dataclasses import dataclass

import numpy as np

from nas.constraint import Constraint, InfeasibleError, least_sum
from nas.exact.budgeted_chain import BudgetedChain
from nas.exact.constrained_search import EFFORT, solve
from nas.exact.label_setting import undominated

CAPACITY = 5_000  # undominated partial configurations per state


@dataclass(frozen=True)
class Front:
    """Configurations by increasing latency, and so by increasing score."""

    states: np.ndarray  # (n, N)
    scores: np.ndarray  # (n,)
    latencies_ms: np.ndarray  # (n,)
    gaps: np.ndarray  # (n,), how much a better score at this latency could still be; 0 when proven
    complete: bool  # every Pareto-optimal pair is here; otherwise those of a sample of targets


def front(unary, pairwise, others=(), samples=200, capacity=CAPACITY, progress=iter):
    """Return the Front of all Pareto-optimal (score, latency) pairs, one configuration of each.

    unary:    N arrays; unary[i] has shape (S_i,), scores; -inf for a state without a score
    pairwise: N-1 arrays; pairwise[i] has shape (S_i, S_{i+1}), latencies in ms
    others:   further Constraints, which every configuration of the front keeps
    Where there are more than `capacity` undominated partial configurations of one state, or other
    constraints, the front is sampled instead: at `samples` targets from the fastest configuration's
    latency to the best's. progress wraps the iterable of these targets, for a progress bar.
    Raises UserError if a node has no state with a score, InfeasibleError if no configuration keeps
    the other constraints, ValueError for unfit arrays.
    """
    complete = False
    if not others:
        chain = BudgetedChain.of(unary, [pairwise], [np.inf])
        no_bounds = np.empty((0, 1))
        _, states, dropped, _ = undominated(chain, no_bounds, -np.inf, capacity)
        complete = dropped == -np.inf
    if complete:
        states = np.array([chain.input_states(row) for row in states])
        gaps = np.zeros(len(states))
    else:
        solutions = _sample(unary, pairwise, others, samples, progress)
        states = np.array([solution.states for solution in solutions])
        gaps = np.array([solution.gap for solution in solutions])
    scores = sum(np.asarray(u)[column] for u, column in zip(unary, states.T, strict=True))
    latencies_ms = np.zeros(len(states))
    for node, block in enumerate(pairwise):
        latencies_ms += np.asarray(block)[states[:, node], states[:, node + 1]]
    kept = _undominated(scores, latencies_ms)
    return Front(states[kept], scores[kept], latencies_ms[kept], gaps[kept], complete)


def _sample(unary, pairwise, others, samples, progress):
    """Return the Solutions at equally spaced targets, each with its share of the effort."""
    best = solve(unary, [Constraint(pairwise, np.inf), *others])
    slowest_ms = Constraint(pairwise, np.inf).value(best.states)
    solutions = []
    for target_ms in progress(np.linspace(least_sum(unary, pairwise), slowest_ms, samples)):
        # Below the least latency of what keeps the other constraints there is nothing.
        with suppress(InfeasibleError):
            constraints = [Constraint(pairwise, target_ms), *others]
            solutions.append(solve(unary, constraints, effort=EFFORT / samples))
    return solutions


def _undominated(scores, latencies_ms):
    """Return the indices of the pairs that no other dominates, by increasing latency."""
    order = np.lexsort((-scores, latencies_ms))
    best_before = np.maximum.accumulate(np.concatenate([[-np.inf], scores[order][:-1]]))
    return order[scores[order] > best_before]
