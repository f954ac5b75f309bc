"""What simpler searches answer from the same statistics: to stand beside the best configuration.

All maximise, in their way, sum unary under a latency target; arguments as in nas.ows.search.
"""

from dataclasses import dataclass

import numba
import numpy as np

from nas import mrf
from nas.ows import ROUNDING, latency_of

BINS = 2000  # of the latency target, in which random_feasible counts configurations


@dataclass(frozen=True)
class Answer:
    """A configuration with its score and latency."""

    states: tuple[int, ...]
    score: float
    latency_ms: float


def answer(unary, pairwise, states):
    """Return the Answer of one sequence of states."""
    states = tuple(int(state) for state in states)
    score = sum(float(scores[state]) for scores, state in zip(unary, states, strict=True))
    return Answer(states, score, latency_of(pairwise, states))


def meets(answer, target_ms):
    """Return whether an Answer meets the target, up to the rounding of sums."""
    return answer.latency_ms <= target_ms * (1 + ROUNDING)


def best_uniform(space, unary, pairwise, target_ms):
    """Return the Answer of the best uniform width multiplier of a SearchSpace under the target.

    None if no multiplier meets the target.
    """
    answers = [
        answer(unary, pairwise, space.states(configuration))
        for configuration in space.uniform_multipliers()
    ]
    meeting = [a for a in answers if meets(a, target_ms) and a.score > -np.inf]
    return max(meeting, key=lambda a: a.score, default=None)


def greedy_slimming(unary, pairwise, target_ms):
    """Return the Answer of greedy slimming from the widest configuration, None if it fails.

    Repeatedly shrinks by one width the layer whose shrinking costs least score per ms saved, until
    the target is met. Layers whose shrinking saves no time come last.
    Source: the rule of AutoSlim (Yu and Huang 2019), on our scores instead of evaluations.
    """
    seen = [np.flatnonzero(np.asarray(scores) > -np.inf) for scores in unary]
    now = answer(unary, pairwise, [choices[-1] for choices in seen])
    while not meets(now, target_ms):
        shrunk = []
        for layer, choices in enumerate(seen):
            smaller = choices[choices < now.states[layer]]
            if len(smaller):
                states = (*now.states[:layer], smaller[-1], *now.states[layer + 1 :])
                shrunk.append(answer(unary, pairwise, states))
        if not shrunk:
            return None
        now = min(shrunk, key=lambda a: _price(now, a))
    return now


def _price(wide, slim):
    """Return the score that a step costs per ms that it saves, as a key to sort by."""
    cost, saved_ms = wide.score - slim.score, wide.latency_ms - slim.latency_ms
    return (0, cost / saved_ms) if saved_ms > 0 else (1, cost)


def random_feasible(unary, pairwise, target_ms, rng, count, attempts=100):
    """Return `count` Answers, drawn uniformly from all configurations that meet the target.

    Draws uniformly, by counting, from those that meet it if every latency is rounded down to a
    bin of the target, and rejects those that do not meet it really. Where these prevail, near the
    fastest configuration, `attempts` draws per answer may give fewer answers.
    """
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
            drawn_answer = answer(unary, pairwise, states)
            if meets(drawn_answer, target_ms):
                answers.append(drawn_answer)
            if len(answers) == count:
                return answers
    return answers


@numba.njit(cache=True)
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
