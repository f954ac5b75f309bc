import numpy as np
import pytest

from benchmarks.oracles.synthetic_device import SyntheticDevice
from nas.latency_fit import count_matrix, fit
from nas.latency_table import LatencyTable
from nas.search_space import SearchSpace
from nas.validation.conformal import Interval
from nas.validation.validated_fit import fit_validated, number_of_fits
from utils.errors import UserError
from utils.metadata import Metadata

SPACE = SearchSpace(levels=3)
DEVICE = SyntheticDevice(SPACE)


def samples_of(count, seed):
    rng = np.random.default_rng(seed)
    configurations = [SPACE.draw_uniform(rng) for _ in range(count)]
    return list(zip(configurations, DEVICE.measure(configurations, rng).tolist(), strict=True))


@pytest.fixture(scope="module")
def samples():
    return samples_of(120, seed=1)


@pytest.fixture(scope="module")
def table(samples):
    ticks = []
    table = fit_validated(
        samples, SPACE, np.random.default_rng(0), metadata=Metadata.of({"device": "synthetic"}),
        tick=lambda: ticks.append(1),
    )  # fmt: skip
    assert 0 < len(ticks) <= number_of_fits("auto", "auto")
    return table


def test_the_table_is_the_fit_of_the_chosen_weights(table, samples):
    """Oracle: `fit` with the K and R that the metadata states, on all samples."""
    report = table.metadata.fit
    best = min(report.cross_validation.trials, key=lambda trial: trial.nrmse)
    assert (report.regularize, report.strength) == (best.regularize, best.strength)
    assert report.prior == "shared"
    plain = fit(samples, SPACE, best.regularize, best.strength)
    np.testing.assert_array_equal(table.values(SPACE), plain.values(SPACE))
    assert table.metadata.device == "synthetic"


def test_the_interval_covers_nine_of_ten_new_networks(table):
    """Oracle: 400 networks timed anew; the share is known to ± 0.015, the calibration to 0.03."""
    fresh = samples_of(400, seed=2)
    predicted_ms = [table.predict(configuration) for configuration, _ in fresh]
    measured_ms = np.array([latency_ms for _, latency_ms in fresh])
    assert 0.82 < Interval.of(table).coverage(predicted_ms, measured_ms) < 0.97


def test_networks_timed_repeatedly_count_once(samples):
    """Oracle: each network timed once: as many residuals, and about as large a standard error."""
    rng = np.random.default_rng(0)
    once = fit_validated(samples, SPACE, rng, 100.0, 10.0).metadata.fit
    again = fit_validated(samples * 4, SPACE, np.random.default_rng(0), 100.0, 10.0).metadata.fit
    assert again.interval.residuals == once.interval.residuals == len(samples)
    assert len(again.residuals) == len(samples)
    errors = [each.cross_validation.standard_error for each in (again, once)]
    assert errors[0] == pytest.approx(errors[1], rel=0.3)


def test_the_interval_is_that_of_one_timing_although_each_network_was_timed_often(samples):
    """Oracle: new networks timed once, with noise of 10 %; means of 6 timings have that of 4 %."""
    rng = np.random.default_rng(0)

    def noisy(samples):
        return [(widths, ms * np.exp(rng.normal(0, 0.1))) for widths, ms in samples]

    table = fit_validated(noisy(samples * 6), SPACE, rng, 100.0, 10.0)
    fresh = noisy(samples_of(400, seed=2))
    predicted_ms = [table.predict(configuration) for configuration, _ in fresh]
    measured_ms = np.array([latency_ms for _, latency_ms in fresh])
    assert 0.82 < Interval.of(table).coverage(predicted_ms, measured_ms) < 0.97


def test_the_learning_curve_falls_and_the_coverage_counts(table, samples):
    curve = table.metadata.fit.learning_curve
    assert [point.samples for point in curve] == [12, 24, 48, 96]
    assert curve[0].nrmse > curve[-1].nrmse
    seen = table.metadata.fit.times_seen.tolist()
    counts = count_matrix(SPACE, [configuration for configuration, _ in samples])
    np.testing.assert_array_equal(seen, np.ravel(counts.sum(axis=0)))


def test_everything_stated_survives_the_file_and_the_model_lines_stay_the_references(
    table, tmp_path
):
    table.save(tmp_path / "model.jsonl")
    loaded = LatencyTable.load(tmp_path / "model.jsonl")
    assert loaded.entries == table.entries
    assert Interval.of(loaded) == Interval.of(table)
    assert loaded.metadata.fit.cross_validation.flat_strength


def test_a_plain_fit_stays_eq_7_and_gets_its_interval(samples, capsys):
    table = fit_validated(samples, SPACE, np.random.default_rng(0), regularize=100, strength=0)
    assert table.metadata.fit.prior == "none"
    np.testing.assert_array_equal(table.values(SPACE), fit(samples, SPACE, 100).values(SPACE))
    assert Interval.of(table).residuals == 120


def test_the_same_seed_gives_the_same_table_and_interval(samples):
    once, again = (
        fit_validated(samples, SPACE, np.random.default_rng(3), regularize=10, strength=3)
        for _ in range(2)
    )
    assert Interval.of(once) == Interval.of(again)
    assert once.entries == again.entries


def test_too_few_samples_have_no_interval_and_no_choice(capsys):
    few = samples_of(4, seed=5)
    table = fit_validated(few, SPACE, np.random.default_rng(0), regularize=1, strength=1)
    assert Interval.of(table) is None
    assert "too few for a 90% interval, 10 are needed" in capsys.readouterr().err
    with pytest.raises(UserError, match="too few for 5 folds"):
        fit_validated(few, SPACE, np.random.default_rng(0))
