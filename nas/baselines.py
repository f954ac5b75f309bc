"""Baselines: what simpler searches answer from the same statistics.

Each maximises sum unary under constraints in its own way; arguments as in nas.ows.search_all.
"""

from dataclasses import dataclass

import numpy as np

from nas.answer import Answer
from nas.chain import Chain
from nas.compiled import njit
from nas.latency_target import feasible_uniform
from nas.transitions import pack_pairwise

BINS = 2000  # of the latency target, in which random_feasible counts configurations
ATTEMPTS = 100  # draws per answer of random_feasible, at most


@dataclass(frozen=True)
class UniformAnswer(Answer):
    """The answer of one width multiplier; its widths need not be choices of a search space."""

    multiplier: float = 1.0
    widths: tuple[int, ...] = ()

    def configuration(self, space):
        """Return the widths."""
        return self.widths


def widest_uniform(space, unary, constraints):
    """Return the UniformAnswer of the widest feasible uniform network; None if none is feasible.

    Any multiplier counts, in steps of 8 channels; between the choices of a SearchSpace, scores and
    constraint values are interpolated.
    """
    for network in feasible_uniform(space, constraints):
        score = network.place.score(unary)
        if score > -np.inf:  # all its widths were drawn
            return UniformAnswer(
                states=(),
                score=score,
                values=network.values,
                multiplier=network.multiplier,
                widths=network.configuration,
            )
    return None


def _is_feasible(answer, constraints):
    return all(constraint.is_feasible(answer.states) for constraint in constraints)


def greedy_slimming(scores, constraints, chain=None):
    """Return the Answer of greedy slimming from the widest configuration, None if it fails.

    scores: of each width's choices, one array per width
    chain:  the Chain of the constraints; None where each width is a node of its own

    Repeatedly shrinks, by one choice, the width that loses least score per ms saved, until the
    target is met. Widths that save no time come last. With several constraints, savings count
    relative to the limits that are still exceeded.
    Source: the rule of AutoSlim (Yu and Huang 2019), on our scores instead of evaluations.
    """
    chain = chain or Chain.plain([len(each) for each in scores])
    unary = chain.unary(scores)
    seen = [np.flatnonzero(np.asarray(each) > -np.inf) for each in scores]
    now = Answer.of(unary, constraints, chain.states([choices[-1] for choices in seen]))
    while not _is_feasible(now, constraints):
        exceeded = np.array([not c.is_feasible(now.states) for c in constraints])
        shrunk, widths = [], chain.choices(now.states)
        for width, choices in enumerate(seen):
            smaller = choices[choices < widths[width]]
            if len(smaller):
                slim = (*widths[:width], smaller[-1], *widths[width + 1 :])
                shrunk.append(Answer.of(unary, constraints, chain.states(slim)))
        if not shrunk:
            return None
        limits = np.array([constraint.limit for constraint in constraints])
        weights = exceeded / np.maximum(limits, np.finfo(float).tiny)
        now = min(shrunk, key=lambda a: _price(now, a, weights))
    return now


def _price(wide, slim, weights):
    """Return the score that a step costs per weighted value that it saves, as a key to sort by."""
    cost = wide.score - slim.score
    saved = float(weights @ np.subtract(wide.values, slim.values))
    return (0, cost / saved) if saved > 0 else (1, cost)


def random_feasible(unary, constraints, rng, count):
    """Return `count` Answers, drawn uniformly from all feasible configurations.

    Rounds every latency down to a bin of the first limit, draws uniformly, by counting, from the
    configurations that then satisfy it, and rejects the infeasible ones. If most are rejected, near
    the fastest configuration or under a tighter second constraint, ATTEMPTS draws per answer may
    yield fewer answers.
    """
    pairwise, target_ms = constraints[0].pairwise, constraints[0].limit
    seen = [np.flatnonzero(np.asarray(scores) > -np.inf) for scores in unary]
    blocks = [
        np.asarray(block)[rows][:, columns]
        for block, rows, columns in zip(pairwise, seen[:-1], seen[1:], strict=True)
    ]
    transitions, [latency] = pack_pairwise([blocks], [len(choices) for choices in seen])
    # 1e-9 of a bin: rounding must not lift a value on an edge into the next bin.
    parts = latency / target_ms * BINS if target_ms > 0 else np.where(latency > 0, np.inf, 0)
    bins = np.floor(np.clip(parts - 1e-9, 0, BINS + 1)).astype(np.int64)
    answers = []
    for _ in range(ATTEMPTS):
        for drawn in _draw(bins, transitions, rng.random((count, len(seen)))):
            if drawn[0] < 0:
                return []
            states = [choices[state] for choices, state in zip(seen, drawn, strict=True)]
            answer = Answer.of(unary, constraints, states)
            if _is_feasible(answer, constraints):
                answers.append(answer)
            if len(answers) == count:
                return answers
    return answers


@njit
def _draw(bins, transitions, uniforms):
    """Draw states, shape (count, N), whose transitions' bins (T,) sum to at most BINS; -1 if none.

    State by state, each by the number of ways to go on from it.
    """
    sizes, starts, ends = transitions
    ways = _ways(bins, transitions)
    states = np.zeros(uniforms.shape, np.int64)
    for row in range(len(uniforms)):
        left, state = BINS, -1
        for i in range(len(sizes)):
            weights, used = ways[i, :, BINS].copy(), np.zeros(ways.shape[1], np.int64)
            if i:
                weights = np.zeros(ways.shape[1])
                for j in range(starts[i - 1, state], starts[i - 1, state + 1]):
                    if bins[j] <= left:
                        used[ends[j]] = bins[j]
                        weights[ends[j]] = ways[i, ends[j], left - bins[j]]
            rest = uniforms[row, i] * weights[: sizes[i]].sum()
            chosen = -1
            for t in range(sizes[i]):
                if weights[t] > 0 and rest >= 0:
                    chosen = t
                    rest -= weights[t]
            if chosen < 0:
                states[row] = -1
                break
            left -= used[chosen]
            state = states[row, i] = chosen
    return states


@njit
def _ways(bins, transitions):
    """Return how many states of the nodes after i, if i is in s, fit into b bins: (N, S, BINS + 1).

    Relative to the greatest such number of the node.
    """
    sizes, starts, ends = transitions
    ways = np.zeros((len(sizes), sizes.max(), BINS + 1))
    ways[-1] = 1
    for i in range(len(sizes) - 2, -1, -1):
        for s in range(sizes[i]):
            for j in range(starts[i, s], starts[i, s + 1]):
                for left in range(bins[j], BINS + 1):
                    ways[i, s, left] += ways[i + 1, ends[j], left - bins[j]]
        ways[i] /= max(ways[i].max(), 1e-300)
    return ways
