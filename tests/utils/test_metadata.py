"""Metadata: whatever the project wrote is read, and a field of another type is named."""

import copy

import numpy as np
import pytest
from msgspec import UNSET

from utils.errors import UserError
from utils.metadata import (
    Fit,
    Metadata,
    first_difference,
    refuse_partial_fit,
    residuals_as_text,
    times_seen_as_text,
)

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
    Metadata.of(METADATA, "m.json")
    Metadata.of({}, "m.json")
    Metadata.of(changed("fit.interval", None), "m.json")  # too few networks for one


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
        Metadata.of(changed(path, value), "m.json")
    assert str(error.value).startswith(f"m.json: {path}: ")


@pytest.mark.parametrize("name", ["samples", "regularize", "strength", "prior", "solver", "status"])
def test_a_fit_that_lacks_a_field_names_it(name):
    metadata = copy.deepcopy(METADATA)
    refuse_partial_fit(Metadata.of(metadata), "m.jsonl")
    del metadata["fit"][name]
    partial = Metadata.of(metadata, "m.json")  # only a report, or another fit, needs it
    with pytest.raises(UserError, match=rf"m\.jsonl: its metadata .* \(fit\.{name} is missing"):
        refuse_partial_fit(partial, "m.jsonl")


def test_metadata_are_an_object():
    with pytest.raises(UserError, match=r"m\.json does not hold a JSON object"):
        Metadata.of([METADATA], "m.json")


def test_the_first_difference_is_found_at_any_depth():
    left = {"a": 1, "b": {"c": [1], "d": 2}}
    assert first_difference(left, copy.deepcopy(left)) is None
    assert first_difference(left, {**left, "b": {"c": [1], "d": 3}}) == ("b.d", 2, 3)
    assert first_difference(left, {**left, "b": 4}) == ("b", {"c": [1], "d": 2}, 4)
    assert first_difference({}, {"z": 0}) == ("z", None, 0)


def test_a_networks_file_may_have_moved_and_a_program_may_not():
    here, there = ({"network": f"{folder}/mine.py", "levels": 3} for folder in (".", "/a"))
    assert first_difference({"search_space": here}, {"search_space": there}) is None
    other = here | {"network": "./yours.py"}
    assert first_difference(here, other, "space") == ("space.network", "./mine.py", "./yours.py")
    changed = [here | {"network_sha256": digest} for digest in ("a", "b")]
    assert first_difference(*changed) == ("description in the network's file", "a", "b")
    assert first_difference(here, changed[0]) is None  # a file from before it was stated
    command, moved = ({"command": f"{folder}/time.py"} for folder in (".", "/a"))
    assert first_difference(command, moved) == ("command", "./time.py", "/a/time.py")


def test_what_is_not_known_is_written_again_and_changes_are_checked():
    """Oracle: the JSON object itself; a field of a later version, and numbers as they were."""
    metadata = Metadata.of(METADATA)
    again = metadata.stating(threads=2).stating_of_fit(samples=41)
    assert again.stated == changed("fit.samples", 41) | {"threads": 2}
    assert (again.threads, again.fit.samples, metadata.threads) == (2, 41, 1)
    assert list(again.stated) == list(METADATA)
    assert again.without("threads").threads is UNSET
    with pytest.raises(UserError, match=r"the metadata: threads: expected `int` >= 1"):
        metadata.stating(threads=0)


def test_numbers_come_back_from_their_texts():
    counts, errors = [3, 0, 12], np.array([0.0025, -0.001])
    fit = Fit(coverage=times_seen_as_text(counts), residuals_per_mille=residuals_as_text(errors))
    assert fit.times_seen.tolist() == counts
    np.testing.assert_allclose(fit.residuals, [-0.001, 0.0025])
    assert (fit.coverage, fit.residuals_per_mille) == ("3 0 12", "-1.00 2.50")
    assert (Fit().times_seen.tolist(), Fit().residuals) == ([], None)
