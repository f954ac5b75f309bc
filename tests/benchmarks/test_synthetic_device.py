import itertools

import numpy as np

from benchmarks.oracles.synthetic_device import SyntheticDevice
from nas.latency_fit import count_matrix
from nas.search_space import SearchSpace

SPACE = SearchSpace(levels=4)


def test_timings_depend_on_the_seed_only():
    device = SyntheticDevice(SPACE)
    configurations = [SPACE.smallest, SPACE.largest]
    first = device.measure(configurations, np.random.default_rng(1))
    np.testing.assert_array_equal(first, device.measure(configurations, np.random.default_rng(1)))
    assert (first != device.measure(configurations, np.random.default_rng(2))).all()


def test_noise_is_one_per_cent():
    """Oracle: the standard deviation of 4,000 draws, known to about 1.1 % of itself."""
    device = SyntheticDevice(SPACE)
    timings = device.measure([SPACE.largest] * 4000, np.random.default_rng(0))
    assert abs(np.std(timings / device.true_ms([SPACE.largest])) - 0.01) < 0.0006


def test_arithmetic_is_a_staircase_of_tiles():
    """Oracle: without memory and launch cost, a layer takes tiles × tiles of multiplications."""
    device = SyntheticDevice(SPACE, tile=32, bytes_per_ms=np.inf, launch_ms=0)
    pointwise = SPACE.layer_types[-1]
    steps = [device.layer_ms(pointwise.with_channels(64, out)) for out in range(1, 129)]
    np.testing.assert_allclose(steps, [64 * 32 * -(-out // 32) / 2e9 for out in range(1, 129)])


def test_more_channels_never_make_a_layer_faster():
    for tile in (8, 16, 32, 64):
        device = SyntheticDevice(SPACE, tile)
        for layer_type in SPACE.layer_types:
            for small, large in itertools.pairwise(range(8, 200, 8)):
                assert device.layer_ms(layer_type.with_channels(small, 16)) <= device.layer_ms(
                    layer_type.with_channels(large, 16)
                )


def test_only_the_overlap_is_not_a_sum_over_layers():
    """Oracle: the rank argument; residuals of the best additive table, zero without overlap."""
    space = SearchSpace(levels=2)
    rng = np.random.default_rng(0)
    configurations = [space.draw_uniform(rng) for _ in range(500)]
    counts = count_matrix(space, configurations).toarray()
    for overlap, additive in ((0.0, True), (0.1, False)):
        total_ms = SyntheticDevice(space, overlap=overlap).true_ms(configurations)
        best = counts @ np.linalg.lstsq(counts, total_ms, rcond=None)[0]
        assert (np.abs(best - total_ms).max() < 1e-10) == additive
