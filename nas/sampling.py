"""Which configurations are measured: uniform, biased or covering draws."""

import itertools

import numpy as np
from scipy.optimize import brentq

from nas.compiled import njit
from nas.transitions import Transitions


class BiasedSampler:
    """Draws configurations that hold as many of the least-seen variables as possible.

    Each draw is a path through the layers on which the number of variables seen least often so
    far is greatest (max-sum); among all such paths one is drawn uniformly. If ties were not broken
    at random, the first choice, the smallest width, would be drawn far too often.
    """

    def __init__(self, space, configurations=()):
        """Start from the configurations that were drawn before, if any."""
        self.space = space
        self.counts = np.zeros(len(space.variables), dtype=np.int64)
        segments = list(space.chain.spread(space.blocks))
        sizes = [1, *space.chain.node_sizes, 1]
        self._transitions = Transitions.of(sizes, [fit for _, fit in segments])
        # The variables of each transition's layers; one too many where there are fewer layers.
        most = max(len(layers) for layers, _ in segments)
        self._variables = np.full((len(self._transitions.ends), most), len(space.variables))
        parts = np.split(self._variables, self._transitions.starts[1:, 0])
        for part, (layers, fit) in zip(parts, segments, strict=True):
            for column, variables in enumerate(layers):
                part[:, column] = variables[fit]
        for configuration in configurations:
            self.count(configuration)

    def count(self, configuration):
        """Count the variables of a configuration that was drawn elsewhere."""
        np.add.at(self.counts, self.space.path(configuration), 1)

    def draw(self, rng):
        """Return one configuration and count its variables."""
        uniforms = rng.random(len(self._transitions.sizes))
        states, path = _most(self._gains(), self._transitions, uniforms)
        variables = self._variables[path]
        np.add.at(self.counts, variables[variables < len(self.counts)], 1)
        return self.space.configuration_at(states)

    def _gains(self):
        """Return how many of the least-seen variables each transition holds, (T,)."""
        fewest = self.counts[self.space.occurring].min()
        least = np.append(self.counts == fewest, False)
        return least[self._variables].sum(axis=1, dtype=np.float64)


GOLDEN = (5**0.5 - 1) / 2  # its multiples modulo 1 cover (0, 1) evenly, however many there are
PERIOD = 3  # of covering draws; a shorter one predicts networks of mean latency worse
ENDS = 0.02  # mean positions of covering draws: from here to 1 - ENDS
SLOPE = 0.5  # the greatest change of the mean position from the middle layer to the ends


class CoveringSampler:
    """Draws configurations from the narrowest to the widest, and least-seen variables first.

    Sums of many independent widths are all about the same: uniform draws never come near the
    networks that tight and loose targets need. So every third draw is given a mean position of its
    widths, from narrowest (0) to widest (1); these positions cover the range evenly. The widths are
    independent, from the maximum-entropy distribution with this mean, which rises or falls somewhat
    with depth. The draws in between are a BiasedSampler's.
    """

    def __init__(self, space, seed, configurations=()):
        """Start from the configurations that were drawn before, if any."""
        self.space = space
        self._first = np.random.default_rng(seed).random()
        self._drawn = len(configurations)
        self._biased = BiasedSampler(space, configurations)

    def draw(self, rng):
        """Return one configuration and count its variables."""
        number, rest = divmod(self._drawn, PERIOD)
        self._drawn += 1
        if rest:
            return self._biased.draw(rng)
        position = ENDS + (1 - 2 * ENDS) * ((self._first + GOLDEN * number) % 1)
        configuration = self.draw_at(position, rng)
        self._biased.count(configuration)
        return configuration

    def draw_at(self, position, rng):
        """Return a configuration whose widths have a mean position from 0 to 1; counts nothing."""
        room = min(1, 2 * position, 2 * (1 - position))
        slope = rng.uniform(-SLOPE, SLOPE) * room
        along = np.linspace(-1, 1, len(self.space.sizes))
        positions = np.clip(position + slope * along, ENDS, 1 - ENDS)
        states = [
            rng.choice(size, p=tilted(size, mean))
            for size, mean in zip(self.space.sizes, positions, strict=True)
        ]
        return self.space.configuration(states)


def tilted(size, mean):
    """Return the maximum-entropy probabilities of `size` positions from 0 to 1 with a given mean.

    They are proportional to exp(λ · position), uniform at mean = 1/2.
    """
    positions = np.linspace(0, 1, size)
    if size == 1:
        return np.ones(1)

    def probabilities(rate):
        weights = np.exp(rate * positions - max(rate, 0))
        return weights / weights.sum()

    steepest = 40.0 * size
    rate = brentq(lambda rate: probabilities(rate) @ positions - mean, -steepest, steepest)
    return probabilities(rate)


@njit
def _most(gains, transitions, uniforms):
    """Draw uniformly among the paths of greatest gain; returns states, but the ends', and path.

    gains: (T,), of nas.transitions.Transitions; uniforms: (N,)
    Backward recursion: best[i, s] is the greatest gain on a path from state s of node i to the end,
    ways[i, s] the number of paths that reach it. Forward, each step is drawn by its ways.
    """
    sizes, starts, ends = transitions
    nodes, most = len(sizes), sizes.max()
    best = np.zeros((nodes, most))
    ways = np.ones((nodes, most))
    for i in range(nodes - 2, -1, -1):
        for s in range(sizes[i]):
            top, number = -np.inf, 0.0
            for j in range(starts[i, s], starts[i, s + 1]):
                value = best[i + 1, ends[j]] + gains[j]
                if value > top:
                    top, number = value, 0.0
                if value == top:
                    number += ways[i + 1, ends[j]]
            best[i, s], ways[i, s] = top, number
    states, path = np.zeros(nodes, dtype=np.int64), np.zeros(nodes - 1, dtype=np.int64)
    for i in range(nodes - 1):
        s = states[i]
        left = uniforms[i] * ways[i, s]
        for j in range(starts[i, s], starts[i, s + 1]):
            if best[i + 1, ends[j]] + gains[j] == best[i, s]:
                states[i + 1], path[i] = ends[j], j
                left -= ways[i + 1, ends[j]]
                if left < 0:
                    break
    return states[1:-1], path


UNIFORM, BIASED, COVERING = DESIGNS = ("uniform", "biased", "covering")


def draw_configurations(space, seed, design, repetitions, recorded):
    """Yield, endlessly, the configurations that follow those recorded, each `repetitions` times.

    design:   one of DESIGNS
    recorded: the configurations of the samples so far, in order
    Draw i comes from default_rng((seed, i)), so that the sequence depends on the seed only; a
    biased or covering draw depends on those before it, which are counted again from the file.
    """
    first = len(recorded) // repetitions
    earlier = recorded[: first * repetitions : repetitions]
    sampler = _sampler(space, seed, earlier, design)
    skip = len(recorded) % repetitions
    for draw in itertools.count(first):
        rng = np.random.default_rng((seed, draw))
        configuration = sampler.draw(rng) if sampler else space.draw_uniform(rng)
        yield from itertools.repeat(configuration, repetitions - skip)
        skip = 0


def _sampler(space, seed, earlier, design):
    if design == COVERING:
        return CoveringSampler(space, seed, earlier)
    return BiasedSampler(space, earlier) if design == BIASED else None
