import numpy as np

from benchmarks.oracles.synthetic_device import SyntheticDevice
from nas.latency_fit import count_matrix, fit, ordered_pairs
from nas.prior import Prior, layer_law, shared_law, usual_sizes
from nas.sampling import draw_configurations
from nas.search_space import SearchSpace
from nas.validation.prediction_errors import relative_rms
from nas.variables import Variable


def test_law_by_hand():
    """Two layer types; channels are relative to the greatest of their type."""

    def block(size, inputs, outputs):
        return Variable((size, size), 3, 1, True, False, inputs, outputs)

    law = layer_law([block(8, 10, 20), block(4, 5, 7), block(8, 20, 16)], 6).toarray()
    np.testing.assert_allclose(
        law,
        [
            [1, 0.5, 1, 0.625, 0.525 / 0.9, 0.325 / 0.7, *[0] * 6],
            [*[0] * 6, 1, 1, 1, 1, 1, 1],
            [1, 1, 0.8, 1, 1, 1, *[0] * 6],
        ],
    )


def test_shared_law_by_hand():
    """A first convolution, a depthwise block of stride 2 and a classifier, in units of the most."""
    law = shared_law(
        [
            Variable((9, 9), 3, 2, False, False, 3, 8),  # 5×5 pixels
            Variable((5, 5), 3, 2, True, False, 8, 24),  # 3×3 pixels
            Variable((1, 1), 1, 1, False, True, 24, 10),
        ]
    ).toarray()
    counts = [
        [1, 1, 1],
        [243, 200, 24],  # values read
        [200, 216, 10],  # values written
        [216, 192, 240],  # weights
        [0, 648, 0],  # operations of the depthwise convolution
        [5400, 1728, 240],  # of the other one
        [3 * 16 * 225, 16 * 32 * 9, 32 * 16],  # in tiles of 16: the image is not rounded up
        [3 * 32 * 225, 32 * 32 * 9, 32 * 32],
        [3 * 64 * 225, 64 * 64 * 9, 64 * 64],
    ]
    np.testing.assert_allclose(law, np.transpose([np.divide(c, max(c)) for c in counts]))


def test_a_network_without_depthwise_layers_has_no_such_column():
    law = shared_law([Variable((8, 8), 3, 1, False, False, width, 16) for width in (8, 16)])
    assert law.shape == (2, 8)


def test_usual_sizes_are_the_entries_of_a_device_that_obeys_the_shared_law():
    """Oracle: random coefficients; latencies in any unit."""
    space, rng = SearchSpace(levels=3), np.random.default_rng(0)
    shared = shared_law(space.variables)
    entries = shared @ rng.uniform(1, 2, shared.shape[1])
    counts = count_matrix(space, [space.draw_uniform(rng) for _ in range(60)])
    sizes = usual_sizes(counts, 7 * (counts @ entries), shared)
    np.testing.assert_allclose(sizes, entries / entries.mean() + 0.03)


def test_costs_that_layers_share_are_learned_from_few_networks():
    """Oracles: the noise-free latencies of a device with tiles; the law of each type by itself."""
    space = SearchSpace(levels=7)
    device = SyntheticDevice(space, tile=64)
    draws = draw_configurations(space, 0, "covering", 1, [])
    configurations = [next(draws) for _ in range(60)]
    latencies_ms = device.measure(configurations, np.random.default_rng(0))
    samples = list(zip(configurations, latencies_ms, strict=True))
    rng = np.random.default_rng(1)
    others = [space.draw_uniform(rng) for _ in range(50)] + space.uniform_multipliers()
    truth_ms = device.true_ms(others)
    errors = [
        relative_rms(count_matrix(space, others) @ table.values(space), truth_ms)
        for table in (fit(samples, space, 100, 1, prior=name) for name in ("shared", "linear"))
    ]
    assert errors[0] < 0.6 * errors[1]


def test_the_linear_law_has_the_first_terms_and_shares_nothing():
    variables = SearchSpace(levels=3).variables
    linear, shared = (Prior.of(name, variables) for name in ("linear", "shared"))
    assert (linear.relative, shared.relative) == (False, True)
    columns = np.arange(shared.own.shape[1]) % 6 < 4
    np.testing.assert_array_equal(linear.own.toarray(), shared.own.toarray()[:, columns])


def test_default_space_has_six_coefficients_for_each_of_eleven_types():
    law = layer_law(SearchSpace().variables, 6)
    assert law.shape == (1612, 66)
    assert (law.getnnz(axis=1) == 6).all()
    np.testing.assert_allclose(law.max(axis=0).toarray().ravel(), 1)


def test_each_column_has_1_as_its_greatest_entry_where_no_entry_is_widest_on_both_sides():
    """ResNet-50: convolutions 64→256 and 256→64 are of one type, which has none of 256→256."""
    law = layer_law(SearchSpace(network="resnet50", levels=4).variables, 6)
    np.testing.assert_allclose(law.max(axis=0).toarray().ravel(), 1)


def test_a_law_of_non_negative_coefficients_never_falls_with_channels():
    """Oracle: the ordered pairs of equal layer types, for random coefficients."""
    variables = SearchSpace(levels=5).variables
    rng = np.random.default_rng(0)
    prior = Prior.of("shared", variables)
    values = prior.own @ rng.random(66) + prior.shared @ rng.random(9)
    for small, large in ordered_pairs(variables):
        if variables[small].in_size == variables[large].in_size:
            assert values[small] <= values[large]
