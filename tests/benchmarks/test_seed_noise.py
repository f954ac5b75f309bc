"""Oracles: deviations by hand, and the table's predictions."""

import numpy as np
import pytest

from benchmarks.retraining.seed_noise import (
    EQUAL,
    SEEDS,
    SeedNoise,
    equal_configurations,
    noise_as_text,
)
from nas.latency_table import LatencyTable
from nas.search_space import SearchSpace
from utils.errors import UserError
from utils.metadata import Metadata

SPACE = SearchSpace(32, 10, min_width=0.1, max_width=0.5, levels=5)


def test_noise_is_pooled_over_configurations():
    """Oracle: seeds differ by 2 and by 0; each seed's configurations by 10 and by 8."""
    noise = SeedNoise.of([[0.0, 2.0], [10.0, 10.0]])
    assert noise.seeds == pytest.approx(1.0)
    assert noise.configurations == pytest.approx(np.sqrt((50 + 32) / 2))
    assert noise.ratio == pytest.approx(1 / np.sqrt(41))
    assert "6.4 between configurations: ratio 0.16" in str(noise)
    assert "ratio nan" in str(SeedNoise.of([[1.0, 1.0], [1.0, 1.0]]))


def test_means_of_seeds_are_less_noisy():
    """Oracle: simulated results of many configurations, averaged by fours."""
    rng = np.random.default_rng(1)
    results = rng.normal(size=(60, 1)) + 0.5 * rng.normal(size=(60, 8))
    means = results.reshape(-1, 2, 4).mean(axis=2)
    few = SeedNoise.of(results)
    assert few.ratio_of_means(4) == pytest.approx(SeedNoise.of(means).ratio, abs=0.05)
    assert few.ratio_of_means(1) == pytest.approx(few.ratio)
    low, high = few.interval
    assert low < 0.5 / np.sqrt(1.25) < high
    assert high - low < 0.4
    assert SeedNoise.of([[0.0, 9.0], [0.0, 9.0]]).ratio_of_means(4) == 1


@pytest.mark.parametrize("results", [[[1.0], [2.0]], [[1.0, 2.0]]])
def test_noise_needs_two_of_each(results):
    with pytest.raises(UserError, match="two seeds of two configurations"):
        SeedNoise.of(results)


def test_configurations_of_equal_latency_are_different_and_near_the_target(tmp_path):
    entries = {v: v.in_channels * v.out_channels / 1e6 + 1e-3 for v in SPACE.variables}
    LatencyTable(entries, Metadata.of({"search_space": SPACE.as_dict()})).save(
        tmp_path / "model.jsonl"
    )
    table = LatencyTable.load(tmp_path / "model.jsonl")
    target_ms = table.predict(SPACE.uniform_multipliers()[2])
    found = equal_configurations(table, SPACE, target_ms, np.random.default_rng(0))
    latencies = np.array([table.predict(configuration) for configuration in found])
    assert len(set(found)) == 12
    assert latencies.max() <= target_ms * (1 + 1e-9)
    assert latencies.min() >= (1 - EQUAL) * target_ms
    with pytest.raises(UserError, match="fewer than 12"):
        equal_configurations(
            table, SPACE, 1.01 * table.predict(SPACE.smallest), np.random.default_rng(0)
        )


def test_the_noise_is_told_of_networks_trained_by_all_seeds():
    """Oracle: SeedNoise of the two that are; jobs of other names."""
    results = {
        f"noise/{number}/{seed}": {"accuracy": number / 10 + seed / 100, "loss": 1.0 * number}
        for number in (0, 1)
        for seed in SEEDS
    }
    results |= {"noise/2/0": {"accuracy": 0.0, "loss": 0.0}, "table": {}}
    text = noise_as_text(results, 5)
    expected = SeedNoise.of([[0.0, 0.01], [0.1, 0.11]])
    of_means = f"a ratio of {expected.ratio_of_means(5):.2f} and 0.00."
    assert "over 2 random networks of equal predicted latency, trained by 2 seeds" in text
    assert f"accuracy {expected}; loss 0 between" in text
    assert of_means in text
    assert "was not measured" in noise_as_text({"table": {}}, 5)
