"""OWS: the best configuration of a chain of scores under a latency target.

Maximise sum_i unary[i][s_i] subject to sum_i pairwise[i][s_i, s_{i+1}] <= target, where unary
holds scores (higher is better) and pairwise latencies in ms.
Source: Berman et al. 2020; the multiplier by bracketing and bisection as in the reference.
"""

import time
from dataclasses import dataclass

import numba
import numpy as np

from nas import mrf
from utils.errors import UserError

ROUNDING = 1e-12  # relative: sums of the same latencies in another order agree to this


class InfeasibleTargetError(UserError):
    """The target is below the latency of the fastest configuration."""

    def __init__(self, target_ms, fastest_ms):
        super().__init__(
            f"target {target_ms:.4g} ms is below the fastest configuration, {fastest_ms:.4g} ms"
        )
        self.fastest_ms = fastest_ms


@dataclass(frozen=True)
class SearchResult:
    """The answer to a constrained search."""

    states: tuple[int, ...]
    score: float
    latency_ms: float
    bound: float  # no feasible configuration has a greater score
    gamma: float  # multiplier of the latency constraint, score per ms
    seconds: float

    @property
    def gap(self):
        """How much better than the answer a configuration could still be; 0 when proven."""
        return max(0.0, self.bound - self.score)


def search(unary, pairwise, target_ms, iterations=12):
    """Return the SearchResult of the Lagrangian relaxation.

    unary:    N arrays; unary[i] has shape (S_i,), scores; -inf for a state without a score
    pairwise: N-1 arrays; pairwise[i] has shape (S_i, S_{i+1}), latencies in ms
    Raises InfeasibleTargetError if no configuration meets the target, UserError if a node has no
    state with a score, ValueError for shapes that disagree, NaN, or negative latencies.
    """
    dense_unary, latency, sizes = mrf.pad(unary, pairwise)
    if np.isnan(target_ms):
        raise UserError("the latency target is NaN")
    if not np.isfinite(latency).all():
        raise ValueError("latencies must be finite")
    for layer, scores in enumerate(unary, start=1):
        if np.isneginf(scores).all():
            raise UserError(f"no width of layer {layer} was ever drawn: there is nothing to search")
    start = time.perf_counter()
    gamma, states, bound, fastest_ms = lagrangian(
        dense_unary, latency, sizes, float(target_ms), iterations
    )
    seconds = time.perf_counter() - start
    if np.isnan(gamma):
        raise InfeasibleTargetError(target_ms, fastest_ms)
    return SearchResult(
        states=tuple(int(state) for state in states),
        score=mrf.score(unary, [0 * block for block in map(np.asarray, pairwise)], states),
        latency_ms=total_latency(latency, states),
        bound=bound,
        gamma=gamma,
        seconds=seconds,
    )


def fastest_latency(pairwise):
    """Return the latency in ms of the fastest configuration (min-sum over the ragged chain)."""
    fastest = np.zeros(1)
    for block in pairwise:
        fastest = np.min(fastest[:, None] + block, axis=0)
    return float(fastest.min())


@numba.njit(cache=True)
def total_latency(latency, states):
    """Return the latency of states on a dense chain, in ms."""
    total = 0.0
    for i in range(len(states) - 1):
        total += latency[i, states[i], states[i + 1]]
    return total


@numba.njit(cache=True)
def lagrangian(unary, latency, sizes, target, iterations):
    """Search on a dense chain for the multiplier gamma of the target, and its configuration.

    For a multiplier, max-sum maximises sum unary - gamma * latency; its latency falls as gamma
    grows. The multiplier is bracketed between one that misses the target and one that meets it,
    then bisected towards the greatest latency that meets it.
    Returns (gamma, states, bound, fastest_ms); gamma is NaN if the target cannot be met. bound is
    the least dual value seen: max-sum's value plus gamma * target bounds every feasible score.
    """
    allowed = target + ROUNDING * abs(target)
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
