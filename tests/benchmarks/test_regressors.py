"""The regressors beside the table, on latencies that follow a known law."""

import numpy as np
import pytest

from benchmarks.regressors import (
    REGRESSORS,
    TABLE,
    error,
    macs,
    predictions,
    products,
    widths,
)
from nas.search_space import SearchSpace
from networks.mobilenet_v1 import network as mobilenet_v1

SPACE = SearchSpace(32, 10, levels=3)


def test_what_regressors_see_against_numbers_worked_by_hand():
    """MobileNet-v1's products: 3 × 8, thirteen times 8 × 8, 8 × 10; and its own count of MACs."""
    narrow = (8,) * 14
    assert widths(SPACE, [narrow]).tolist() == [[8.0] * 14]
    assert products(SPACE, [narrow]).tolist() == [[24.0, *[64.0] * 13, 80.0]]
    assert macs(SPACE, [narrow]).tolist() == [[mobilenet_v1(10).macs(narrow, 32)]]


def test_the_error_is_in_per_cent_of_the_mean():
    assert error([1.0, 3.0], [2.0, 2.0]) == pytest.approx(50)


def test_each_predicts_a_law_better_than_the_mean_does():
    """Oracle: a latency that is linear in the MACs, which the line must find exactly."""
    rng = np.random.default_rng(0)
    configurations = [SPACE.draw_uniform(rng) for _ in range(40)]
    latencies_ms = 0.1 + macs(SPACE, configurations)[:, 0] / 1e8
    samples = list(zip(configurations[:30], latencies_ms[:30], strict=True))
    predicted = predictions(SPACE, samples, configurations[30:])
    assert set(predicted) == {TABLE, *REGRESSORS}
    errors = {name: error(ms, latencies_ms[30:]) for name, ms in predicted.items()}
    assert errors["line in MACs"] < 1e-6
    mean = error(np.full(10, latencies_ms[:30].mean()), latencies_ms[30:])
    assert all(value < mean for value in errors.values()), errors
