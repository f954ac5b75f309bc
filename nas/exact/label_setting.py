"""Label setting along a chain: every undominated way to spend several budgets, as compiled kernels.

A label is a partial configuration: row (score so far, budget left of each resource). In every
column greater is better, so a label dominates another if no column is less. The labels of a node
are grouped by state: those of state s are rows starts[s]:starts[s + 1], by decreasing first budget.
With one resource their scores then increase.
Source: label setting for resource-constrained shortest paths (Dumitrescu and Boland 2003).
"""

from typing import NamedTuple

import numpy as np

from nas.compiled import njit
from nas.transitions import Transitions


class _Problem(NamedTuple):
    """A BudgetedChain, and the bounds by which labels are left out."""

    unary: np.ndarray  # (N, S)
    transitions: Transitions
    resources: np.ndarray  # (m, T)
    least: np.ndarray  # (m, N, S), the least that the nodes after a state use
    gammas: np.ndarray  # (K, m), multipliers of the Lagrangian bounds
    rest: np.ndarray  # (K, N, S), the best Lagrangian value of the nodes after a state
    floor: float  # labels whose bound is less are left out


class _List(NamedTuple):
    """Room for labels, and for the row of the node before that each comes from."""

    labels: np.ndarray  # (room, 1 + m)
    rows: np.ndarray  # (room,)


def undominated(chain, gammas, floor, capacity):
    """Return the undominated feasible configurations of a BudgetedChain.

    gammas: (K, m), multipliers of the Lagrangian bounds. K = 0: none; then the answer is empty
    and dropped is inf once the capacity is exceeded
    floor: configurations of lesser score may be left out
    capacity: the most labels kept per state, those of greatest bound
    Returns (labels, states, dropped, work): labels (L, 1 + m) as above, ordered, states (L, N), the
    greatest bound of the labels dropped for lack of capacity (-inf: none), and the number of
    labels examined.
    """
    of_chain = chain.unary, chain.transitions, chain.resources
    rest = _to_end(*of_chain, gammas)
    problem = _Problem(*of_chain, least_to_end(chain), gammas, rest, float(floor))
    labels, starts = np.array([[0.0, *chain.budgets]]), np.array([0, 1])
    parents, groups, dropped, work = [], [starts], -np.inf, 0
    for node in range(1, len(chain.unary)):
        labels, starts, rows, lost, looked_at = _extend(node, labels, starts, problem, capacity)
        parents.append(rows)
        groups.append(starts)
        dropped, work = max(dropped, lost), work + looked_at
        if dropped == np.inf:
            return labels[:0], np.empty((0, len(chain.unary)), np.int64), dropped, work
    rows = np.arange(len(labels))
    states = np.zeros((len(labels), len(chain.unary)), dtype=np.int64)
    for node in range(len(chain.unary) - 1, 0, -1):
        states[:, node] = np.searchsorted(groups[node], rows, side="right") - 1
        rows = parents[node - 1][rows]
    return labels, states, dropped, work


def least_to_end(chain):
    """Return the least that the nodes after a state use of each resource, shape (m, N, S)."""
    each = np.eye(len(chain.budgets))
    return -_to_end(0 * chain.unary, chain.transitions, chain.resources, each)


@njit
def _to_end(unary, transitions, resources, gammas):
    """Return the best sum of unary - gamma * resources over the nodes after i, if i is in state s.

    Shape (K, N, S), one for each row of gammas (K, m).
    """
    sizes, starts, ends = transitions
    best = np.zeros((len(gammas), *unary.shape))
    for k in range(len(gammas)):
        for i in range(len(sizes) - 2, -1, -1):
            for s in range(sizes[i]):
                top = -np.inf
                for j in range(starts[i, s], starts[i, s + 1]):
                    value = unary[i + 1, ends[j]] + best[k, i + 1, ends[j]]
                    for r in range(len(resources)):
                        value -= gammas[k, r] * resources[r, j]
                    top = max(top, value)
                best[k, i, s] = top
    return best


@njit
def _extend(node, labels, starts, problem, capacity):
    """Extend the labels of the node before to `node`; arguments as in `undominated`.

    Returns (labels, starts, parents, dropped, work); parents: the row that each label came from.
    """
    sizes, begins, ends = problem.transitions
    states, columns = sizes[node], labels.shape[1]
    fresh, kept, merged, out = _room(states, columns, len(labels), capacity)
    new_starts = np.zeros(states + 1, np.int64)
    following = begins[node - 1].copy()  # per state before, its first transition to t or beyond
    dropped, work = -np.inf, 0
    for t in range(states):
        number = 0
        for s in range(len(starts) - 1):
            found, j = 0, following[s]
            if j < begins[node - 1, s + 1] and ends[j] == t:
                found = _step(node, s, j, labels, starts, problem, fresh)
                following[s] += 1
                work += starts[s + 1] - starts[s]
            if found:
                # With one resource a label is compared with one other, else with all: 8 such
                # comparisons take the time of 1.
                work += number + found if columns == 2 else number * found // 8
                number = _merge(kept, number, fresh, found, merged)
                kept, merged = merged, kept
            # Now and then, so that the lists stay short, and at the end.
            if number > 2 * capacity or (number > capacity and s == len(starts) - 2):
                if not len(problem.gammas):  # no bounds to choose by
                    return out.labels[:0].copy(), new_starts, out.rows[:0].copy(), np.inf, work
                lost = _choose(kept, number, problem, node, t, capacity)
                dropped, number = max(dropped, lost), capacity
        for j in range(number):
            _copy(kept.labels, kept.rows, j, out.labels, out.rows, new_starts[t] + j)
        new_starts[t + 1] = new_starts[t] + number
    total = new_starts[states]
    return out.labels[:total].copy(), new_starts, out.rows[:total].copy(), dropped, work


@njit
def _room(states, columns, before, capacity):
    """Return three _Lists for the labels of one state, and one for those of all states."""
    room = min(before, 3 * capacity)
    fresh, kept, merged = np.empty((3, room, columns))
    fresh_rows, kept_rows, merged_rows = np.empty((3, room), np.int32)
    length = states * min(room, capacity)
    out = _List(np.empty((length, columns)), np.empty(length, np.int32))
    return _List(fresh, fresh_rows), _List(kept, kept_rows), _List(merged, merged_rows), out


# The kernels below unpack their tuples once: in a loop, Numba would count references each time.


@njit
def _step(node, s, j, labels, starts, problem, fresh):
    """Extend the labels of state s by transition j to `node`; returns how many may go on."""
    unary, transitions, resources, least, gammas, rest, floor = problem
    fresh_labels, fresh_rows = fresh
    t = transitions.ends[j]
    found = 0
    for row in range(starts[s], starts[s + 1]):
        label = fresh_labels[found]
        label[0] = labels[row, 0] + unary[node, t]
        fits = True
        for c in range(1, len(label)):
            label[c] = labels[row, c] - resources[c - 1, j]
            fits &= label[c] >= least[c - 1, node, t]
        if fits and _bound(label, gammas, rest, node, t) >= floor:
            fresh_rows[found] = row
            found += 1
    return found


@njit
def _bound(label, gammas, rest, node, state):
    """Return the least Lagrangian bound of the scores that a label can reach; inf without any.

    For multipliers gamma: score + gamma * budgets left + best Lagrangian value of the rest.
    """
    bound = np.inf
    for k in range(len(gammas)):
        value = label[0] + rest[k, node, state]
        for c in range(1, len(label)):
            value += gammas[k, c - 1] * label[c]
        bound = min(bound, value)
    return bound


@njit
def _merge(first, a_count, second, b_count, merged):
    """Merge two _Lists, each free of dominated labels; returns the number of labels left.

    A label of one list can only be dominated by those of the other that come before it.
    """
    (a, a_rows), (b, b_rows), (out, out_rows) = first, second, merged
    i = j = number = 0
    while i < a_count or j < b_count:
        if j == b_count or (i < a_count and not _before(b[j], a[i])):
            if not _is_dominated(a[i], b, j):
                _copy(a, a_rows, i, out, out_rows, number)
                number += 1
            i += 1
        else:
            if not _is_dominated(b[j], a, i):
                _copy(b, b_rows, j, out, out_rows, number)
                number += 1
            j += 1
    return number


@njit
def _copy(labels, rows, i, out, out_rows, j):
    """Copy label i to place j of out. (A loop: assigning slices takes seconds to compile.)"""
    for c in range(labels.shape[1]):
        out[j, c] = labels[i, c]
    out_rows[j] = rows[i]


@njit
def _before(label, other):
    """Return whether a label comes first: more of the first budget, then score, other budgets."""
    if label[1] != other[1]:
        return label[1] > other[1]
    if label[0] != other[0]:
        return label[0] > other[0]
    for c in range(2, len(label)):
        if label[c] != other[c]:
            return label[c] > other[c]
    return False


@njit
def _is_dominated(label, others, count):
    """Return whether one of the first `count` others, none of which comes later, dominates."""
    if len(label) == 2:  # one resource: the last of them has the greatest score
        return count > 0 and others[count - 1, 0] >= label[0]
    for j in range(count - 1, -1, -1):
        c = 0
        while c < len(label) and others[j, c] >= label[c]:
            c += 1
        if c == len(label):
            return True
    return False


@njit
def _choose(kept, count, problem, node, state, capacity):
    """Keep `capacity` of a _List's first `count` labels, those of greatest bound, in their order.

    Where bounds tie they are spread evenly. Returns the greatest bound that was left out.
    """
    (labels, rows), gammas, rest = kept, problem.gammas, problem.rest
    bounds = np.empty(count)
    low, high = np.inf, -np.inf
    for j in range(count):
        bounds[j] = _bound(labels[j], gammas, rest, node, state)
        low, high = min(low, bounds[j]), max(high, bounds[j])
    # Invariant: at most `capacity` bounds are above high, more are at least low.
    places = capacity  # for those between low and high, which count as ties
    for _ in range(40):
        middle, above = (low + high) / 2, 0
        for bound in bounds:
            above += bound > middle
        if above > capacity:
            low = middle
        else:
            high, places = middle, capacity - above
    ties = 0
    for bound in bounds:
        ties += low <= bound <= high
    number, seen, lost = 0, 0, -np.inf
    for j in range(count):
        take = bounds[j] > high
        if low <= bounds[j] <= high:
            take = (seen + 1) * places // ties > seen * places // ties
            seen += 1
        if take:
            _copy(labels, rows, j, labels, rows, number)
            number += 1
        else:
            lost = max(lost, bounds[j])
    return lost
