"""Oracles: chains whose gains and noise are written down, and enumeration."""

import numpy as np

from nas import ows
from nas.constraint import Constraint
from nas.exact.pareto import Front
from nas.noise import MARGIN, DrawnScores, fastest_as_good, noticeable
from tests.helpers.small_chains import enumerate_chain, random_pairwise

UNARY = [np.zeros(1), np.array([0.0, 0.4, 0.5])]
PAIRWISE = [np.array([[1.0, 2.0, 4.0]])]  # ms: what the second layer's widths cost


def answered(unary, pairwise, drawn, limit=np.inf, others=()):
    """The fastest answer that is as good as the best one, and the noise."""

    def solve(target_ms):
        return ows.search_all(unary, [Constraint(pairwise, target_ms), *others])

    least_ms = enumerate_chain(unary, pairwise)[2].min()
    return fastest_as_good(solve(limit), solve, least_ms, drawn)


def drawn_around(unary, deviations, rng, draws=400):
    rows = list(zip(unary, deviations, strict=True))
    return DrawnScores([[rng.normal(u, d) for u, d in rows] for _ in range(draws)])


def test_drawn_scores_are_sums_over_the_layers():
    """Oracle: sums by hand."""
    drawn = DrawnScores([[np.array([1.0, 2.0]), np.array([5.0, -np.inf])], [np.ones(2)] * 2])
    assert drawn.scores([(0, 0), (1, 1)]).tolist() == [[6.0, -np.inf], [2.0, 2.0]]
    assert drawn.noise((0, 0), (1, 0)) == 0.5


def test_the_fastest_of_those_that_noise_does_not_tell_apart_answers():
    """Oracle: gains of 0.1 and 0.5 to the best, and differences with noise of 0.8, then none."""
    rng = np.random.default_rng(0)
    answer, noise = answered(UNARY, PAIRWISE, drawn_around(UNARY, [0, [0, 0, 0.8]], rng))
    assert answer.states == (0, 1)
    assert abs(noise - 0.8) < 0.12
    answer, noise = answered(UNARY, PAIRWISE, drawn_around(UNARY, [0, 0], rng))
    assert (answer.states, noise) == ((0, 2), 0)


def test_widths_in_common_add_no_noise():
    """Oracle: a layer of great noise that all configurations have at one width."""
    drawn = drawn_around(UNARY, [9.0, 0.0], np.random.default_rng(1))
    assert answered(UNARY, PAIRWISE, drawn)[0].states == (0, 2)


def test_of_a_greater_chain_none_faster_is_as_good():
    """Oracle: enumeration; the last layer alone has noise."""
    rng = np.random.default_rng(3)
    unary = [np.sort(rng.random(size)) for size in (3, 4, 4)]
    pairwise = random_pairwise(rng, (3, 4, 4), "real")
    wide = np.arange(4) == 3  # the last layer's best; others differ from it by one noise

    drawn = DrawnScores([[*unary[:2], unary[2] + rng.normal(0, 1.2) * wide] for _ in range(300)])
    answer, noise = answered(unary, pairwise, drawn)
    states, scores, latencies = enumerate_chain(unary, pairwise)
    best = states[scores.argmax()]
    as_good = [
        latency
        for row, score, latency in zip(states, scores, latencies, strict=True)
        if scores.max() - score <= MARGIN * drawn.noise(best, row)
    ]
    assert scores.max() - answer.score <= MARGIN * noise
    assert answer.latency_ms <= min(as_good) + 0.02 * np.ptp(latencies)


def test_other_limits_are_kept():
    """Oracle: a second limit that the faster network exceeds."""
    other = Constraint([np.array([[9.0, 5.0, 5.0]])], 6.0, "size", "parameters")
    drawn = drawn_around(UNARY, [0.0, 9.0], np.random.default_rng(2))
    answer, _ = answered(UNARY, PAIRWISE, drawn, others=[other])
    assert answer.states == (0, 1)
    assert answered(UNARY, PAIRWISE, drawn)[0].states == (0, 0)


def test_gains_within_noise_leave_the_front():
    """Oracle: gains of 1e-7 under noise of 4e-3, then a gain of more than a quarter of it."""
    scores = [0.0, 0.3, 0.3 + 1e-7, 0.3 + 2e-7, 0.302, 0.3025]
    count = len(scores)
    states = np.array([[0, state] for state in range(count)])
    points = Front(states, np.array(scores), np.arange(1.0, count + 1), np.zeros(count), True)
    drawn = drawn_around([np.zeros(1), np.array(scores)], [0, 4e-3], np.random.default_rng(4))
    assert noticeable(points, drawn) == [0, 1, 4]
