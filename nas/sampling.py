"""Which configurations are measured: drawn uniformly, or for the variables seen least often."""

import itertools

import numpy as np

from nas.compiled import njit


class BiasedSampler:
    """Draws configurations that hold as many of the least-seen variables as possible.

    Each draw is a path through the layers on which the number of variables seen least often so
    far is greatest (max-sum); among all such paths one is drawn uniformly. Without random ties the
    first choice, the smallest width, would be drawn far too often.
    """

    def __init__(self, space, configurations=()):
        """Start from the configurations that were drawn before, if any."""
        self.space = space
        self.counts = np.zeros(len(space.variables), dtype=np.int64)
        most = max(max(block.shape) for block in space.blocks)
        self._blocks = np.zeros((len(space.blocks), most, most), dtype=np.int64)
        for padded, block in zip(self._blocks, space.blocks, strict=True):
            padded[: block.shape[0], : block.shape[1]] = block
        self._sizes = np.array([1, *space.sizes, 1])
        for configuration in configurations:
            np.add.at(self.counts, space.path(configuration), 1)

    def draw(self, rng):
        """Return one configuration and count its variables."""
        uniforms = rng.random(len(self._sizes))
        states = _most_least_seen(self._blocks, self._sizes, self.counts, uniforms)
        return self.space.configuration(states)


@njit
def _most_least_seen(blocks, sizes, counts, uniforms):
    """Draw uniformly among the paths with most least-seen variables; counts its variables.

    Backward recursion: best[i, s] is the greatest number on a path from state s of node i to the
    end, ways[i, s] the number of paths that reach it. Forward, each step is drawn by its ways.
    """
    nodes, most = len(sizes), blocks.shape[1]
    least = counts.min()
    best = np.zeros((nodes, most))
    ways = np.ones((nodes, most))
    for i in range(nodes - 2, -1, -1):
        for s in range(sizes[i]):
            top, number = -1.0, 0.0
            for t in range(sizes[i + 1]):
                value = best[i + 1, t] + (counts[blocks[i, s, t]] == least)
                if value > top:
                    top, number = value, 0.0
                if value == top:
                    number += ways[i + 1, t]
            best[i, s], ways[i, s] = top, number
    states = np.zeros(nodes, dtype=np.int64)
    for i in range(nodes - 1):
        s = states[i]
        left = uniforms[i] * ways[i, s]
        for t in range(sizes[i + 1]):
            if best[i + 1, t] + (counts[blocks[i, s, t]] == least) == best[i, s]:
                states[i + 1] = t
                left -= ways[i + 1, t]
                if left < 0:
                    break
    for i in range(nodes - 1):
        counts[blocks[i, states[i], states[i + 1]]] += 1
    return states[1:-1]


def draw_configurations(space, seed, biased, repetitions, recorded):
    """Yield the configurations that follow those recorded, for ever, each `repetitions` times.

    recorded: the configurations of the samples so far, in order
    Draw i comes from default_rng((seed, i)), so that the sequence depends on the seed only; a
    biased draw depends on the draws before it, which are counted again from the file.
    """
    first = len(recorded) // repetitions
    earlier = recorded[: first * repetitions : repetitions]
    sampler = BiasedSampler(space, earlier) if biased else None
    skip = len(recorded) % repetitions
    for draw in itertools.count(first):
        rng = np.random.default_rng((seed, draw))
        configuration = sampler.draw(rng) if biased else space.draw_uniform(rng)
        yield from itertools.repeat(configuration, repetitions - skip)
        skip = 0
