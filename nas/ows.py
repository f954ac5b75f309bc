"""OWS: the best configuration of a chain of scores under a latency target.

Maximise sum_i unary[i][s_i] subject to sum_i pairwise[i][s_i, s_{i+1}] <= target, where unary
holds scores (higher is better) and pairwise latencies in ms.
The exact answer is nas.exact.constrained_search's; the reference's relaxation stands here.
Source: Berman et al. 2020; the multiplier by bracketing and bisection as in the reference.
"""

import time
from dataclasses import dataclass

import numpy as np

from nas import mrf
from nas.compiled import njit
from nas.constraint import SLACK, Constraint, unreachable
from nas.exact.constrained_search import solve
from utils.errors import UserError


@dataclass(frozen=True)
class SearchResult:
    """The answer to a constrained search."""

    states: tuple[int, ...]
    score: float
    values: tuple[float, ...]  # of each constraint, in its unit
    bound: float  # no feasible configuration has a greater score
    gammas: tuple[float, ...]  # multiplier of each constraint, score per unit
    seconds: float

    @property
    def gap(self):
        """How much better than the answer a configuration could still be; 0 when proven."""
        return max(0.0, self.bound - self.score)

    @property
    def latency_ms(self):
        """The value of the first constraint."""
        return self.values[0]

    @property
    def gamma(self):
        """The multiplier of the first constraint, score per ms."""
        return self.gammas[0]


METHODS = ("exact", "lagrangian")


def search(unary, pairwise, target_ms, method="exact", iterations=12):
    """Return the SearchResult of greatest score under a latency target.

    unary:      N arrays; unary[i] has shape (S_i,), scores; -inf for a state without a score
    pairwise:   N-1 arrays; pairwise[i] has shape (S_i, S_{i+1}), latencies in ms, at least 0
    method:     "exact" proves its answer; "lagrangian", the reference's, finds configurations on
                the convex hull of score against latency only
    iterations: bisections of the multiplier, for "lagrangian"
    Raises InfeasibleError if no configuration meets the target, UserError if a node has no state
    with a score, ValueError for shapes that disagree, NaN, or negative latencies.
    """
    return search_all(unary, [Constraint(pairwise, float(target_ms))], method, iterations)


def search_all(unary, constraints, method="exact", iterations=12):
    """Return the SearchResult of greatest score that keeps all constraints, as `search` does.

    constraints: Constraints, one for the method "lagrangian"
    """
    if method not in METHODS:
        raise ValueError(f"unknown method {method!r}: choose from {', '.join(METHODS)}")
    for constraint in constraints:
        if np.isnan(constraint.limit):
            raise UserError(f"the target of the {constraint.name} is NaN")
        mrf.pad(unary, constraint.pairwise)
    for layer, scores in enumerate(unary, start=1):
        if np.isneginf(scores).all():
            raise UserError(f"no width of layer {layer} was ever drawn: there is nothing to search")
    start = time.perf_counter()
    if method == "exact":
        solution = solve(unary, constraints)
        states, bound, gammas = solution.states, solution.bound, solution.gammas
    else:
        states, bound, gammas = _lagrangian(unary, *constraints, iterations)
    seconds = time.perf_counter() - start
    score = float(sum(scores[state] for scores, state in zip(unary, states, strict=True)))
    return SearchResult(
        states=tuple(int(state) for state in states),
        score=score,
        values=tuple(constraint.value(states) for constraint in constraints),
        bound=max(bound, score),
        gammas=tuple(float(gamma) for gamma in gammas),
        seconds=seconds,
    )


def _lagrangian(unary, constraint, iterations):
    dense, latency, sizes = mrf.pad(unary, constraint.pairwise)
    gamma, states, bound, fastest = lagrangian(dense, latency, sizes, constraint.limit, iterations)
    if np.isnan(gamma):
        raise unreachable(constraint, fastest)
    return states, bound, [gamma]


@njit
def total_latency(latency, states):
    """Return the latency of states on a dense chain, in ms."""
    total = 0.0
    for i in range(len(states) - 1):
        total += latency[i, states[i], states[i + 1]]
    return total


@njit
def lagrangian(unary, latency, sizes, target, iterations):
    """Search on a dense chain for the multiplier gamma of the target, and its configuration.

    For a multiplier, max-sum maximises sum unary - gamma * latency; its latency falls as gamma
    grows. The multiplier is bracketed between one that misses the target and one that meets it,
    then bisected towards the greatest latency that meets it.
    Returns (gamma, states, bound, fastest_ms); gamma is NaN if the target cannot be met. bound is
    the least dual value seen: max-sum's value plus gamma * target bounds every feasible score.
    """
    allowed = target + SLACK * abs(target)
    bound, states = mrf.max_sum_dense(unary, 0.0 * latency, sizes)
    if total_latency(latency, states) <= allowed:
        return 0.0, states, bound, np.nan
    loose = total_latency(latency, states)

    seen = np.where(unary > -np.inf, 0.0, -np.inf)
    _, meeting = mrf.max_sum_dense(seen, -latency, sizes)
    fastest_ms = total_latency(latency, meeting)
    if fastest_ms > allowed:
        return np.nan, meeting, bound, fastest_ms

    # The slope from the best to the fastest configuration: the bracket's scale in any unit.
    drop = bound
    for i in range(len(sizes)):
        drop -= unary[i, meeting[i]]
    low, high = 0.0, max(drop, 1e-300) / (loose - fastest_ms)
    for _ in range(64):
        value, states = mrf.max_sum_dense(unary, -high * latency, sizes)
        bound = min(bound, value + high * target)
        if total_latency(latency, states) <= allowed:
            meeting = states
            break
        low, high = high, 2 * high
    # Otherwise only the fastest configuration itself meets the target: keep it.

    for _ in range(iterations):
        middle = (low + high) / 2
        value, states = mrf.max_sum_dense(unary, -middle * latency, sizes)
        bound = min(bound, value + middle * target)
        if total_latency(latency, states) <= allowed:
            high, meeting = middle, states
        else:
            low = middle
    return high, meeting, bound, fastest_ms
