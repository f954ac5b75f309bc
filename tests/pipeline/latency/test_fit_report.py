import numpy as np

from nas.latency_table import LatencyTable
from nas.search_space import SearchSpace
from nas.validation.conformal import ErrorScale, Interval, Residuals
from pipeline.latency.fit_report import (
    cross_validated_thirds,
    device_name,
    errors_as_text,
    fit_as_text,
    kinds_of,
    validation_as_text,
)
from utils.metadata import Metadata

TRIAL = {"regularize": 100.0, "strength": 1, "nrmse": 0.03, "standard_error": 0.002}


def test_validation_states_errors_coverage_and_the_five_worst():
    """Eight networks by hand: one is 2 ms off, the others 0.1 to 0.7."""
    measured_ms = np.full(8, 10.0)
    predicted_ms = measured_ms + np.array([0.1, 0.2, -0.3, 0.4, 0.5, -2.0, 0.6, 0.7])
    configurations = [(8 * i, 16) for i in range(8)]
    interval = Interval(level=0.9, half_width=0.055, residuals=100)
    lines = validation_as_text(configurations, predicted_ms, measured_ms, interval).splitlines()
    assert lines[0] == "8 networks, mean latency 10 ms per image"
    assert "largest error 2 ms" in lines[1]
    assert f"NRMSE {10 * np.sqrt(np.mean((predicted_ms - 10) ** 2)):.2f} %" in lines[1]
    # 10.6 · (1 − 0.055) = 10.017 and 10.7 · … are above 10, 8 · (1 + 0.055) is below.
    assert lines[2] == "inside the 90 % interval (prediction ± 5.5 %): 62.5 % of the networks"
    worst = [line.split(": ")[1] for line in lines[4:]]
    assert worst == ["(40, 16)", "(56, 16)", "(48, 16)", "(32, 16)", "(24, 16)"]
    assert lines[4].startswith("  8 predicted, 10 measured (-20.0 %)")
    assert "states no interval" in validation_as_text(
        configurations, predicted_ms, measured_ms, None
    )


def test_a_fit_states_the_solver_the_choice_and_how_flat_it_is():
    report = {
        "prior": "linear", "regularize": 100.0, "strength": 316.22776601683796, "samples": 80,
        "solver": "SCS", "status": "optimal", "iterations": 150, "seconds": 0.4,
        "learning_curve": [{"samples": 8, "nrmse": 0.1, "standard_error": 0.01}] * 2,
        "cross_validation": {
            "regularize": 100.0, "strength": 316.22776601683796, "trials": [TRIAL],
            "folds": 5, "nrmse": 0.0313, "standard_error": 0.0018, "flat_within": 0.01,
            "flat_regularize": None, "flat_strength": [100.0, 100000.0],
        },
        "interval": {"level": 0.9, "half_width": 0.042, "residuals": 80},
    }  # fmt: skip
    text = fit_as_text(LatencyTable({}, Metadata.of({"fit": report})), "m.jsonl")
    assert "0 variables fitted to 80 samples; SCS reports 'optimal' after 150 iterations" in text
    assert (
        "prior: linear, K = 100, R = 316 (error within 1 % of the least from 100 to 100000)" in text
    )
    assert "cross-validated error: 3.13 ± 0.18 %, relative (5 folds)" in text
    assert "90 % interval: prediction ± 4.2 %" in text
    plain = {**report, "prior": "none", "strength": 0, "interval": None}
    del plain["cross_validation"]
    text = fit_as_text(LatencyTable({}, Metadata.of({"fit": plain})), "m.jsonl")
    assert text.endswith("prior: none, K = 100")


def test_errors_are_told_by_thirds_and_by_kinds_of_networks():
    """Oracle: by hand; nine networks over a factor of 1000, three in each third."""
    measured_ms = np.array([1.0, 2, 3, 30, 40, 50, 500, 700, 1000])
    predicted_ms = measured_ms * np.repeat([1.1, 1.0, 0.98], 3)
    predicted_ms[[0, -1]] = 1, 1000
    kinds = {"uniform networks": np.arange(9) == 1}
    interval = Interval(level=0.9, half_width=0.05, residuals=100)
    rows = errors_as_text(predicted_ms, measured_ms, interval, kinds).splitlines()
    assert rows[1].split()[2:] == ["3", "1", "10", "8.16", "+6.67", "+10.0", "33"]
    assert rows[2].split()[2:] == ["3", "10", "100", "0.00", "+0.00", "+0.0", "100"]
    assert rows[3].split()[2:] == ["3", "100", "1000", "1.63", "-1.33", "-2.0", "100"]
    assert rows[4].split() == [
        "uniform",
        "networks",
        "1",
        "2.2",
        "2.2",
        "10.00",
        "+10.00",
        "+10.0",
        "0",
    ]
    assert "–" in errors_as_text(predicted_ms, measured_ms, None, {})


def test_uniform_networks_and_answers_are_recognised():
    space = SearchSpace(32, 10)
    answer = (8, 48, *space.largest[2:])
    configurations = [
        space.description.scaled(0.33),
        answer,
        space.largest,
        (48, *space.smallest[1:]),
    ]
    kinds = kinds_of(configurations, space, {answer})
    assert {kind: mask.tolist() for kind, mask in kinds.items()} == {
        "uniform networks": [True, False, True, False],
        "answers of searches": [False, True, False, False],
    }
    assert list(kinds_of(configurations, space, set())) == ["uniform networks"]


def test_a_fit_tells_the_errors_by_thirds_and_how_wide_the_interval_is():
    residuals = Residuals(np.tile([0.02, -0.02, 0.0], 12), np.geomspace(1, 64, 36))
    scale = ErrorScale((1.0, 8.0, 64.0), (2.0, 1.0, 0.5))
    interval = Interval(0.9, 0.03, 36, scale)
    metadata = Metadata.of({"fit": residuals.as_dict() | {"interval": interval.as_dict()}})
    table = LatencyTable({}, metadata)
    assert interval.width == "1.5 to 6 %"
    assert [third.networks for third in cross_validated_thirds(table)] == [12, 12, 12]
    assert cross_validated_thirds(LatencyTable({}, Metadata())) is None


def test_device_name():
    metadata = {"device": "cpu", "device_name": "Xeon", "dtype": "fp32"}
    metadata |= {"batch_size": 8, "threads": 1}
    assert device_name(Metadata.of(metadata)) == "cpu, Xeon, fp32, batch 8, 1 thread"
    assert device_name(Metadata()) == "device unknown"
