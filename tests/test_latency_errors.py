"""What a user can get wrong at latency.py: one line, status 2, and nothing is written."""

import importlib
import json
import os
import subprocess
import sys

import numpy as np
import pytest

import latency
from nas.latency_table import LatencyTable
from nas.search_space import SearchSpace
from tests.helpers.stand_in_device import StandInDevice, law_ms
from utils.json_lines import write_lines, write_metadata
from utils.metadata import Metadata

SPACE = SearchSpace(32, 10, levels=2)
TINY = ["-D", "cpu", "--input-size", "32", "--classes", "10", "-I", "2", "-W", "0", "-B", "1"]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder with samples, a model of the same space, and models that do not fit them."""
    monkeypatch.chdir(tmp_path)
    lines = [[list(c), law_ms(c)] for c in (SPACE.smallest, SPACE.largest)]
    metadata = {"device": "cpu", "search_space": SPACE.as_dict()}
    write_lines("s.jsonl", lines)
    write_metadata("s.jsonl", Metadata.of(metadata))
    for name, space in (("m", SPACE), ("other", SearchSpace(64, 10)), ("classes", SearchSpace(32))):
        entries = {variable: 0.1 for variable in space.variables}
        LatencyTable(entries, Metadata.of({"search_space": space.as_dict()})).save(f"{name}.jsonl")
    entries = dict(list(LatencyTable.load("m.jsonl").entries.items())[:10])
    entries |= dict(list(LatencyTable.load("m.jsonl").entries.items())[13:])
    LatencyTable(entries, Metadata.of({"search_space": SPACE.as_dict()})).save("lacking.jsonl")
    return tmp_path


def fails(capsys, *command):
    """Run a command that must fail; returns its one line, and checks that it wrote nothing."""
    before = {name: os.stat(name).st_mtime_ns for name in os.listdir()}
    capsys.readouterr()
    with pytest.raises(SystemExit) as exit_:
        latency.main([str(part) for part in command])
    assert exit_.value.code == 2
    output = capsys.readouterr()
    lines = [line for line in output.err.splitlines() if not line.startswith("warning: ")]
    assert len(lines) == 1, output.err
    assert lines[0].startswith("error: ")
    assert {name: os.stat(name).st_mtime_ns for name in os.listdir()} == before
    return lines[0]


BAD_SAMPLES = [
    ("", "s.jsonl is empty"),
    ("[[8, 8], 1.0]\n", "s.jsonl, line 1: configuration has 2 widths"),
    ("[[" + "7, " * 13 + "7], 1.0]\n", "s.jsonl, line 1: width 7 is not in layer 1: choose from"),
    ("not JSON\n", "s.jsonl, line 1: not JSON"),
    ("[[8, 8, 8", "s.jsonl, line 1: not JSON"),
    ("{}\n", "s.jsonl, line 1: expected"),
]


@pytest.mark.parametrize(("content", "complaint"), BAD_SAMPLES)
@pytest.mark.parametrize("stage", ["fit", "validate"])
def test_bad_samples(folder, capsys, stage, content, complaint):
    (folder / "s.jsonl").write_text(content)
    command = ["fit", "s.jsonl", "new.jsonl"]
    if stage == "validate":
        command = ["validate", "s.jsonl", "m.jsonl", "new.png"]
    assert complaint in fails(capsys, *command)


def test_a_truncated_last_line_is_named(folder, capsys):
    content = (folder / "s.jsonl").read_bytes()
    (folder / "s.jsonl").write_bytes(content[:-8])
    assert "s.jsonl, line 2: not JSON" in fails(capsys, "fit", "s.jsonl", "new.jsonl")


def test_a_weight_that_no_table_could_state_is_refused_before_the_fit(folder, capsys):
    message = fails(capsys, "fit", "s.jsonl", "new.jsonl", "-K", "1e300")
    assert (
        "-K/--regularize: '1e300' is not a number of at least 0, at most 1000000000000" in message
    )


@pytest.mark.parametrize(
    "command",
    [
        ("fit", "none.jsonl", "new.jsonl"),
        ("validate", "none.jsonl", "m.jsonl", "new.png"),
        ("validate", "s.jsonl", "none.jsonl", "new.png"),
        ("benchmark", *TINY, "MOBILENET", "--latency-model", "none.jsonl"),
    ],
)
def test_a_missing_file_is_named(folder, capsys, command):
    assert "none.jsonl: No such file or directory" in fails(capsys, *command)


@pytest.mark.parametrize(
    ("model", "complaint"),
    [
        (
            "lacking.jsonl",
            "lacking.jsonl lacks 3 of the 40 variables of the search space, the first",
        ),
        ("other.jsonl", "of the search space, the first is layer 1"),
        ("classes.jsonl", "lacks 2 of the 40 variables of the search space, the first is the cl"),
        ("s.jsonl", "s.jsonl, line 1: expected [layer type with channels, latency_ms]"),
    ],
)
def test_a_model_that_does_not_fit_the_samples(folder, capsys, model, complaint):
    assert complaint in fails(capsys, "validate", "s.jsonl", model, "new.png")


def test_a_model_of_another_input_size_is_refused_before_anything_is_timed(folder, capsys):
    command = ["benchmark", *TINY, "MOBILENET", "--latency-model", "other.jsonl"]
    assert "other.jsonl was made for --input-size 64, not for 32" in fails(capsys, *command)


@pytest.mark.parametrize(
    ("command", "complaint"),
    [
        ("fit s.jsonl s.jsonl", "s.jsonl would be written over s.jsonl, which is read"),
        ("fit none.jsonl s.jsonl", "s.jsonl exists and is not a latency table"),
        ("fit s.jsonl m.jsonl --curve m.jsonl", "m.jsonl and m.jsonl are the same file"),
        ("fit s.jsonl new.jsonl --curve s.jsonl", "s.jsonl would be written over s.jsonl"),
        ("validate s.jsonl m.jsonl m.jsonl", "m.jsonl would be written over m.jsonl"),
        ("validate s.jsonl m.jsonl m.jsonl.meta.json", "written over m.jsonl.meta.json"),
        ("validate none.jsonl m.jsonl other.jsonl", "other.jsonl exists and is not a picture"),
        ("report m.jsonl m.jsonl", "m.jsonl would be written over m.jsonl"),
        ("report none.jsonl s.jsonl", "s.jsonl exists and is not a page"),
    ],
)
def test_nothing_is_written_over_what_is_read_or_of_another_kind(
    folder, capsys, command, complaint
):
    before = {path: path.read_bytes() for path in folder.iterdir()}
    assert complaint in fails(capsys, *command.split())
    assert {path: path.read_bytes() for path in folder.iterdir()} == before


@pytest.mark.parametrize(
    "line", ['{"threads": "1"}', '{"fit": null}', '{"protocol": 1}', '{"x": 1e999}', "\xff", "["]
)
def test_bad_metadata_are_one_line_that_names_the_file(folder, capsys, line):
    """Whichever of the files it stands beside."""
    for path in ("s.jsonl", "m.jsonl"):
        beside = folder / f"{path}.meta.json"
        good = beside.read_bytes()
        beside.write_bytes(line.encode("latin-1"))
        for stage in ("fit s.jsonl new.jsonl", "validate s.jsonl m.jsonl new.png"):
            if path in stage:
                assert f"error: {path}.meta.json" in fails(capsys, *stage.split())
        beside.write_bytes(good)


def test_files_that_were_not_measured_alike(folder, capsys):
    write_lines("t.jsonl", [[list(SPACE.smallest), 1.0]])
    write_metadata("t.jsonl", Metadata.of({"device": "gpu", "search_space": SPACE.as_dict()}))
    message = fails(capsys, "fit", "s.jsonl", "t.jsonl", "new.jsonl")
    assert "device is 'cpu' in the first and 'gpu' in the second" in message


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (["MOBILENET", "16,32"], "configuration has 2 widths"),
        (["0xMOBILENET"], "multiplier must be greater than 0"),
        (["wide"], "is not a list of widths"),
        (["MOBILENET", "--device", "tpu"], "invalid choice: 'tpu'"),
        (["MOBILENET", "--iterations", "0"], "'0' is not a whole number of at least 1"),
        (["MOBILENET", "--batch-size", "many"], "'many' is not a whole number"),
        (["MOBILENET", "--iterations", "9" * 20], "at least 1, at most 10000000"),
        (["MOBILENET", "--tf32"], "--tf32 goes with --device gpu or trt, not with cpu"),
        (["MOBILENET", "--cuda-graph"], "--cuda-graph goes with --device gpu or trt"),
        (["MOBILENET", "--channels-last"], "--channels-last goes with --device gpu"),
        (["MOBILENET", "--command-timeout", "3"], "--command-timeout goes with --command"),
        (["MOBILENET", "--warmup-time", "nan"], "'nan' is not a number of at least 0"),
        (["MOBILENET", "--colour", "red"], "unrecognized arguments: --colour red"),
        ([], "required: configurations"),
    ],
)
def test_bad_options_of_benchmark(folder, capsys, options, complaint):
    assert complaint in fails(capsys, "benchmark", *TINY, *options)


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (["--min-width", "0"], "'0' is not a number greater than 0"),
        (["--min-width", "2"], "width multipliers must satisfy"),
        (["--levels", "0"], "'0' is not a whole number of at least 1"),
        (["--count", "-1"], "'-1' is not a whole number of at least 1"),
        (["--seed", "-1"], "'-1' is not a whole number of at least 0"),
    ],
)
def test_bad_options_of_generate(folder, capsys, options, complaint):
    assert complaint in fails(capsys, "generate", *TINY, *options, "new.jsonl")


def test_generate_refuses_other_settings_and_leaves_the_file(folder, capsys, monkeypatch):
    monkeypatch.setattr(
        latency, "open_device", lambda name, workload, host: StandInDevice(workload)
    )
    latency.main(["generate", *TINY, "-N", "2", "g.jsonl"])
    message = fails(capsys, "generate", *TINY, "-N", "4", "--batch-size", "3", "g.jsonl")
    assert "g.jsonl was begun with other settings: batch_size was 1, now it is 3" in message


@pytest.mark.parametrize("model", ["m.jsonl", "s.jsonl"])
def test_generate_does_not_append_to_what_is_no_samples_file(folder, capsys, monkeypatch, model):
    monkeypatch.setattr(
        latency, "open_device", lambda name, workload, host: StandInDevice(workload)
    )
    assert "was begun with other settings" in fails(capsys, "generate", *TINY, model)


def test_a_device_that_is_not_there_is_named(folder, capsys):
    torch = importlib.import_module("torch")
    if torch.cuda.is_available():
        pytest.skip("this machine has a CUDA device")
    command = ["generate", *TINY, "-D", "gpu", "new.jsonl"]
    assert "device gpu: PyTorch finds no CUDA device" in fails(capsys, *command)


@pytest.mark.parametrize(
    ("device", "package"),
    [
        ("cpu", "torch"),
        ("onnxruntime", "onnxruntime"),
        ("openvino", "openvino"),
        ("trt", "tensorrt"),
    ],
)
def test_a_runtime_that_is_not_installed_is_named(folder, capsys, monkeypatch, device, package):
    for name in list(sys.modules):
        if name.startswith("utils.devices.") or name.startswith("models.torch"):
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, package, None)
    command = ["benchmark", *TINY, "-D", device, "MOBILENET"]
    expected = f"device {device} needs the Python package '{package}'"
    assert expected in fails(capsys, *command)


def test_the_real_script_ends_with_one_line_and_status_2(folder):
    script = os.path.abspath(latency.__file__)
    process = subprocess.run(
        [sys.executable, script, "fit", "none.jsonl", "new.jsonl"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert process.returncode == 2
    assert process.stderr == "error: none.jsonl: No such file or directory\n"
    assert not (folder / "new.jsonl").exists()


def test_a_line_of_numpys_floats_is_read(folder):
    """Other tools write whole widths as floats; they are the same widths."""
    widths = np.array(SPACE.largest, dtype=float).tolist()
    (folder / "s.jsonl").write_text(json.dumps([widths, 1.5]) + "\n")
    latency.main(["fit", "s.jsonl", "new.jsonl", "-K", "1"])
    assert LatencyTable.load("new.jsonl").predict(SPACE.largest) > 0
