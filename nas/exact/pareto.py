"""The whole trade-off: every configuration that no other one beats in both score and latency."""

from contextlib import suppress
from dataclasses import dataclass

import numpy as np

from nas import mrf
from nas.constraint import Constraint, InfeasibleError
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
    gaps: np.ndarray  # (n,), how much higher a score at this latency could be; 0 when proven
    complete: bool  # all Pareto-optimal pairs are here; otherwise those of sampled targets

    def part(self, indices):
        """Return the Front of some configurations, given by increasing indices."""
        arrays = self.states, self.scores, self.latencies_ms, self.gaps
        return Front(*(array[indices] for array in arrays), self.complete)


def front(unary, pairwise, others=(), samples=200, capacity=CAPACITY, progress=iter):
    """Return the Front of all Pareto-optimal (score, latency) pairs, one configuration of each.

    unary:    N arrays; unary[i] has shape (S_i,), scores; -inf for a state without a score
    pairwise: N-1 arrays; pairwise[i] has shape (S_i, S_{i+1}), latencies in ms
    others:   further Constraints, which every configuration of the front satisfies
    Where there are more than `capacity` undominated partial configurations of one state, or other
    constraints, the front is sampled instead: at `samples` targets from the latency of the fastest
    configuration that satisfies these to the best one's. progress wraps the iterable of these
    targets, for a progress bar.
    Raises UserError if a node has no state with a score, InfeasibleError if no configuration
    satisfies the other constraints, ValueError for invalid arrays.
    """
    unary, pairwise = [np.asarray(u) for u in unary], [np.asarray(block) for block in pairwise]
    complete = False
    if not others:
        chain = BudgetedChain.of(unary, [pairwise], [np.inf])
        no_bounds = np.empty((0, 1))
        _, states, dropped, _ = undominated(chain, no_bounds, -np.inf, capacity)
        complete = dropped == -np.inf
    if complete:
        if not len(states):
            raise InfeasibleError("no configuration has a finite latency")
        states = np.array([chain.input_states(row) for row in states])
        gaps = np.zeros(len(states))
    else:
        answers = _sample(unary, pairwise, others, samples, progress)
        states = np.array([answer.states for answer in answers])
        gaps = np.array([answer.gap for answer in answers])
    scores = mrf.unary_sum(unary, states.T)
    latencies_ms = np.zeros(len(states)) + mrf.pairwise_sum(pairwise, states.T)  # 0 for one node
    best = _undominated(scores, latencies_ms)
    return Front(states[best], scores[best], latencies_ms[best], gaps[best], complete)


def _sample(unary, pairwise, others, samples, progress):
    """Return the Answers at equally spaced targets, each with its share of the effort."""
    unlimited = [Constraint(pairwise, np.inf), *others]
    best = solve(unary, unlimited)
    equal = [np.where(np.isneginf(scores), scores, 0.0) for scores in unary]
    fastest = solve(equal, unlimited)  # ties go to it
    answers = [fastest, best]
    for target_ms in progress(np.linspace(fastest.latency_ms, best.latency_ms, samples)):
        with suppress(InfeasibleError):  # nothing was found with so little effort
            constraints = [Constraint(pairwise, target_ms), *others]
            answers.append(solve(unary, constraints, effort=EFFORT / samples))
    return answers


def _undominated(scores, latencies_ms):
    """Return the indices of the pairs that no other dominates, by increasing latency."""
    order = np.lexsort((-scores, latencies_ms))
    best_before = np.maximum.accumulate(np.concatenate([[-np.inf], scores[order][:-1]]))
    return order[scores[order] > best_before]
