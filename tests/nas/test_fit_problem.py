import numpy as np

from models.mobilenet_v1 import Variable
from nas.fit_problem import linear_law
from nas.latency_fit import ordered_pairs
from nas.search_space import SearchSpace


def test_law_by_hand():
    """Two layer types; each column is a term of one type, divided by its greatest entry."""

    def block(size, inputs, outputs):
        return Variable((size, size), 3, 1, True, False, inputs, outputs)

    law = linear_law([block(8, 10, 20), block(4, 5, 7), block(8, 20, 16)]).toarray()
    np.testing.assert_allclose(
        law,
        [
            [1, 0.5, 1, 200 / 320, 0, 0, 0, 0],
            [0, 0, 0, 0, 1, 1, 1, 1],
            [1, 1, 0.8, 1, 0, 0, 0, 0],
        ],
    )


def test_default_space_has_four_coefficients_for_each_of_eleven_types():
    law = linear_law(SearchSpace().variables)
    assert law.shape == (1612, 44)
    assert (law.getnnz(axis=1) == 4).all()
    np.testing.assert_allclose(law.max(axis=0).toarray().ravel(), 1)


def test_a_law_of_non_negative_coefficients_never_falls_with_channels():
    """Oracle: the ordered pairs of equal layer types, for random coefficients."""
    variables = SearchSpace(levels=5).variables
    rng = np.random.default_rng(0)
    values = linear_law(variables) @ rng.random(44)
    for small, large in ordered_pairs(variables):
        if variables[small].in_size == variables[large].in_size:
            assert values[small] <= values[large]
