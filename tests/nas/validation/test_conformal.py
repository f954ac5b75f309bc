import numpy as np
import pytest

from nas.latency_table import LatencyTable
from nas.validation.conformal import ErrorScale, Interval, Residuals, calibrate
from utils.errors import UserError
from utils.metadata import Metadata


def test_half_width_by_hand():
    """Nine networks: the ceil(10 · 0.9) = 9th smallest relative error; eight are too few."""
    predicted_ms = np.full(9, 10.0)
    measured_ms = 10 + np.array([0.1, -0.2, 0.3, -0.4, 0.5, -0.6, 0.7, -0.8, 0.9])
    interval = calibrate(predicted_ms, measured_ms)
    assert interval.half_width == pytest.approx(0.09)
    assert (interval.level, interval.residuals) == (0.9, 9)
    assert calibrate(predicted_ms[:8], measured_ms[:8]) is None
    assert calibrate(predicted_ms, measured_ms, level=0.5).half_width == pytest.approx(0.05)


def test_nine_of_ten_new_networks_are_inside():
    """Oracle: the guarantee itself, averaged over 400 calibrations, for skewed errors."""
    rng = np.random.default_rng(0)
    shares = []
    for _ in range(400):
        predicted_ms = rng.uniform(1, 10, 160)
        measured_ms = predicted_ms * (1 + 0.05 * rng.standard_exponential(160))
        interval = calibrate(predicted_ms[:60], measured_ms[:60])
        shares.append(interval.coverage(predicted_ms[60:], measured_ms[60:]))
    assert 0.895 < np.mean(shares) < 0.92


def test_the_interval_of_a_table_comes_back_from_its_file(tmp_path, capsys):
    interval = Interval(level=0.9, half_width=0.05, residuals=100)
    table = LatencyTable({}, Metadata().stating_of_fit(interval=interval.as_dict()))
    assert Interval.of(table) == interval
    np.testing.assert_allclose(interval.bounds([2.0, 4.0]), [[1.9, 3.8], [2.1, 4.2]])
    assert Interval.of(LatencyTable({})) is None
    assert Interval.of(LatencyTable({}, Metadata().stating_of_fit(interval=None))) is None
    with pytest.raises(UserError, match=r"fit\.interval: object missing required field"):
        Metadata().stating_of_fit(interval={"level": 0.9})
    scaled = Interval(0.9, 0.05, 100, ErrorScale((1.0, 2.0, 4.0), (1.5, 1.0, 0.5)))
    table = LatencyTable({}, Metadata().stating_of_fit(interval=scaled.as_dict()))
    assert Interval.of(table) == scaled
    for wrong in (
        {"sizes": [1.0, 2.0]},
        {"sizes": [1.0, 2.0, "x"]},
        {"sizes": [1.0, 2.0, 0.0]},
        {"latencies_ms": [2.0, 1.0, 4.0]},
        {"latencies_ms": 3},
    ):
        with pytest.raises(UserError, match=r"fit\.interval"):
            Metadata().stating_of_fit(interval=scaled.as_dict() | wrong)


def test_a_scale_is_interpolated_between_latencies_and_constant_beyond():
    """Oracle: by hand; sqrt 2 lies half-way from 1 to 2, sqrt 3 from 3 to 1."""
    scale = ErrorScale((1.0, 2.0, 4.0), (3.0, 1.0, 0.5))
    np.testing.assert_allclose(scale.at([0.1, 1, 2**0.5, 2, 99]), [3, 3, 3**0.5, 1, 0.5])
    np.testing.assert_allclose(ErrorScale().at([1, 5]), [1, 1])
    interval = Interval(0.9, 0.1, 100, scale)
    np.testing.assert_allclose(interval.bounds([1.0, 4.0]), [[0.7, 3.8], [1.3, 4.2]])


def test_the_scale_of_errors_by_hand():
    """Thirds of the range 1 to 64 ms with 20, 10 and 5 networks, errors of 1, 2 and 8 %.

    Their mean is 80 / 35 %; each third is joined with five networks of that error.
    """
    predicted_ms = np.concatenate([np.geomspace(1, 3.9, 20), np.geomspace(4.1, 15.9, 10), [64] * 5])
    errors = np.repeat([0.01, -0.02, 0.08], [20, 10, 5])
    scale = ErrorScale.of(predicted_ms, errors)
    assert scale.latencies_ms == pytest.approx((2, 8, 32))
    mean = 80 / 35
    expected = [(20 * 1 / mean + 5) / 25, (10 * 2 / mean + 5) / 15, (5 * 8 / mean + 5) / 10]
    assert scale.sizes == pytest.approx(expected)
    assert ErrorScale.of(predicted_ms[:29], errors[:29]) == ErrorScale()
    assert ErrorScale.of(np.ones(35), errors) == ErrorScale()
    assert ErrorScale.of(predicted_ms, np.zeros(35)) == ErrorScale()


def test_nine_of_ten_are_inside_in_each_third_where_errors_differ_with_latency():
    """Oracle: the guarantee, averaged over 100 calibrations on 100 networks."""
    rng = np.random.default_rng(0)
    shares, plain = [], []
    for _ in range(100):
        predicted_ms = np.exp(rng.uniform(0, 3, 400))
        measured_ms = predicted_ms * (1 + 0.1 / predicted_ms**0.5 * rng.standard_normal(400))
        interval = calibrate(predicted_ms[:100], measured_ms[:100])
        constant = Interval(0.9, interval.half_width, 100)
        thirds = np.array_split(100 + np.argsort(predicted_ms[100:]), 3)
        for found, each in ((shares, interval), (plain, constant)):
            found.append([each.coverage(predicted_ms[t], measured_ms[t]) for t in thirds])
    assert ((np.mean(shares, axis=0) > 0.86) & (np.mean(shares, axis=0) < 0.94)).all()
    assert np.ptp(np.mean(plain, axis=0)) > 0.15


def test_the_margin_by_hand():
    """Nine errors of 1 to 9 %: the ceil(10 · 0.9) = 9th smallest; 0.91 would need a tenth."""
    residuals = Residuals(np.arange(9, 0, -1) / 100)
    assert residuals.margin(0.9) == pytest.approx(0.09)
    assert residuals.margin(0.5) == pytest.approx(0.05)
    with pytest.raises(UserError, match=r"0\.91 needs at least 11 measured networks.* has 9"):
        residuals.margin(0.91)
    with pytest.raises(UserError, match=r"0\.9 needs at least 9 measured networks.* has 8"):
        Residuals(np.zeros(8)).margin(0.9)


def test_rounding_raises_no_rank():
    """Oracle: 100 · 0.55 is 55, though not in floating point."""
    assert Residuals(np.arange(99) / 1e3).margin(0.55) == pytest.approx(0.054)


def test_new_networks_are_no_slower_than_the_margin_allows_as_often_as_asked():
    """Oracle: the guarantee itself, averaged over 400 calibrations, for errors with a bias."""
    rng = np.random.default_rng(0)
    for confidence in (0.5, 0.9):
        shares = []
        for _ in range(400):
            errors = 0.05 * rng.standard_exponential(160) - 0.02
            margin = Residuals(errors[:60]).margin(confidence)
            shares.append(np.mean(errors[60:] <= margin))
        assert confidence - 0.005 < np.mean(shares) < confidence + 0.02


def test_the_residuals_of_a_table_come_back_from_its_metadata():
    residuals = Residuals(np.array([0.0123, -0.004]))
    table = LatencyTable({}, Metadata.of({"fit": residuals.as_dict()}), "t.jsonl")
    np.testing.assert_allclose(Residuals.of(table).values, [-0.004, 0.0123])
    for metadata in (
        {},
        {"fit": {"residuals_per_mille": "1 x"}},
        {"fit": {"residuals_per_mille": "1 nan"}},
    ):
        with pytest.raises(UserError, match=r"t\.jsonl does not state its errors: fit it anew"):
            Residuals.of(LatencyTable({}, Metadata.of(metadata), "t.jsonl"))


def test_the_margin_at_a_target_is_that_of_the_network_whose_bound_it_is():
    """Oracle: prediction · (1 + margin) = target, where the margin is quantile · scale."""
    rng = np.random.default_rng(0)
    predicted_ms = np.exp(rng.uniform(0, 3, 100))
    for shift in (0.0, -0.5):  # the second with margins below 0
        values = (0.1 * rng.standard_normal(100) + shift) / predicted_ms**0.5
        residuals = Residuals(values, predicted_ms)
        scale, mean = ErrorScale.of(predicted_ms, values), residuals.margin(0.8)
        assert (mean < 0) == (shift < 0)
        for target_ms in (0.2, 1.5, 5.0, 12.0, 500.0):
            margin = residuals.margin(0.8, target_ms)
            at_ms = target_ms / (1 + margin)
            assert margin == pytest.approx(mean * float(scale.at(at_ms)))
    known = Residuals.of(LatencyTable({}, Metadata.of({"fit": residuals.as_dict()})))
    assert known.margin(0.8, 5.0) == pytest.approx(residuals.margin(0.8, 5.0), abs=2e-3)
    assert Residuals(values).margin(0.8, 5.0) == Residuals(values).margin(0.8)
