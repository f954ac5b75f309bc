"""Oracle: loops over the ragged arrays."""

import itertools

import numpy as np
import pytest

from nas.transitions import check, pack, pad


def random_costs(rng, sizes):
    """Costs of which about half are infinite, so that some states are followed by none."""
    shapes = itertools.pairwise(sizes)
    return [np.where(rng.random(shape) < 0.5, np.inf, rng.random(shape)) for shape in shapes]


def test_transitions_are_those_that_no_cost_forbids_with_their_costs_in_order():
    rng = np.random.default_rng(0)
    sizes = [3, 1, 4, 14, 2]
    unary = [rng.normal(size=size) for size in sizes]
    costs = [random_costs(rng, sizes) for _ in range(2)]
    padded, transitions, values = pack(unary, costs, np.inf)
    wanted = []
    for node, (first, second) in enumerate(zip(*costs, strict=True)):
        for state, ends in np.ndindex(first.shape):
            if np.isfinite([first[state, ends], second[state, ends]]).all():
                wanted.append((node, state, ends, first[state, ends], second[state, ends]))
    found = []
    for node, row in enumerate(transitions.starts):
        for state in range(sizes[node]):
            for number in range(row[state], row[state + 1]):
                found.append((node, state, transitions.ends[number], *values[:, number]))
    assert found == wanted
    assert len(wanted) == len(transitions.ends) == values.shape[1]
    assert transitions.sizes.tolist() == sizes
    for row, potential in zip(padded, unary, strict=True):
        np.testing.assert_array_equal(row[: len(potential)], potential)
        assert (row[len(potential) :] == 0).all()


def test_one_node_has_no_transitions():
    padded, transitions, values = pack([np.array([1.0, 2.0])], [[], []])
    np.testing.assert_array_equal(padded, pad([[1, 2]]))
    assert transitions.starts.shape == (0, 3)
    assert values.shape == (2, 0)


def test_costs_are_at_least_0_and_potentials_need_not_be():
    below = [np.array([[-1.0, 0.0]])]
    check([[0.0], [1.0, 2.0]], below)
    with pytest.raises(ValueError, match="at least 0"):
        check([[0.0], [1.0, 2.0]], below, np.inf)
