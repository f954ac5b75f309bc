"""Metadata: whatever the project wrote is read, and a field of another type is named."""

import copy

import pytest

from utils.errors import UserError
from utils.metadata import check_metadata, refuse_partial_fit

TRIAL = {"regularize": 100.0, "strength": 1, "nrmse": 0.03, "standard_error": 0.002}
METADATA = {
    "latency": "milliseconds per image: the time of a batch / the batch size",
    "device": "onnxruntime",
    "device_name": "Intel® Xeon®, $5 $\\frac",
    "runtime": "ONNX Runtime",
    "versions": {"onnxruntime": "1.32.0"},
    "dtype": "fp32",
    "batch_size": 1,
    "threads": 1,
    "tf32": False,
    "trt_builder": "network",
    "protocol": {"iterations": 3, "rounds": 1, "reduction": "quartile", "clock": "cpu"},
    "search_space": {"input_size": 32},
    "seed": 10**30,
    "biased": True,
    "repetitions": 1,
    "files": [{"seed": 0, "biased": True}, {}],
    "reference_ms": 1.5,
    "state_before": {"load_average": 0.1},
    "fit": {
        **{"samples": 40, "regularize": 100, "strength": 0.0, "prior": "none", "solver": "SCS"},
        **{"status": "optimal", "objective": 0.1, "coverage": "3 0 12", "samples_files": ["s"]},
        "interval": {"level": 0.9, "half_width": 0.0, "residuals": 40},
        "residuals_per_mille": "-1.00 2.50",
        "learning_curve": [{"samples": 8, "nrmse": 0.1, "standard_error": 0.01}] * 2,
        "cross_validation": {
            **TRIAL, "folds": 5, "trials": [TRIAL], "flat_within": 0.01,
            "flat_regularize": None, "flat_strength": [0.1, 10.0],
        },
    },
    "a field of a later version": [{"x": None}],
}  # fmt: skip


def changed(path, value):
    """Return METADATA with another value at a path such as fit.interval.level."""
    metadata = copy.deepcopy(METADATA)
    *parents, last = path.split(".")
    inner = metadata
    for name in parents:
        inner = inner[name]
    inner[last] = value
    return metadata


def test_what_the_project_writes_is_read():
    check_metadata(METADATA, "m.json")
    check_metadata({}, "m.json")
    check_metadata(changed("fit.interval", None), "m.json")  # too few networks for one


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("device_name", 3),
        ("device_name", "\ud800"),
        ("dtype", "fp33"),
        ("batch_size", 0),
        ("threads", "x"),
        ("protocol", "x"),
        ("protocol.clock", "x"),
        ("protocol.rounds", -1),
        ("seed", float("nan")),
        ("biased", 1),
        ("files", 7),
        ("reference_ms", "1"),
        ("reference_ms", 0),
        ("reference_ms", -1),
        ("reference_ms", float("inf")),
        ("fit", None),
        ("fit", [1]),
        ("fit.status", 1),
        ("fit.coverage", "x"),
        ("fit.samples_files", []),
        ("fit.interval.level", 1),
        ("fit.interval.half_width", -0.1),
        ("fit.interval.half_width", []),
        ("fit.cross_validation.trials", []),
        ("fit.cross_validation.flat_strength", [1]),
        ("fit.learning_curve", []),
        ("a field of a later version", float("inf")),
    ],
)
def test_a_field_of_another_type_or_range_is_named(path, value):
    with pytest.raises(UserError) as error:
        check_metadata(changed(path, value), "m.json")
    assert str(error.value).startswith(f"m.json: {path}: ")


@pytest.mark.parametrize("name", ["samples", "regularize", "strength", "prior", "solver", "status"])
def test_a_fit_that_lacks_a_field_names_it(name):
    metadata = copy.deepcopy(METADATA)
    refuse_partial_fit(metadata, "m.jsonl")
    del metadata["fit"][name]
    check_metadata(metadata, "m.json")  # only a report, or another fit, needs it
    with pytest.raises(UserError, match=rf"m\.jsonl: its metadata .* fit\.{name} is missing"):
        refuse_partial_fit(metadata, "m.jsonl")


def test_metadata_are_an_object():
    with pytest.raises(UserError, match=r"m\.json does not hold a JSON object"):
        check_metadata([METADATA], "m.json")
