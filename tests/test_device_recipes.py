"""The recipes of docs/devices.md for --device command: at the real programs, or at stand-ins."""

import importlib.util
import itertools
import json
import os
import re
import shlex
import sys
from pathlib import Path

import numpy as np
import pytest

import latency
from nas.search_space import SearchSpace
from networks import open_network
from tests.helpers import stand_in_adb, stand_in_trtexec
from utils.devices import DEVICES

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "devices.md"
SPACE = SearchSpace(64, 10)
NETWORKS = ["0.25xMOBILENET", "1.5xMOBILENET"]


def recipe(program):
    """Return the --command and the --command-pattern of the page's recipe for a program."""
    for block in re.findall(r"```shell\n(.*?)```", PAGE.read_text(), re.S):
        words = shlex.split(block.replace("\\\n", " "))
        options = dict(itertools.pairwise(words))
        if program in options["--command"]:
            return options["--command"], options.get("--command-pattern")
    raise AssertionError(f"no recipe for {program}")


def benchmark(capsys, command, pattern, *options, batch_size=1):
    """Time two networks by a command; return their results, the narrower one first."""
    arguments = ["benchmark", "-D", "command", "--command", command, "-B", str(batch_size)]
    if pattern:
        arguments += ["--command-pattern", pattern]
    sizes = ["--input-size", "64", "--classes", "10", "-I", "4"]
    latency.main([*arguments, *sizes, *options, "--json", *NETWORKS])
    results = json.loads(capsys.readouterr().out)["results"]
    return sorted(results, key=lambda each: each["macs"])


def real(package):
    """Skip the test unless a package is installed; return the folder of its programs."""
    if importlib.util.find_spec(package) is None:
        pytest.skip(f"needs {package}, which is not installed")
    return Path(sys.executable).parent


def stand_in(monkeypatch, folder, name, module):
    """Put a program of this name, which runs a module of the tests, in front of all others."""
    program = folder / name
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -I -S {module.__file__} "$@"\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")


def expected_ms(form, batch_size):
    """Return the stand-ins' law, 1 ms per 100,000 bytes of a file, per image; narrow first."""
    parse = open_network("mobilenet_v1", 10).parse
    networks = [SPACE.network_of(parse(name)) for name in NETWORKS]
    rng = np.random.default_rng(0)
    return [len(getattr(each, form)(batch_size, rng)) / 1e5 / batch_size for each in networks]


def test_openvinos_benchmark_app(capsys):
    """Oracle: a network of 36 times the MACs takes longer; one median for each round."""
    folder = real("openvino")
    command, pattern = recipe("benchmark_app")
    command = command.replace(".venv/bin", str(folder))
    narrow, wide = benchmark(capsys, command, pattern, "--rounds", "2", batch_size=8)
    assert 0 < narrow["latency_ms"] < wide["latency_ms"]
    assert narrow["runs"] == 2


def test_ncnn(capsys):
    """Oracle: a network of 36 times the MACs takes longer; as many times as asked for."""
    real("ncnn"), real("pnnx")
    command, pattern = recipe("ncnn_time.py")
    command = command.replace(".venv/bin/python", sys.executable).replace(
        "examples", f"{ROOT}/examples"
    )
    narrow, wide = benchmark(capsys, command, pattern)
    assert 0 < narrow["latency_ms"] < wide["latency_ms"]
    assert narrow["runs"] == 4


def test_litert_benchmark(capsys):
    """Oracle: a network of 36 times the MACs takes longer."""
    folder = real("ai_edge_litert")
    command, pattern = recipe("litert-benchmark")
    command = command.replace(".venv/bin", str(folder))
    narrow, wide = benchmark(capsys, command, pattern, batch_size=8)
    assert 0 < narrow["latency_ms"] < wide["latency_ms"]


def test_a_phone_at_a_stand_in(capsys, monkeypatch, tmp_path):
    """Oracle: the stand-in's law of the file's size."""
    real("flatbuffers")
    stand_in(monkeypatch, tmp_path, "adb", stand_in_adb)
    monkeypatch.setenv("STAND_IN_PHONE", str(tmp_path))
    command, pattern = recipe("phone_time.sh")
    results = benchmark(capsys, command.replace("examples", f"{ROOT}/examples"), pattern)
    latencies_ms = [each["latency_ms"] for each in results]
    assert latencies_ms == pytest.approx(expected_ms("tflite", 1), rel=1e-3)


def test_trtexec_at_a_stand_in(capsys, monkeypatch, tmp_path):
    """Oracle: the stand-in's law of the file's size, per image; each run is a time."""
    stand_in(monkeypatch, tmp_path, "trtexec", stand_in_trtexec)
    results = benchmark(capsys, *recipe("trtexec"), batch_size=2)
    latencies_ms = [each["latency_ms"] for each in results]
    assert latencies_ms == pytest.approx(expected_ms("onnx", 2), rel=1e-3)
    assert results[0]["runs"] == 4


def test_every_device_has_a_row():
    rows = re.findall(r"^\| `(\w+)` \|", PAGE.read_text(), re.M)
    assert rows == list(DEVICES)
