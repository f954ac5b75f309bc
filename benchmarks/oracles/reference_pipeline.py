"""Plain twin of the paper's released pipeline: its sampling, and its pairs of ordered variables.

This is a reconstruction from what is known of it, not anybody's code: ties in the biased sampling
go to the first width, and the pairs are grouped wrongly, so that 156 of them order unrelated
layers. Leaving in_channels out of every grouping key gives exactly 156 such pairs.
"""

import itertools
from collections import defaultdict
from dataclasses import asdict

import numpy as np

from nas.fit_problem import FitProblem
from nas.latency_fit import count_matrix, ordered_pairs


def deterministic_biased(space, count):
    """Return `count` configurations, each with as many least-seen variables as possible.

    Max-sum as in nas.sampling.BiasedSampler, but ties go to the first width.
    """
    counts = np.zeros(len(space.variables), dtype=np.int64)
    configurations = []
    for _ in range(count):
        least = counts.min()
        best, choices = np.zeros(1), []
        for block in reversed(space.blocks):
            values = (counts[block] == least) + best
            choices.append(values.argmax(axis=1))
            best = values.max(axis=1)
        states = [0]
        for choice in reversed(choices):
            states.append(choice[states[-1]])
        configurations.append(space.configuration(states[1:-1]))
        counts[space.path(configurations[-1])] += 1
    return configurations


def released_pairs(variables):
    """Return the pairs (small, large) of the wrong grouping, int64 indices (pairs, 2)."""
    described = [asdict(variable) for variable in variables]
    pairs = []
    for along in ("in_channels", "out_channels", "in_size"):
        groups = defaultdict(list)
        for index, fields in enumerate(described):
            key = tuple(v for name, v in fields.items() if name not in {along, "in_channels"})
            groups[key].append((fields[along], index))
        for group in groups.values():
            for (before, small), (after, large) in itertools.pairwise(sorted(group)):
                if before < after:
                    pairs.append((small, large))
    return np.array(pairs)


def unrelated(pairs, variables):
    """Return how many pairs order variables that differ in more than one field."""
    described = [asdict(variable) for variable in variables]
    return sum(
        sum(described[i][name] != described[j][name] for name in described[i]) > 1 for i, j in pairs
    )


def fit_eq7(space, configurations, latencies_ms, pairs="correct", regularize=100.0):
    """Return the values in ms of Eq. (7) with K = 100, with the "correct" or "released" pairs."""
    of_variables = ordered_pairs if pairs == "correct" else released_pairs
    counts = count_matrix(space, configurations)
    problem = FitProblem(counts, latencies_ms, of_variables(space.variables))
    return problem.solve(regularize).values_ms
