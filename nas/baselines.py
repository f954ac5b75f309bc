"""What simpler searches answer from the same statistics: to stand beside the best configuration.

All maximise, in their way, sum unary under constraints; arguments as in nas.ows.search_all.
"""

from dataclasses import dataclass

import numpy as np

from nas import mrf
from nas.compiled import njit

BINS = 2000  # of the latency target, in which random_feasible counts configurations


@dataclass(frozen=True)
class Answer:
    """A configuration with its score and the value of each constraint."""

    states: tuple[int, ...]
    score: float
    values: tuple[float, ...]

    @property
    def latency_ms(self):
        """The value of the first constraint."""
        return self.values[0]


def answer(unary, constraints, states):
    """Return the Answer of one sequence of states."""
    states = tuple(int(state) for state in states)
    score = sum(float(scores[state]) for scores, state in zip(unary, states, strict=True))
    return Answer(states, score, tuple(c.value(states) for c in constraints))


def _keeps_all(answer, constraints):
    return all(constraint.keeps(answer.states) for constraint in constraints)


def best_uniform(space, unary, constraints):
    """Return the Answer of the best uniform width multiplier of a SearchSpace.

    None if no multiplier keeps the constraints.
    """
    answers = [
        answer(unary, constraints, space.states(configuration))
        for configuration in space.uniform_multipliers()
    ]
    meeting = [a for a in answers if _keeps_all(a, constraints) and a.score > -np.inf]
    return max(meeting, key=lambda a: a.score, default=None)


def greedy_slimming(unary, constraints):
    """Return the Answer of greedy slimming from the widest configuration, None if it fails.

    Repeatedly shrinks by one width the layer whose shrinking costs least score per ms saved, until
    the target is met. Layers whose shrinking saves no time come last. Of several constraints, what
    is saved counts relative to the limits, of those that are not kept yet.
    Source: the rule of AutoSlim (Yu and Huang 2019), on our scores instead of evaluations.
    """
    seen = [np.flatnonzero(np.asarray(scores) > -np.inf) for scores in unary]
    now = answer(unary, constraints, [choices[-1] for choices in seen])
    while not _keeps_all(now, constraints):
        broken = np.array([not constraint.keeps(now.states) for constraint in constraints])
        shrunk = []
        for layer, choices in enumerate(seen):
            smaller = choices[choices < now.states[layer]]
            if len(smaller):
                states = (*now.states[:layer], smaller[-1], *now.states[layer + 1 :])
                shrunk.append(answer(unary, constraints, states))
        if not shrunk:
            return None
        limits = np.array([constraint.limit for constraint in constraints])
        weights = broken / np.maximum(limits, np.finfo(float).tiny)
        now = min(shrunk, key=lambda a: _price(now, a, weights))
    return now


def _price(wide, slim, weights):
    """Return the score that a step costs per weighted value that it saves, as a key to sort by."""
    cost = wide.score - slim.score
    saved = float(weights @ np.subtract(wide.values, slim.values))
    return (0, cost / saved) if saved > 0 else (1, cost)


def random_feasible(unary, constraints, rng, count, attempts=100):
    """Return `count` Answers, drawn uniformly from all configurations that keep the constraints.

    Draws uniformly, by counting, from those that keep the first constraint if every latency is
    rounded down to a bin of its limit, and rejects those that do not keep all really. Where these
    prevail, near the fastest configuration or under a tighter second constraint, `attempts` draws
    per answer may give fewer answers.
    """
    pairwise, target_ms = constraints[0].pairwise, constraints[0].limit
    seen = [np.flatnonzero(np.asarray(scores) > -np.inf) for scores in unary]
    blocks = [
        np.asarray(block)[rows][:, columns]
        for block, rows, columns in zip(pairwise, seen[:-1], seen[1:], strict=True)
    ]
    sizes = np.array([len(choices) for choices in seen])
    latency = mrf.pad_pairwise(blocks, sizes)
    # 1e-9 of a bin: rounding must not lift what stands on an edge into the next bin.
    parts = latency / target_ms * BINS if target_ms > 0 else np.where(latency > 0, np.inf, 0)
    bins = np.floor(np.clip(parts - 1e-9, 0, BINS + 1)).astype(np.int64)
    answers = []
    for _ in range(attempts):
        for drawn in _draw(bins, sizes, rng.random((count, len(sizes)))):
            if drawn[0] < 0:
                return []
            states = [choices[state] for choices, state in zip(seen, drawn, strict=True)]
            drawn_answer = answer(unary, constraints, states)
            if _keeps_all(drawn_answer, constraints):
                answers.append(drawn_answer)
            if len(answers) == count:
                return answers
    return answers


@njit
def _draw(bins, sizes, uniforms):
    """Draw states, shape (count, N), whose bins (N-1, S, S) sum to at most BINS; -1 if none do.

    ways[i, s, b]: how many states of the nodes after i, if i is in s, fit into b bins, relative to
    the greatest such number of the node.
    """
    nodes, most = len(sizes), sizes.max()
    ways = np.zeros((nodes, most, BINS + 1))
    ways[-1] = 1
    for i in range(nodes - 2, -1, -1):
        for s in range(sizes[i]):
            for t in range(sizes[i + 1]):
                for left in range(bins[i, s, t], BINS + 1):
                    ways[i, s, left] += ways[i + 1, t, left - bins[i, s, t]]
        ways[i] /= max(ways[i].max(), 1e-300)
    states = np.zeros(uniforms.shape, np.int64)
    weights = np.zeros(most)
    for row in range(len(uniforms)):
        left, state = BINS, -1
        for i in range(nodes):
            for t in range(sizes[i]):
                used = bins[i - 1, state, t] if i else 0
                weights[t] = ways[i, t, left - used] if used <= left else 0.0
            rest = uniforms[row, i] * weights[: sizes[i]].sum()
            chosen = -1
            for t in range(sizes[i]):
                if weights[t] > 0 and rest >= 0:
                    chosen = t
                    rest -= weights[t]
            if chosen < 0:
                states[row] = -1
                break
            left -= bins[i - 1, state, chosen] if i else 0
            state = states[row, i] = chosen
    return states
