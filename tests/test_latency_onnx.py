"""latency.py benchmark of ONNX files, on the runtimes themselves."""

import json

import numpy as np
import pytest
from onnx import TensorProto

import latency
from models.folded_weights import random_weights
from models.onnx_graph import serialize
from nas.latency_table import LatencyTable
from nas.search_space import SearchSpace
from networks.mobilenet_v1 import network as mobilenet_v1
from tests.helpers.onnx_graphs import MACS, classifier, quantised, saved
from utils.metadata import Metadata

WIDTHS = mobilenet_v1(2).scaled(0.25)
QUICK = ["-B", "2", "-I", "3", "-W", "1", "--group-size", "2"]


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    """Return the path of a network for any batch size, with its widths in the metadata."""
    path = tmp_path_factory.mktemp("onnx") / "n.onnx"
    weights = random_weights(mobilenet_v1(7), WIDTHS, np.random.default_rng(0))
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
    assert ours["macs"] == other["macs"] == mobilenet_v1(7).macs(WIDTHS, 32)
    assert ours["latency_ms"] > 0
    assert ours["runs"] == 3


@pytest.mark.parametrize("device", ["onnxruntime", "openvino"])
def test_files_are_fed_images_of_their_own_type(capsys, tmp_path, device):
    """Oracle: what was written; every file is timed, and states its own precision."""
    models = {
        "half": classifier(TensorProto.FLOAT16),
        "bytes": classifier(TensorProto.UINT8),
        "int8": quantised(),
    }
    files = {saved(m, tmp_path / f"{name}.onnx"): name for name, m in models.items()}
    output = json.loads(benchmark(capsys, device, *files, "0.25xMOBILENET", "--json"))
    results = {files.get(r.get("file"), "ours"): r for r in output["results"]}
    precisions = {name: result["precision"] for name, result in results.items()}
    assert precisions == {"half": "fp16", "bytes": "fp32", "int8": "int8", "ours": "fp32"}
    assert {results[name]["macs"] for name in models} == {MACS}
    assert output["metadata"]["dtype"] == "fp16, fp32, int8"


@pytest.mark.parametrize(
    ("model", "device", "message"),
    [
        (classifier(domain="my.ops"), "onnxruntime", "my.ops:Unheard"),
        (classifier(domain="my.ops"), "openvino", "my.ops.Unheard"),
        (classifier(reshape=(1, 8)), "onnxruntime", "shape"),
        (classifier(reshape=(1, 8)), "openvino", "shape"),
        (classifier(opset=99), "onnxruntime", "Opset 99"),
    ],
)
def test_what_a_runtime_cannot_run_is_one_line(capfd, tmp_path, model, device, message):
    """Oracle: the operator, the shape or the version at fault; capfd hears C++ too."""
    file = saved(model, tmp_path / "n.onnx")
    with pytest.raises(SystemExit) as caught:
        latency.main(["benchmark", "-D", device, *QUICK, file])
    assert caught.value.code == 2
    *bars, line = capfd.readouterr().err.replace("\r", "\n").splitlines()
    assert line.startswith(f"error: {file}: ")
    assert "cannot run it" in line
    assert message in line
    assert all("timing networks" in bar or not bar.strip() for bar in bars)


def test_networks_outside_the_table_are_named_and_timed(capsys, file, tmp_path):
    """Oracle: a table of the file's widths only, in which every one of 15 entries is 1 ms."""
    space = SearchSpace(32, 7, min_width=0.25, max_width=0.25, levels=1)
    table = LatencyTable(
        {v: 1.0 for v in space.variables}, Metadata.of({"search_space": space.as_dict()})
    )
    table.save(tmp_path / "model.jsonl")
    networks = [file, "0.75xMOBILENET"]
    options = ["--latency-model", str(tmp_path / "model.jsonl")]
    latency.main(["benchmark", "-D", "onnxruntime", *QUICK, *networks, *options, "--json"])
    printed, said = capsys.readouterr()
    (inside,) = (r for r in json.loads(printed)["results"] if "file" in r)
    (outside,) = (r for r in json.loads(printed)["results"] if "file" not in r)
    assert inside["predicted_ms"] == 15
    assert outside["latency_ms"] > 0
    assert outside["predicted_ms"] is outside["prediction_error"] is None
    assert "no prediction of (24, 48, " in said
    assert "model.jsonl has no latency for layer 1 (3 to 24 channels" in said


def test_a_table_of_another_input_size_is_one_line_that_names_the_file(capsys, file, tmp_path):
    space = SearchSpace(64, 7, levels=2)
    table = LatencyTable(
        {v: 1.0 for v in space.variables}, Metadata.of({"search_space": space.as_dict()})
    )
    table.save(tmp_path / "model.jsonl")
    with pytest.raises(SystemExit):
        benchmark(capsys, "onnxruntime", file, "--latency-model", str(tmp_path / "model.jsonl"))
    (line,) = capsys.readouterr().err.splitlines()
    assert f"model.jsonl was made for --input-size 64, not for 32, which {file} has" in line


def test_a_table_predicts_the_widths_in_the_files_metadata(capsys, file, tmp_path):
    """Oracle: a table in which every one of the 15 entries is 1 ms."""
    space = SearchSpace(32, 7, min_width=0.25, max_width=0.25, levels=1)
    table = LatencyTable(
        {v: 1.0 for v in space.variables}, Metadata.of({"search_space": space.as_dict()})
    )
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
