"""The device `command`, with programs whose answers are known."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest

from nas.search_space import SearchSpace
from tests.helpers import stand_in_timer
from tests.helpers.stand_in_timer import law_ms
from utils.devices.bench import Bench, Protocol
from utils.devices.command import CommandDevice
from utils.devices.workload import Command, Workload
from utils.errors import UserError
from utils.guarded_programs import GuardedPrograms

SPACE = SearchSpace(16, 3, levels=2)
TIMER = f"{sys.executable} -I -S {stand_in_timer.__file__}"


@pytest.fixture(autouse=True)
def temporary(tmp_path, monkeypatch):
    """An empty folder for temporary files, whose name a shell would not leave alone."""
    folder = tmp_path / "a b;touch $HOME'x' {runs}"
    folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    return folder


def device(text, pattern=None, timeout_s=60.0, **workload):
    settings = {"batch_size": 2, "input_size": 16, "classes": 3} | workload
    return CommandDevice(Workload(**settings, command=Command(text, pattern, timeout_s)))


def script(tmp_path, text):
    """Return a command that runs a shell script with the file and the number of runs."""
    path = tmp_path / "tool.sh"
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return f"'{path}' {{onnx}} {{runs}}"


def visit(text, *settings, **workload):
    """Start a command once, with three runs of the narrowest network."""
    ours = device(text, *settings, **workload)
    handle = ours.prepare(SPACE.network_of(SPACE.smallest))
    try:
        return ours.visit(handle, 3)
    finally:
        ours.release(handle)


@pytest.mark.parametrize(
    ("options", "pattern"),
    [("", None), (" --json", None), (" --us", r"^one run: (?P<us>[0-9.]+) us$")],
)
@pytest.mark.parametrize("rounds", [0, 2])
def test_a_bench_times_networks_in_rows_and_in_rounds(temporary, options, pattern, rounds):
    """Oracle: the stand-in's law of a file's size, which random weights do not change."""
    ours = device(f"{TIMER} {{onnx}} {{runs}}{options}", pattern)
    networks = [SPACE.network_of(each) for each in (SPACE.smallest, SPACE.largest)]
    workload = Workload(2, 16, 3)
    protocol = Protocol.for_device("command", 1, rounds, iterations=5)
    rng, advanced = np.random.default_rng(0), []
    with Bench(ours, SPACE.reference, workload, protocol, rng) as bench:
        groups = list(bench.time_groups(networks, networks[1], advanced.append))
    timed = [one for _, group in groups for one in group]
    for network, one in zip([*networks, SPACE.reference], [*timed, None], strict=True):
        expected_s = law_ms(len(network.onnx(2, rng))) / 1e3
        times_s = one.measurement.times_s if one else timed[0].reference.times_s
        assert times_s == pytest.approx([expected_s] * (5 if one else len(times_s)))
    assert sum(advanced) == 10
    assert os.listdir(temporary) == []


def test_the_program_gets_the_words_and_no_shell_reads_them(tmp_path, temporary):
    """Oracle: the words that it was started with, one per line; other braces stay."""
    text = 'out=$0.words; printf \'%s\\n\' "$@" > "$out"; echo 1'
    words = "{batch_size} {threads} {input_size} 'a $HOME b' --n={runs} {print} '{' *"
    visit(f"{script(tmp_path, text)} {words}", threads=4)
    file, *others = (tmp_path / "tool.sh.words").read_text().splitlines()
    assert file.startswith(f"{temporary}/")
    assert others == ["3", "2", "4", "16", "a $HOME b", "--n=3", "{print}", "{", "*"]


def test_the_file_is_the_network(tmp_path):
    """Oracle: the ONNX checker, and the shapes that were asked for."""
    visit(script(tmp_path, 'cp "$1" "$0.onnx"; echo 1'))
    model = onnx.load(tmp_path / "tool.sh.onnx")
    onnx.checker.check_model(model, full_check=True)
    shape = [d.dim_value for d in model.graph.input[0].type.tensor_type.shape.dim]
    assert shape == [2, 3, 16, 16]


def test_what_a_program_writes_beside_the_file_is_removed(tmp_path, temporary):
    visit(script(tmp_path, 'mkdir "$1.cache"; touch "$1.cache/x"; echo 1'))
    assert os.listdir(temporary) == []


def test_fewer_numbers_than_runs_are_all_there_is(tmp_path):
    assert visit(script(tmp_path, "echo 7")) == [7e-3]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("echo starting; echo 'no such file' >&2; exit 3", "ended with status 3: no such file"),
        ("echo 'out of luck'; exit 1", "ended with status 1: out of luck"),
        ("exit 1", "ended with status 1: it printed nothing"),
        ("kill -SEGV $$", "was ended by SIGSEGV: it printed nothing"),
        ("echo nan", "printed the latency nan, which is not positive and finite"),
        ("echo -1", "printed the latency -1, which is not"),
        ("true", "printed no latency, nothing at all"),
        ("echo done", "printed 'done' where a latency was expected"),
    ],
)
def test_a_program_that_fails_is_one_line_that_names_it(tmp_path, temporary, text, complaint):
    with pytest.raises(UserError) as caught:
        visit(script(tmp_path, text))
    assert str(caught.value).startswith(f"--command: {str(tmp_path / 'tool.sh')!r} {complaint}")
    assert "\n" not in str(caught.value)
    assert os.listdir(temporary) == []


def test_a_program_that_hangs_is_ended(tmp_path, temporary):
    with pytest.raises(UserError, match=r"tool.sh' did not end within 0.5 s \(--command-timeout\)"):
        visit(script(tmp_path, "sleep 600"), None, 0.5)
    assert os.listdir(temporary) == []


def test_the_last_lines_of_a_program_that_hangs_are_told(tmp_path, temporary, monkeypatch):
    """Oracle: by hand; a program may print its progress on either stream."""

    def run(self, words, timeout_s):
        self.close()
        raise subprocess.TimeoutExpired(words, timeout_s, "step 2\nstep 3\n", "old warning\n")

    monkeypatch.setattr(GuardedPrograms, "run", run)
    ends = r"2 s \(--command-timeout\); last line of its output: step 3; .* errors: old warning$"
    with pytest.raises(UserError, match=ends):
        visit(script(tmp_path, "true"), None, 2)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("no-such-tool {onnx}", "--command: 'no-such-tool': there is no such program"),
        (f"{Path(__file__)} {{onnx}}", "cannot be started: Permission denied"),
        ("/ {onnx}", "cannot be started: Permission denied"),
    ],
)
def test_a_program_that_is_not_there_is_named(temporary, text, complaint):
    with pytest.raises(UserError, match=complaint):
        visit(text)
    assert os.listdir(temporary) == []


@pytest.mark.parametrize(
    ("text", "workload", "complaint"),
    [
        ("./time {onx}", {}, "has no {onnx} for the network's file"),
        ("", {}, "--command is empty"),
        ("./time {onnx} {tflite}", {}, "has both {onnx} and {tflite}"),
        ("{onnx}", {}, "has no {onnx}"),
        ("./time '{onnx}", {}, "No closing quotation"),
        ("./time {onnx}", {"threads": 2}, "--threads 2 does not reach the --command"),
    ],
)
def test_a_command_that_cannot_be_is_refused_before_it_runs(text, workload, complaint):
    with pytest.raises(UserError) as caught:
        device(text, **workload)
    assert complaint in str(caught.value)


def test_the_command_is_part_of_the_description():
    described = device("tools/time {onnx}", r"took (\d+)").describe()
    assert described["device_name"].startswith("time on ")
    assert described["command"] == "tools/time {onnx}"
    assert described["command_pattern"] == r"took (\d+)"
