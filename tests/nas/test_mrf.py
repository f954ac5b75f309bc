"""Oracle throughout: enumeration of every state sequence of a tiny chain."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nas import mrf


@st.composite
def chains(draw, values=None):
    sizes = draw(st.lists(st.integers(1, 4), min_size=1, max_size=5))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    pick = values or (lambda rng, shape: rng.normal(size=shape))
    unary = [pick(rng, size) for size in sizes]
    pairwise = [pick(rng, shape) for shape in itertools.pairwise(sizes)]
    return unary, pairwise


def integers(rng, shape):
    """Small integers: sums are exact and ties abound."""
    return rng.integers(-1, 2, size=shape).astype(float)


def forbidding(rng, shape):
    """Real numbers, of which a quarter forbid a state or a transition."""
    return np.where(rng.random(shape) < 0.25, -np.inf, rng.normal(size=shape))


def enumerate_scores(unary, pairwise):
    sequences = list(itertools.product(*(range(len(u)) for u in unary)))
    return sequences, np.array([mrf.score(unary, pairwise, s) for s in sequences])


def enumerate_marginals(unary, pairwise):
    sequences, scores = enumerate_scores(unary, pairwise)
    weights = np.exp(scores - scores.max())
    weights /= weights.sum()
    marginals = [np.zeros(len(u)) for u in unary]
    for sequence, weight in zip(sequences, weights, strict=True):
        for node, state in enumerate(sequence):
            marginals[node][state] += weight
    return marginals


def test_score_of_a_hand_written_chain():
    unary = [[1.0, 2.0], [10.0, 20.0, 30.0]]
    pairwise = [[[100.0, 200.0, 300.0], [400.0, 500.0, 600.0]]]
    assert mrf.score(np.array(unary, dtype=object), np.array(pairwise), [1, 2]) == 632.0


@given(chains())
@settings(max_examples=60)
def test_max_sum_finds_the_enumerated_best(chain):
    sequences, scores = enumerate_scores(*chain)
    best, states = mrf.max_sum(*chain)
    assert best == pytest.approx(scores.max())
    assert tuple(states) == sequences[scores.argmax()]


@given(chains(integers))
@settings(max_examples=60)
def test_max_sum_gives_ties_to_the_lowest_states_in_order(chain):
    sequences, scores = enumerate_scores(*chain)  # in lexicographic order: argmax is the lowest
    best, states = mrf.max_sum(*chain)
    assert best == scores.max()
    assert tuple(states) == sequences[scores.argmax()]


@given(chains(), st.sampled_from([1.0, 0.05, 5e-4]))
@settings(max_examples=60)
def test_sum_product_equals_the_enumerated_marginals(chain, temperature):
    unary, pairwise = ([potential / temperature for potential in part] for part in chain)
    marginals = mrf.sum_product(unary, pairwise)
    for found, expected in zip(marginals, enumerate_marginals(unary, pairwise), strict=True):
        assert np.isfinite(found).all()
        assert found.sum() == pytest.approx(1)
        np.testing.assert_allclose(found, expected, atol=1e-9)


@given(chains(forbidding))
@settings(max_examples=60)
def test_nothing_forbidden_is_found_or_drawn(chain):
    sequences, scores = enumerate_scores(*chain)
    best, states = mrf.max_sum(*chain)
    rng = np.random.default_rng(0)
    if scores.max() == -np.inf:
        assert best == -np.inf
        with pytest.raises(ValueError, match="forbidden"):
            mrf.sample(*chain, rng, 1)
        return
    assert best == pytest.approx(scores.max())
    assert tuple(states) == sequences[scores.argmax()]
    for found, expected in zip(mrf.sum_product(*chain), enumerate_marginals(*chain), strict=True):
        np.testing.assert_allclose(found, expected, atol=1e-9)
    drawn = {tuple(row) for row in mrf.sample(*chain, rng, 50).tolist()}
    assert drawn <= {s for s, score in zip(sequences, scores, strict=True) if score > -np.inf}


def test_marginals_converge_to_max_sum_as_the_temperature_falls():
    rng = np.random.default_rng(0)
    unary = [rng.normal(size=14) for _ in range(14)]
    pairwise = [rng.normal(size=(14, 14)) for _ in range(13)]
    _, states = mrf.max_sum(unary, pairwise)
    cold = mrf.sum_product([u / 5e-4 for u in unary], [p / 5e-4 for p in pairwise])
    assert [int(marginal.argmax()) for marginal in cold] == states
    assert min(marginal.max() for marginal in cold) > 0.999


def test_forbidden_states_are_never_chosen_and_have_no_probability():
    unary = [np.array([-np.inf, 0.0]), np.array([5.0, -np.inf, 1.0])]
    pairwise = [np.array([[9.0, 9.0, 9.0], [-np.inf, 9.0, 0.0]])]
    assert mrf.max_sum(unary, pairwise) == (1.0, [1, 2])
    first, second = mrf.sum_product(unary, pairwise)
    np.testing.assert_array_equal(first, [0, 1])
    np.testing.assert_array_equal(second, [0, 0, 1])
    assert (mrf.sample(unary, pairwise, np.random.default_rng(0), 50) == [1, 2]).all()


def test_when_everything_is_forbidden():
    unary = [np.array([-np.inf]), np.array([0.0])]
    pairwise = [np.zeros((1, 1))]
    assert mrf.max_sum(unary, pairwise)[0] == -np.inf
    with pytest.raises(ValueError, match="forbidden"):
        mrf.sum_product(unary, pairwise)
    with pytest.raises(ValueError, match="forbidden"):
        mrf.sample(unary, pairwise, np.random.default_rng(0), 1)


def test_joint_samples_have_the_enumerated_joint_distribution():
    rng = np.random.default_rng(1)
    unary = [rng.normal(size=2) for _ in range(3)]
    pairwise = [rng.normal(size=(2, 2)) for _ in range(2)]
    sequences, scores = enumerate_scores(unary, pairwise)
    expected = np.exp(scores) / np.exp(scores).sum()
    draws = mrf.sample(unary, pairwise, rng, 20_000)
    found = [np.mean((draws == sequence).all(axis=1)) for sequence in sequences]
    # Five standard deviations of a binomial share.
    assert (np.abs(found - expected) < 5 * np.sqrt(expected * (1 - expected) / 20_000)).all()


@pytest.mark.parametrize(
    ("unary", "pairwise", "message"),
    [
        ([], [], "no nodes"),
        ([np.zeros(2), np.zeros(2)], [], "need 1 pairwise"),
        ([np.zeros(2), np.zeros(3)], [np.zeros((3, 2))], "pairwise potential of node 0"),
        ([np.zeros(2), np.array([0, np.nan])], [np.zeros((2, 2))], "node 1 holds NaN"),
        ([np.zeros(1), np.zeros(1)], [np.array([[np.nan]])], "node 0 holds NaN"),
        ([np.zeros(0)], [], "node 0 has no states"),
    ],
)
def test_bad_potentials_are_named(unary, pairwise, message):
    with pytest.raises(ValueError, match=message):
        mrf.max_sum(unary, pairwise)
