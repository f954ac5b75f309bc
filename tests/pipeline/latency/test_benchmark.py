"""What `benchmark` prints, against numbers worked by hand."""

import json
import math
from dataclasses import asdict

import pytest

from models.network import Network
from networks.mobilenet_v1 import network as mobilenet_v1
from pipeline.latency.benchmark import (
    as_json,
    as_text,
    fastest_first,
    result,
    warn_of_changed_speed,
)
from utils.devices.bench import Protocol, Timed
from utils.devices.timing import Measurement
from utils.devices.workload import Workload
from utils.metadata import Metadata

WORKLOAD = Workload(batch_size=10, input_size=32, classes=10)
PROTOCOL = Protocol(iterations=4, reduction="median")
METADATA = Metadata.of(
    {
        "device": "cpu",
        "device_name": "A processor",
        "runtime": "A runtime",
        "versions": {"runtime": "1.2"},
        "dtype": "fp32",
        "batch_size": 10,
        "threads": 1,
        "protocol": asdict(PROTOCOL),
        "search_space": {"input_size": 32, "classes": 10},
    }
)


def measured(multiplier, times_s, prediction_ms=None):
    timed = Timed(Measurement(times_s), Measurement((1.0,)))
    network = Network(mobilenet_v1(10), mobilenet_v1(2).scaled(multiplier), 32)
    return result(network, timed, prediction_ms, WORKLOAD, PROTOCOL)


def test_a_result_against_numbers_worked_by_hand():
    """Batches of 10 images in 10, 20, 30 and 60 ms: median 25 ms, 2.5 ms per image."""
    values = measured(0.5, (0.01, 0.02, 0.03, 0.06), prediction_ms=3.0)
    assert values["latency_ms"] == pytest.approx(2.5)
    assert values["batch_ms"] == pytest.approx({"median": 25, "mean": 30, "min": 10, "iqr": 20})
    assert values["image_ms"] == pytest.approx({"median": 2.5, "mean": 3, "min": 1, "iqr": 2})
    assert values["macs"] == mobilenet_v1(10).macs(mobilenet_v1(2).scaled(0.5), 32)
    assert values["parameters"] == mobilenet_v1(10).parameters(mobilenet_v1(2).scaled(0.5))
    assert values["gmacs_per_s"] == pytest.approx(values["macs"] * 10 / 0.025 / 1e9)
    assert values["prediction_error"] == pytest.approx(0.2)
    assert values["runs"] == 4


def test_a_result_is_scaled_to_the_tables_machine_speed():
    """The reference takes 100 ms per image, 80 when the table was measured: 2.5 ms become 2."""
    timed = Timed(Measurement((0.01, 0.02, 0.03, 0.06)), Measurement((1.0, 1.0)))
    network = Network(mobilenet_v1(10), mobilenet_v1(2).scaled(0.5), 32)
    values = result(network, timed, 3.0, WORKLOAD, PROTOCOL, table_reference_ms=80, target_ms=20)
    assert values["latency_ms"] == pytest.approx(2.5)
    assert values["at_table_speed_ms"] == pytest.approx(2)
    assert values["prediction_error"] == pytest.approx(0.5)
    assert (values["target_ms"], values["target"]) == (20, "met")
    text = as_text([values], METADATA)
    assert "at the table's machine speed 2 ms: reference network 100 ms" in text
    assert "80 ms when the table was measured" in text
    assert "target 20 ms: met, -90.0% from it" in text
    table = as_text([values] * 2, METADATA)
    assert "table speed" in table
    assert "met" in table
    steady = Timed(Measurement((0.025,) * 4), Measurement((1.0,)))
    raw = result(network, steady, None, WORKLOAD, PROTOCOL, target_ms=1)
    assert "at_table_speed_ms" not in raw
    assert raw["target"] == "missed"


def test_networks_are_ordered_at_one_machine_speed(capsys):
    """Oracle: by hand; the second network was timed at half the speed, as the reference shows."""

    def at(batch_s, reference_s, table_reference_ms=None):
        timed = Timed(Measurement((batch_s,)), Measurement((reference_s,)))
        network = Network(mobilenet_v1(10), mobilenet_v1(2).scaled(0.5), 32)
        return result(network, timed, None, WORKLOAD, PROTOCOL, table_reference_ms)

    scaled = fastest_first([at(0.03, 1.0, 100), at(0.04, 2.0, 100)])
    assert [values["at_table_speed_ms"] for values in scaled] == pytest.approx([2, 3])
    warn_of_changed_speed(scaled)
    assert not capsys.readouterr().err
    raw = fastest_first([at(0.04, 2.0), at(0.03, 1.0)])
    assert [values["latency_ms"] for values in raw] == pytest.approx([3, 4])
    warn_of_changed_speed(raw)
    assert "the machine's speed changed by 100% between networks" in capsys.readouterr().err
    warn_of_changed_speed([at(0.04, 1.04), at(0.03, 1.0)])
    assert not capsys.readouterr().err


def test_of_one_time_the_noise_is_not_known():
    """Oracle: by hand; the program printed one number, whatever was asked for."""
    network = Network(mobilenet_v1(10), mobilenet_v1(2).scaled(0.5), 32)
    timed = Timed(Measurement((0.01,)), Measurement((1.0,)))
    values = result(network, timed, None, WORKLOAD, PROTOCOL, target_ms=1.1)
    assert (values["target"], values["noise"]) == ("undecided", None)
    assert "; 1 run in a row" in as_text([values], METADATA)
    assert "with unknown noise: it was timed once" in as_text([values], METADATA)
    assert as_text([values] * 2, METADATA).splitlines()[-1].split()[8:10] == ["undecided", "–"]


def test_without_a_model_nothing_is_said_of_a_prediction():
    values = measured(0.5, (0.01,))
    assert not [key for key in values if key.startswith("predict")]
    assert "predicted" not in as_text([values], METADATA)
    assert "predicted" not in as_text([values] * 2, METADATA)


def test_texts_hold_the_conditions_and_the_numbers():
    values = measured(0.5, (0.01, 0.02, 0.03, 0.06), prediction_ms=3.0)
    for results in ([values], [values] * 2):
        text = as_text(results, METADATA)
        for word in ("A processor", "runtime 1.2", "batch 10", "32×32", "in a row", "+20.0%"):
            assert word in text
        for number in ("2.5", "(16, 32, 64"):
            assert number in text


def test_what_is_not_known_is_said_and_is_null():
    """Oracle: by hand; a file of another precision, without MACs and without a prediction."""
    unknown = measured(0.5, (0.01,), prediction_ms=math.nan)
    assert unknown["predicted_ms"] is unknown["prediction_error"] is None
    file = {"file": "n.onnx", "configuration": None, "precision": "int8"}
    unknown |= file | {"macs": None, "gmacs_per_s": None}
    alone = as_text([unknown], METADATA)
    assert "\nint8, batch 10" in alone
    assert "MACs unknown" in alone
    assert "unknown GMAC/s" in alone
    assert "predicted –" in alone
    known = measured(0.5, (0.01,), prediction_ms=3.0)
    heading, columns, first, second = as_text([unknown, known], METADATA).splitlines()[1:]
    assert heading.startswith("fp32, int8, batch 10")
    assert columns.split()[-4:] == ["predicted", "error", "precision", "configuration"]
    assert [first.split()[i] for i in (5, 7)] == ["unknown"] * 2  # MACs and GMAC/s
    assert first.split()[8:] == ["–", "–", "int8", "n.onnx"]
    assert "fp32  (16, 32" in second


def test_batch_norm_is_folded_in_configurations_and_files_are_as_they_are():
    metadata = METADATA.stating(runtime="ONNX Runtime, CPU provider, BatchNorm folded")
    ours = measured(0.5, (0.01,))
    file = ours | {"file": "n.onnx"}
    assert "CPU provider, BatchNorm folded (runtime" in as_text([ours], metadata)
    assert "CPU provider (runtime" in as_text([file], metadata)
    assert "BatchNorm folded (files as they are) (runtime" in as_text([file, ours], metadata)


def test_json_holds_everything():
    results = [measured(0.5, (0.01, 0.02))]
    assert json.loads(as_json(results, METADATA)) == {
        "metadata": METADATA.stated,
        "results": results,
    }
