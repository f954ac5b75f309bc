"""Small chains for the searches' tests, and the oracle of all of them: enumeration."""

import itertools

import numpy as np
from hypothesis import strategies as st


def enumerate_chain(unary, pairwise):
    """All states that have a score, (n, N), with their scores and sums of pairwise, (n,)."""
    states = np.array(
        list(itertools.product(*(np.flatnonzero(np.asarray(u) > -np.inf) for u in unary)))
    )
    scores = sum(np.asarray(u)[states[:, i]] for i, u in enumerate(unary))
    latencies = np.zeros(len(states))
    for i, block in enumerate(pairwise):
        latencies += np.asarray(block)[states[:, i], states[:, i + 1]]
    return states, scores, latencies


def random_pairwise(rng, sizes, kind):
    """Latencies: real numbers, or small whole ones, so that many sums are equal."""
    shapes = list(itertools.pairwise(sizes))
    if kind == "real":
        return [rng.random(shape) + 0.1 for shape in shapes]
    return [rng.integers(0, 4, shape).astype(float) for shape in shapes]


@st.composite
def chains(draw, resources=1):
    """(unary, list of pairwise): 1 to 5 nodes of 1 to 4 states, some without a score, with ties."""
    sizes = draw(st.lists(st.integers(1, 4), min_size=1, max_size=5))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    kind = draw(st.sampled_from(["real", "whole"]))
    unary = []
    for size in sizes:
        scores = rng.normal(size=size) if kind == "real" else rng.integers(-3, 4, size) / 1.0
        scores[rng.random(size) < draw(st.sampled_from([0, 0.3]))] = -np.inf
        scores[rng.integers(size)] = rng.integers(-2, 3)
        unary.append(scores)
    return unary, [random_pairwise(rng, sizes, kind) for _ in range(resources)]
