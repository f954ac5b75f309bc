"""latency.py --device command: samples, resumed runs, interrupts; and commands that files name."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import latency
import train_nas
from nas.latency_table import LatencyTable
from nas.search_space import SearchSpace
from pipeline.latency.measuring_again import measure_again
from tests.helpers import stand_in_timer
from tests.helpers.stand_in_timer import law_ms
from utils.devices.workload import Command
from utils.errors import UserError
from utils.json_lines import metadata_path, read_lines, read_metadata

TIMER = f"{sys.executable} -I -S {stand_in_timer.__file__} {{onnx}} {{runs}}"
SIZES = ["--input-size", "16", "--classes", "3", "-B", "2"]
SPACE = SearchSpace(16, 3, levels=2)
PATIENCE_S = 60


@pytest.fixture(autouse=True)
def temporary(tmp_path, monkeypatch):
    """An empty folder for temporary files, beside the one that the test works in."""
    for name in ("tmp", "work"):
        (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path / "work")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "tmp"))
    return tmp_path / "tmp"


def generate(count, *options, command=TIMER):
    device = ["-D", "command", "--command", command, *SIZES, "-I", "3", "--levels", "2"]
    latency.main(["generate", *device, *options, "-N", str(count), "s.jsonl"])
    return [line for _, line in read_lines("s.jsonl")]


def fails(capsys, run, *arguments):
    """Run something that must fail with status 2; returns its one line."""
    capsys.readouterr()
    with pytest.raises(SystemExit) as caught:
        run(*arguments)
    assert caught.value.code == 2
    lines = capsys.readouterr().err.splitlines()
    (line,) = (line for line in lines if line.startswith("error: "))
    return line


@pytest.mark.parametrize("rounds", ["0", "2"])
def test_a_table_is_made_of_what_a_command_prints(temporary, rounds):
    """Oracle: the stand-in's law of the file's size, per image at batch size 2."""
    lines = generate(4, "--rounds", rounds)
    for widths, latency_ms, details in lines:
        size = len(SPACE.network_of(tuple(widths)).onnx(2, np.random.default_rng()))
        assert latency_ms == pytest.approx(law_ms(size) / 2, rel=1e-5)
        assert len(details["times_ms"]) == 3
    assert generate(6, "--rounds", rounds)[:4] == lines
    stated = read_metadata("s.jsonl").stated
    expected = {"device": "command", "command": TIMER, "command_pattern": None}
    assert expected.items() <= stated.items()
    assert stated["protocol"]["warmup"] == 0
    assert os.listdir(temporary) == []


def test_samples_of_two_commands_are_not_mixed(capsys):
    generate(2)
    line = fails(capsys, lambda: generate(3, command=f"{TIMER} --json"))
    assert "s.jsonl was begun with other settings: command was" in line
    line = fails(capsys, lambda: generate(3, "--command-pattern", "(1)"))
    assert "command_pattern was None, now it is '(1)'" in line


def test_a_network_that_fails_leaves_the_finished_samples(capsys, temporary):
    """The program fails from its fifth start on: the second network's, after two of references."""
    script = Path("tool.sh")
    script.write_text("#!/bin/sh\necho >> starts; [ $(wc -l < starts) -gt 4 ] && exit 1; echo 1\n")
    script.chmod(0o755)
    line = fails(capsys, lambda: generate(4, command="./tool.sh {onnx}"))
    assert line == "error: --command: './tool.sh' ended with status 1: it printed nothing"
    assert len(list(read_lines("s.jsonl"))) == 2
    assert os.listdir(temporary) == []


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["-D", "command"], "device command needs --command './time {onnx} {runs}'"),
        (
            ["-D", "cpu", "--command", "x {onnx}"],
            "--command goes with --device command, not with c",
        ),
        (["-D", "cpu", "--command-pattern", "(x)"], "--command-pattern goes with --command"),
        (
            ["-D", "command", "--command", "x {onnx}", "-W", "3"],
            "--warmup does not reach a command",
        ),
        (["-D", "command", "--command", "x {onnx}", "--clock", "cpu"], "--clock cpu does not show"),
        (["-D", "command", "--command", "x {onnx}", "--command-pattern", "x"], "has no group"),
        (["-D", "command", "--command", "x {onnx}", "--command-timeout", "0"], "greater than 0"),
    ],
)
def test_options_that_do_not_go_together(capsys, arguments, complaint):
    command = ["benchmark", *arguments, *SIZES, "0.25xMOBILENET"]
    assert complaint in fails(capsys, latency.main, command)


def test_an_exported_file_is_timed_as_it_is(capsys):
    """Oracle: the law of the file's own size."""
    model = SPACE.network_of(SPACE.largest).onnx(2, np.random.default_rng(0))
    Path("n.onnx").write_bytes(model)
    latency.main(["benchmark", "-D", "command", "--command", TIMER, "-B", "2", "n.onnx", "--json"])
    (result,) = json.loads(capsys.readouterr().out)["results"]
    assert result["file"] == "n.onnx"
    assert result["latency_ms"] == pytest.approx(law_ms(len(model)) / 2, rel=1e-3)


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, -15)])
def test_an_interrupted_run_leaves_nothing_behind(tmp_path, temporary, number, status):
    """Oracle: the folder for temporary files, and the program's own process id."""
    script = Path("tool.sh")
    script.write_text("#!/bin/sh\necho $$ > id; sleep 600\n")
    script.chmod(0o755)
    command = ["-D", "command", "--command", "./tool.sh {onnx}", *SIZES, "0.25xMOBILENET"]
    process = subprocess.Popen(
        [sys.executable, latency.__file__, "benchmark", *command],
        env=os.environ | {"TMPDIR": str(temporary)},
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + PATIENCE_S
    while not (Path("id").exists() and Path("id").read_text()) and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(number)
    _, said = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == status
    if number == signal.SIGINT:
        assert said.splitlines()[-1] == "interrupted"
    program = Path("/proc", Path("id").read_text().strip())
    while (os.listdir(temporary) or program.exists()) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert os.listdir(temporary) == []
    assert not program.exists()


@pytest.fixture
def foreign():
    """Samples and a table, as from somebody else, whose command would leave a file behind."""
    generate(6)
    latency.main(["fit", "s.jsonl", "m.jsonl", "-K", "1", "--strength", "1"])
    evil = Path("evil.sh")
    evil.write_text("#!/bin/sh\ntouch started; echo 1\n")
    evil.chmod(0o755)
    for path in ("s.jsonl", "m.jsonl"):
        stated = json.loads(metadata_path(path).read_text())
        metadata_path(path).write_text(json.dumps(stated | {"command": "./evil.sh {onnx}"}))
    return LatencyTable.load("m.jsonl")


SEARCH = (
    "--data digits --latency-model m.jsonl --latency-target 60% --expname out --framework pytorch"
)


def test_reading_files_never_starts_the_command_that_they_name(foreign, capsys):
    """Oracle: the file that the command would leave."""
    latency.main(["validate", "s.jsonl", "m.jsonl", "plot.png"])
    latency.main(["report", "m.jsonl", "page.html"])
    latency.main(["fit", "s.jsonl", "n.jsonl", "-K", "1", "--strength", "1"])
    line = fails(capsys, train_nas.main, f"{SEARCH} --verify".split())
    assert "the latency model is of a command: give --command './evil.sh {onnx}' if it may" in line
    with pytest.raises(UserError, match="give --command"):
        measure_again(foreign.metadata, [SPACE.smallest], 0)
    assert not Path("started").exists()


@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        (Command(TIMER), "the latency model is of another one, --command './evil.sh {onnx}'"),
        (Command("./evil.sh {onnx}", "(1)"), "the latency model is of another one"),
    ],
)
def test_networks_are_not_measured_by_another_command(foreign, given, complaint):
    with pytest.raises(UserError) as caught:
        measure_again(foreign.metadata, [SPACE.smallest], 0, given)
    assert complaint in str(caught.value)
    assert not Path("started").exists()


def test_the_command_repeated_by_the_user_measures_again():
    """Oracle: the law; the samples that generate took of the same networks."""
    lines = generate(3)
    metadata = read_metadata("s.jsonl")
    again = measure_again(metadata, [tuple(line[0]) for line in lines], 0, Command(TIMER))
    assert [line[:2] for line in again] == [line[:2] for line in lines]


def test_a_command_is_not_for_a_table_of_another_device(foreign):
    other = foreign.metadata.without("command").stating(device="onnxruntime")
    with pytest.raises(UserError, match="--command: the latency model is of device 'onnxruntime'"):
        measure_again(other, [SPACE.smallest], 0, Command(TIMER))
    with pytest.raises(UserError, match="lacks 'command'"):
        measure_again(foreign.metadata.without("command"), [SPACE.smallest], 0, Command(TIMER))
