"""Comparing conditions: what is warned of, and the machine's speed between two measurements."""

import pytest

from pipeline.latency.conditions import condition_differences, speed_ratio, warn_of_differences
from utils.metadata import Metadata

MODEL = Metadata.of(
    {
        **{"device": "cpu", "device_name": "A", "dtype": "fp32", "batch_size": 8, "threads": 1},
        **{"tf32": False, "channels_last": False, "cuda_graph": False, "trt_builder": "network"},
        "protocol": {"reduction": "quartile", "clock": "cpu", "rounds": 8},
    }
)


@pytest.mark.parametrize(
    ("changes", "names"),
    [
        ({}, []),
        ({"batch_size": 1}, ["batch_size"]),
        ({"device_name": "B", "threads": 2}, ["device_name", "threads"]),
        ({"seed": 3}, []),
        ({"cuda_graph": True}, ["cuda_graph"]),
        ({"tf32": True, "channels_last": True}, ["tf32", "channels_last"]),
        ({"trt_builder": "torch2trt"}, ["trt_builder"]),
        ({"protocol": {"reduction": "quartile", "clock": "wall", "rounds": 9}}, ["clock"]),
    ],
)
def test_conditions_that_differ_are_warned_of(capsys, changes, names):
    measured = MODEL.stating(**changes)
    assert [name for name, *_ in condition_differences(MODEL, measured)] == names
    warn_of_differences(MODEL, measured)
    warnings = capsys.readouterr().err.splitlines()
    assert len(warnings) == len(names)
    assert all(f"fitted to {name} " in line for name, line in zip(names, warnings, strict=True))


def test_a_plain_file_tells_no_conditions_and_differs_in_none():
    assert condition_differences(Metadata(), MODEL) == []
    assert condition_differences(MODEL, Metadata()) == []


@pytest.mark.parametrize(("seed", "warned"), [(0, True), (1, False)])
def test_networks_of_the_same_seed_are_warned_of(capsys, seed, warned):
    drawn = [{"seed": 0, "biased": True}, {"seed": 0, "biased": False}]
    measured = Metadata.of({"files": [{"seed": seed, "biased": False}]})
    warn_of_differences(Metadata.of({"files": drawn}), measured)
    assert ("the same networks" in capsys.readouterr().err) == warned


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"reference_ms": 2.5}, 0.8),  # the reference took 2 ms when the model was measured
        ({"reference_ms": 2.5, "device_name": "B"}, 1.0),  # a slower device is no slow minute
        ({"reference_ms": 2.5, "protocol": {"reduction": "min"}}, 1.0),
        ({}, 1.0),  # in a row
    ],
)
def test_the_reference_tells_the_machines_speed(capsys, changes, expected):
    ratio = speed_ratio(MODEL.stating(reference_ms=2.0), MODEL.stating(**changes))
    assert ratio == pytest.approx(expected)
    assert ("multiplied by 0.800" in capsys.readouterr().out) == (expected == 0.8)
