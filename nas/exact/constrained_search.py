"""The provably best configuration under one or several limits: dual bound, then label setting.

Maximise sum_i unary[i][s_i] subject to sum_i pairwise[i][s_i, s_{i+1}] <= limit for each
constraint. The Lagrangian dual gives a bound, multipliers and a first answer. Label setting then
keeps, node by node, every partial configuration that is not dominated and that can still reach
the best answer so far. The answer is proven unless some had to be dropped for lack of memory.
"""

import numpy as np

from nas.answer import Answer
from nas.constraint import InfeasibleError, least_sum, unreachable
from nas.exact import dual
from nas.exact.budgeted_chain import BudgetedChain
from nas.exact.label_setting import least_to_end, undominated
from utils.formatting import as_typed

EFFORT = 100_000_000  # labels examined before the best answer so far is returned: a few seconds
CAPACITY, GROWTH = 16, 4  # labels kept per state in the first pass, and how that grows
MULTIPLES = (1.0, 0.8, 1.25)  # of the multipliers: each gives a bound, and the least counts
ROUNDING = 1e-15  # of a sum, relative and per summand


def solve(unary, constraints, effort=EFFORT):
    """Return the feasible Answer of greatest score under one or more constraints.

    unary: N arrays; unary[i] has shape (S_i,), scores; -inf for a state without a score
    effort: bounds time and memory; beyond it the best answer so far is returned, with its gap
    Ties go to a configuration that uses least of the first constraint.
    Raises InfeasibleError, UserError if a node has no state with a score, ValueError for shapes
    that disagree, NaN, or negative resources.
    """
    chain = BudgetedChain.of(
        unary, [c.pairwise for c in constraints], [c.limit for c in constraints]
    )
    reachable = least_to_end(chain)[:, 0, 0] <= chain.budgets
    if not reachable.all():
        constraint = constraints[int(reachable.argmin())]
        raise unreachable(constraint, least_sum(unary, constraint.pairwise))
    gammas, best, bound = dual.solve(chain.unary, chain.transitions, chain.resources, chain.budgets)
    best, bound = _set_labels(chain, gammas, bound, best, effort)
    if best is None:
        found = "" if bound == -np.inf else "was found, in the time allowed, that "
        limits = ", ".join(f"{c.name} {as_typed(c.limit)} {c.unit}" for c in constraints)
        raise InfeasibleError(f"no configuration {found}satisfies all limits together: {limits}")
    answer = Answer.of(unary, constraints, chain.input_states(best))
    gap = max(0.0, bound - chain.score(best))
    return answer.proven(answer.score + gap, gammas / chain.scales)


def _set_labels(chain, gammas, bound, best, effort):
    """Improve the states `best` (None: nothing known) and `bound` by passes of label setting.

    A pass with few labels finds good answers, which let the next pass leave out more. Returns
    (states, bound); states is None if nothing was found, and bound -inf if nothing is feasible.
    """
    score = -np.inf if best is None else chain.score(best)
    capacity, done, work = CAPACITY, 0, 0
    while done + GROWTH * work <= effort and bound > -np.inf:
        # Ties are kept: one of them may use less. Without an answer everything is kept.
        floor = score - _rounding(chain, gammas, score)
        labels, states, dropped, work = undominated(
            chain, np.outer(MULTIPLES, gammas), floor, capacity
        )
        if len(labels) and labels[:, 0].max() >= score:
            row = labels[:, 0].argmax()
            score, best = labels[row, 0], states[row]
        rounding = _rounding(chain, gammas, score)
        bound = score if dropped <= score + rounding else min(bound, max(dropped, score))
        if dropped < score - rounding or dropped == -np.inf:
            return best, bound
        capacity *= GROWTH
        done += work
    return best, bound


def _rounding(chain, gammas, score):
    """Return how far rounding may part a bound from an equal score; 0 for a score of -inf."""
    return ROUNDING * len(chain.unary) * (gammas.sum() + abs(score)) if score > -np.inf else 0.0


def check_reachable(sizes, constraints):
    """Raise InfeasibleError unless some configuration, whatever its score, is feasible.

    sizes: the number of states of each node
    """
    solve([np.zeros(size) for size in sizes], constraints)
