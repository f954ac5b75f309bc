"""What the search costs at every training step, against plain NumPy and Python.

    python -m benchmarks.search_step

Timed are one AOWS solve (unary potentials, multiplier, marginals; the plain one with a bracket and
12 bisections, as in the reference), recording the losses of 512 images, and drawing one biased
configuration, with the default search space of 14 layers and up to 14 widths.
"""

if __name__ == "__main__":  # before the imports that take seconds
    from utils.startup import prepare

    prepare()

import argparse
from collections import deque

import numpy as np
from scipy.special import logsumexp, softmax

from benchmarks.timing import compare
from nas import aows, mrf
from nas.sampling import BiasedSampler
from nas.search_space import SearchSpace
from nas.transitions import pack_pairwise
from nas.width_scores import WidthLosses

IMAGES = 512
TAU = 0.001


def plain_max_sum(unary, pairwise):
    to_end, choices = unary[-1], []
    for scores, block in zip(unary[-2::-1], pairwise[::-1], strict=True):
        through = block + to_end
        choices.append(through.argmax(axis=1))
        to_end = scores + through.max(axis=1)
    states = [int(to_end.argmax())]
    for choice in reversed(choices):
        states.append(int(choice[states[-1]]))
    return to_end.max(), states


def plain_marginals(unary, pairwise):
    forward, backward = [unary[0]], [np.zeros(len(unary[-1]))]
    for scores, block in zip(unary[1:], pairwise, strict=True):
        forward.append(scores + logsumexp(forward[-1][:, None] + block, axis=0))
    for scores, block in zip(unary[:0:-1], pairwise[::-1], strict=True):
        backward.append(logsumexp(block + scores + backward[-1], axis=1))
    return [softmax(f + b) for f, b in zip(forward, reversed(backward), strict=True)]


def plain_solve(unary, latency, target, iterations, tau):
    def latency_at(gamma):
        _, states = plain_max_sum(unary, [-gamma * block for block in latency])
        return sum(b[states[i], states[i + 1]] for i, b in enumerate(latency)), states

    low, high = 0.0, 1.0
    while latency_at(high)[0] > target:
        low, high = high, 2 * high
    for _ in range(iterations):
        middle = (low + high) / 2
        low, high = (low, middle) if latency_at(middle)[0] <= target else (middle, high)
    probabilities = plain_marginals([u / tau for u in unary], [-high / tau * b for b in latency])
    return high, latency_at(high)[1], probabilities


def solve_pair(space, rng):
    losses = WidthLosses(space.sizes, 100_000)
    states = rng.integers(space.sizes, size=(20_000, len(space.sizes)))
    quality = 1 / (1 + states).mean(axis=1)
    losses.record(states, quality + 0.1 * rng.random(len(states)), np.zeros(len(states)))
    costs = [np.outer(a, b) / 1e6 for a, b in zip(space.choices, space.choices[1:], strict=False)]
    transitions, resources = pack_pairwise([costs], space.sizes)
    target = 0.5 * sum(cost.max() for cost in costs)
    limits = np.array([target])

    def ours():
        unary = losses.unary()
        gammas, states = aows.solve(unary, transitions, resources, limits)
        potentials, penalties = aows.potentials(unary, resources, gammas, TAU)
        return gammas[0], states, mrf.sum_product_packed(potentials, transitions, penalties)

    def plain():
        unary = [row[:size] for row, size in zip(losses.unary(), space.sizes, strict=True)]
        return plain_solve(unary, costs, target, 12, TAU)

    ours_latency = sum(c[ours()[1][i], ours()[1][i + 1]] for i, c in enumerate(costs))
    plain_latency = sum(c[plain()[1][i], plain()[1][i + 1]] for i, c in enumerate(costs))
    print(f"answers: ours {ours_latency:.6f} ms, plain {plain_latency:.6f} ms, target {target:.6f}")
    return ours, plain


def record_pair(space, rng):
    losses = WidthLosses(space.sizes, 100_000)
    windows = [[deque(maxlen=100_000) for _ in widths] for widths in space.choices]
    sums = [[0.0] * len(widths) for widths in space.choices]
    states = rng.integers(space.sizes, size=(IMAGES, len(space.sizes)))
    loss, full_loss = rng.random(IMAGES), rng.random(IMAGES)

    def plain():
        for image in range(IMAGES):
            contribution = (full_loss[image] - loss[image]) / states.shape[1]
            for layer in range(states.shape[1]):
                state = states[image, layer]
                window = windows[layer][state]
                if len(window) == window.maxlen:
                    sums[layer][state] -= window[0]
                window.append(contribution)
                sums[layer][state] += contribution

    return lambda: losses.record(states, loss, full_loss), plain


def draw_pair(space, rng):
    sampler = BiasedSampler(space)
    counts = np.zeros(len(space.variables), dtype=int)

    def plain():
        least = counts == counts.min()
        noise = [1e-6 * rng.random(block.shape) for block in space.blocks]
        rewards = [least[b] + n for b, n in zip(space.blocks, noise, strict=True)]
        ends = [np.zeros(1)]
        _, states = plain_max_sum(
            [*ends, *(np.zeros(size) for size in space.sizes), *ends], rewards
        )
        for layer, block in enumerate(space.blocks):
            counts[block[states[layer], states[layer + 1]]] += 1

    return lambda: sampler.draw(rng), plain


def main():
    argparse.ArgumentParser(description=__doc__.partition("\n")[0]).parse_args()
    space, rng = SearchSpace(), np.random.default_rng(0)
    ours, plain = solve_pair(space, rng)
    compare("one AOWS solve", ours, plain, fast_calls=200, plain_calls=5, limit_ms=0.25)
    ours, plain = record_pair(space, rng)
    compare("recording 512 images × 14 layers", ours, plain, fast_calls=200, plain_calls=5)
    ours, plain = draw_pair(space, rng)
    compare("one biased draw", ours, plain, fast_calls=500, plain_calls=50, limit_ms=0.1)


if __name__ == "__main__":
    main()
