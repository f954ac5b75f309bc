"""latency.py benchmark of ONNX files, on the runtimes themselves."""

import json

import numpy as np
import pytest

import latency
from models.folded_weights import random_weights
from models.mobilenet_v1 import count_macs, scaled_widths
from models.onnx_mobilenet_v1 import serialize
from nas.latency_table import LatencyTable
from nas.search_space import SearchSpace

WIDTHS = scaled_widths(0.25)
QUICK = ["-B", "2", "-I", "3", "-W", "1", "--group-size", "2"]


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    """Return the path of a network for any batch size, with its widths in the metadata."""
    path = tmp_path_factory.mktemp("onnx") / "n.onnx"
    weights = random_weights(WIDTHS, 7, np.random.default_rng(0))
    path.write_bytes(serialize(weights, None, 32, {"configuration": json.dumps(WIDTHS)}))
    return str(path)


def benchmark(capsys, device, *arguments):
    """Run the command; return what it prints."""
    latency.main(["benchmark", "--device", device, *QUICK, *arguments])
    return capsys.readouterr().out


@pytest.mark.parametrize("device", ["onnxruntime", "openvino"])
def test_a_file_and_a_configuration_are_timed_alike(capsys, file, device):
    """Oracle: sizes, widths and costs are those of the network that was written."""
    output = json.loads(benchmark(capsys, device, file, "0.25xMOBILENET", "--json"))
    assert {"input_size": 32, "classes": 7}.items() <= output["metadata"]["search_space"].items()
    (ours,) = (r for r in output["results"] if "file" in r)
    (other,) = (r for r in output["results"] if "file" not in r)
    assert ours["file"] == file
    assert ours["configuration"] == other["configuration"] == list(WIDTHS)
    assert ours["macs"] == other["macs"] == count_macs(WIDTHS, 32, 7)
    assert ours["latency_ms"] > 0
    assert ours["runs"] == 3


def test_a_table_predicts_the_widths_in_the_files_metadata(capsys, file, tmp_path):
    """Oracle: a table in which every one of the 15 entries is 1 ms."""
    space = SearchSpace(32, 7, min_width=0.25, max_width=0.25, levels=1)
    table = LatencyTable({v: 1.0 for v in space.variables}, {"search_space": space.as_dict()})
    table.save(tmp_path / "model.jsonl")
    options = ["--latency-model", str(tmp_path / "model.jsonl")]
    text = benchmark(capsys, "onnxruntime", file, *options)
    for words in (f"file           {file}", "input 32×32, 7 classes", "batch 2", "predicted 15 ms"):
        assert words in text


@pytest.mark.parametrize(
    ("device", "arguments", "message"),
    [
        ("cpu", ["FILE"], "device cpu loads no ONNX file such as FILE: use --device onnxruntime"),
        ("onnxruntime", ["FILE", "--input-size", "64"], "has input size 32, --input-size has 64"),
        ("onnxruntime", ["FILE", "--classes", "9"], "has classes 7, --classes has 9"),
        ("onnxruntime", ["none.onnx"], "none.onnx is not a file"),
    ],
)
def test_mistakes_end_in_one_line(capsys, file, device, arguments, message):
    """Oracle: what is wrong is in the line; status 2."""
    arguments = [file if a == "FILE" else a for a in arguments]
    with pytest.raises(SystemExit) as caught:
        benchmark(capsys, device, *arguments)
    assert caught.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert message.replace("FILE", file) in line
