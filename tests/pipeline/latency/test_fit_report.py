import numpy as np

from nas.latency_table import LatencyTable
from nas.validation.conformal import Interval
from pipeline.latency.fit_report import device_name, fit_as_text, validation_as_text


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
        "cross_validation": {
            "folds": 5, "nrmse": 0.0313, "standard_error": 0.0018, "flat_within": 0.01,
            "flat_regularize": None, "flat_strength": [100.0, 100000.0],
        },
        "interval": {"level": 0.9, "half_width": 0.042, "residuals": 80},
    }  # fmt: skip
    text = fit_as_text(LatencyTable({}, {"fit": report}), "m.jsonl")
    assert "0 variables fitted to 80 samples; SCS reports 'optimal' after 150 iterations" in text
    assert (
        "prior: linear, K = 100, R = 316 (error within 1 % of the least from 100 to 100000)" in text
    )
    assert "cross-validated error: 3.13 ± 0.18 % of the mean latency (5 folds)" in text
    assert "90 % interval: prediction ± 4.2 %" in text
    plain = {**report, "prior": "none", "strength": 0, "cross_validation": None, "interval": None}
    text = fit_as_text(LatencyTable({}, {"fit": {**plain, "cross_validation": {}}}), "m.jsonl")
    assert text.endswith("prior: none, K = 100")


def test_device_name():
    metadata = {"device": "cpu", "device_name": "Xeon", "dtype": "fp32", "batch_size": 8}
    assert device_name({**metadata, "threads": 1}) == "cpu, Xeon, fp32, batch 8, 1 thread"
    assert device_name({}) == "device unknown"
