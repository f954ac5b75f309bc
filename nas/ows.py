"""OWS: the best configuration of a chain of scores under a latency target.

Maximise sum_i unary[i][s_i] subject to sum_i pairwise[i][s_i, s_{i+1}] <= target, where unary
holds scores (higher is better) and pairwise latencies in ms.
nas.exact.constrained_search gives the exact answer; the reference's relaxation is the dual in
nas.exact.dual, solved by bisection.
Source: Berman et al. 2020.
"""

import numpy as np

from nas.answer import Answer
from nas.constraint import SLACK, Constraint, unreachable
from nas.exact import dual
from nas.exact.constrained_search import solve
from nas.transitions import pack
from utils.errors import UserError

METHODS = ("exact", "lagrangian")


def search(unary, pairwise, target_ms, method="exact", iterations=12):
    """Return the Answer of greatest score under a latency target.

    unary:      N arrays; unary[i] has shape (S_i,), scores; -inf for a state without a score
    pairwise:   N-1 arrays; pairwise[i] has shape (S_i, S_{i+1}), latencies in ms, at least 0; inf
                where two states do not fit together
    method:     "exact" proves its answer; "lagrangian", the reference's, finds configurations on
                the convex hull of score against latency only
    iterations: bisections of the multiplier, for "lagrangian"
    Raises InfeasibleError if no configuration meets the target, UserError if a node has no state
    with a score, ValueError for shapes that disagree, NaN, or negative latencies.
    """
    return search_all(unary, [Constraint(pairwise, float(target_ms))], method, iterations)


def search_all(unary, constraints, method="exact", iterations=12):
    """Return the feasible Answer of greatest score under all constraints, as `search` does.

    constraints: Constraints, one for the method "lagrangian"
    """
    if method not in METHODS:
        raise ValueError(f"unknown method {method!r}: choose from {', '.join(METHODS)}")
    for constraint in constraints:
        if np.isnan(constraint.limit):
            raise UserError(f"the target of the {constraint.name} is NaN")
    for layer, scores in enumerate(unary, start=1):
        if np.isneginf(scores).all():
            raise UserError(f"no width of layer {layer} was ever drawn: there is nothing to search")
    if method == "exact":
        return solve(unary, constraints)
    (constraint,) = constraints
    return _lagrangian(unary, constraint, iterations)


def _lagrangian(unary, constraint, iterations):
    """Return the Answer of the reference's relaxation, with the dual as its proven bound."""
    dense, transitions, [latency] = pack(unary, [constraint.pairwise], np.inf)
    gamma, states, bound, fastest = dual.multiplier(
        dense, transitions, latency, float(constraint.limit), SLACK, iterations
    )
    if np.isnan(gamma):
        raise unreachable(constraint, fastest)
    return Answer.of(unary, [constraint], states).proven(bound, [gamma])
