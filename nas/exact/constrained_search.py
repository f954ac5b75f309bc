"""The provably best configuration under one or several limits: dual bound, then label setting.

Maximise sum_i unary[i][s_i] subject to sum_i pairwise[i][s_i, s_{i+1}] <= limit for each
constraint. The Lagrangian dual gives a bound, multipliers and a first answer. Label setting then
keeps, node by node, every partial configuration that is not dominated and that can still reach
the best answer so far. Unless some had to be dropped for want of memory, the answer is proven.
"""

from dataclasses import dataclass

import numpy as np

from nas import mrf
from nas.constraint import InfeasibleError, least_sum, unreachable
from nas.exact import dual
from nas.exact.budgeted_chain import BudgetedChain
from nas.exact.label_setting import least_to_end, undominated
from utils.formatting import as_typed

EFFORT = 100_000_000  # labels looked at before the best answer so far is returned: a few seconds
CAPACITY, GROWTH = 16, 4  # labels kept per state in the first pass, and how that grows
MULTIPLES = (1.0, 0.8, 1.25)  # of the multipliers: each gives a bound, of which the least counts
ROUNDING = 1e-15  # of a sum, relative and per summand


@dataclass(frozen=True)
class Solution:
    """The best configuration that was found, and what is proven about it."""

    states: tuple[int, ...]
    score: float
    bound: float  # no configuration that keeps the limits has a greater score
    gammas: tuple[float, ...]  # a multiplier per constraint: score per unit of the constraint

    @property
    def gap(self):
        """How much better than the answer a configuration could still be; 0 when proven."""
        return self.bound - self.score


def solve(unary, constraints, effort=EFFORT):
    """Return the Solution of greatest score that keeps all constraints, of which there are some.

    unary: N arrays; unary[i] has shape (S_i,), scores; -inf for a state without a score
    effort: bounds time and memory; beyond it the best answer so far is returned, with its gap
    Of equally good configurations the answer is one that uses least of the first constraint.
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
    gammas, bound, best = _dual(chain)
    best, bound = _set_labels(chain, gammas, bound, best, effort)
    if best is None:
        known = "keeps" if bound == -np.inf else "was found, in the time allowed, that keeps"
        limits = ", ".join(f"{c.name} {as_typed(c.limit)} {c.unit}" for c in constraints)
        raise InfeasibleError(f"no configuration {known} all limits together: {limits}")
    states = chain.input_states(best)
    score = float(sum(scores[state] for scores, state in zip(unary, states, strict=True)))
    gap = max(0.0, bound - chain.score(best))
    return Solution(states, score, score + gap, tuple((gammas / chain.scales).tolist()))


def _set_labels(chain, gammas, bound, best, effort):
    """Improve the states `best` (None: nothing known) and `bound` by passes of label setting.

    A pass with few labels gives good answers, by which the next pass can leave out more. Returns
    (states, bound); states is None if nothing was found, bound then -inf if there is nothing.
    """
    score = -np.inf if best is None else chain.score(best)
    capacity, done, work = CAPACITY, 0, 0
    while done + GROWTH * work <= effort and bound > -np.inf:
        # Its equals are kept: one of them may use less. Without an answer everything is.
        floor = score - _rounding(chain, gammas, score)
        labels, states, dropped, work = undominated(
            chain, np.outer(MULTIPLES, gammas), floor, capacity
        )
        if len(labels) and labels[:, 0].max() >= score:
            row = labels[:, 0].argmax()
            score, best = labels[row, 0], states[row]
        if dropped <= score + _rounding(chain, gammas, score):
            return best, score
        bound = min(bound, max(dropped, score))
        capacity *= GROWTH
        done += work
    return best, bound


def _rounding(chain, gammas, score):
    """Return by how much a bound that equals a score may miss it; 0 for a score of -inf."""
    return ROUNDING * len(chain.sizes) * (gammas.sum() + abs(score)) if score > -np.inf else 0.0


def _dual(chain):
    """Return (multipliers, bound, states) of the Lagrangian dual; states is None if none is met."""
    if len(chain.budgets) == 1:
        gamma, states, bound, _ = dual.multiplier(
            chain.unary, chain.resources[0], chain.sizes, chain.budgets[0]
        )
        return np.array([gamma]), bound, states
    gammas, bound, answers = dual.multipliers(
        chain.unary, chain.resources, chain.sizes, chain.budgets
    )
    meeting = [states for states in answers if (chain.spent(states) <= chain.budgets).all()]
    return gammas, bound, max(meeting, key=chain.score, default=None)


def greatest_sum(sizes, pairwise):
    """Return the greatest sum of a resource of any configuration.

    sizes: the number of states of each node
    """
    return mrf.max_sum([np.zeros(size) for size in sizes], pairwise)[0]


def check_reachable(sizes, constraints):
    """Raise InfeasibleError unless some configuration, whatever its score, keeps all constraints.

    sizes: the number of states of each node
    """
    solve([np.zeros(size) for size in sizes], constraints)
