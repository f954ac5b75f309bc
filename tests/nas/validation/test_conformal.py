import numpy as np
import pytest

from nas.latency_table import LatencyTable
from nas.validation.conformal import Interval, Residuals, calibrate
from utils.errors import UserError


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
    table = LatencyTable({}, {"fit": {"interval": interval.as_dict()}})
    assert Interval.of(table) == interval
    np.testing.assert_allclose(interval.bounds([2.0, 4.0]), [[1.9, 3.8], [2.1, 4.2]])
    assert Interval.of(LatencyTable({}, {})) is None
    assert Interval.of(LatencyTable({}, {"fit": {"interval": None}})) is None
    with pytest.raises(UserError, match="no valid interval"):
        Interval.of(LatencyTable({}, {"fit": {"interval": {"level": 0.9}}}))


def test_the_margin_by_hand():
    """Nine errors of 1 to 9 %: the ceil(10 · 0.9) = 9th smallest; 0.91 would need a tenth."""
    residuals = Residuals(np.arange(9, 0, -1) / 100)
    assert residuals.margin(0.9) == pytest.approx(0.09)
    assert residuals.margin(0.5) == pytest.approx(0.05)
    with pytest.raises(UserError, match=r"0\.91 needs at least 11 measured networks.* has 9"):
        residuals.margin(0.91)


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
    table = LatencyTable({}, {"fit": {"residuals_per_mille": residuals.as_text()}}, "t.jsonl")
    np.testing.assert_allclose(Residuals.of(table).values, [-0.004, 0.0123])
    for metadata in (
        {},
        {"fit": {"residuals_per_mille": "1 x"}},
        {"fit": {"residuals_per_mille": "1 nan"}},
    ):
        with pytest.raises(UserError, match=r"t\.jsonl does not state its errors: fit it anew"):
            Residuals.of(LatencyTable({}, metadata, "t.jsonl"))
