"""The stages of a check of a GPU, dry: their probes on the CPU, their commands parsed, not run."""

import json
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import pytest

from benchmarks import torch_supernet_step
from benchmarks.gpu_stages import (
    latency,
    machine,
    machine_probe,
    supernet,
    supernet_probe,
    timing_probe,
    training,
)
from benchmarks.gpu_stages.commands import LeftOut, Outcome, StageFailed
from benchmarks.gpu_stages.settings import FULL, MINIATURE
from benchmarks.gpu_stages.stage import Context, json_lines
from latency import build_parser
from nas.latency_table import LatencyTable
from nas.search_space import SearchSpace
from pipeline.final import options as final_options
from pipeline.search import options as search_options
from utils.metadata import Metadata

PARSERS = {
    "latency.py": lambda _, arguments: build_parser().parse_args(arguments),
    "train_nas.py": search_options.parse_options,
    "train_final.py": final_options.parse_options,
}
SAID = {
    "fit": "cross-validated error: 2.50 ± 0.30 % of the mean latency (5 folds)",
    "validate": "30 networks, mean latency 1 ms per image\nNRMSE 3.25 % of the mean, RMSE 0.1 ms, "
    "largest error 0.2 ms, rank correlation 0.9875",
}
ANSWER = {"latency_ms": 0.5, "configuration": [8] * 14, "accuracy": 0.5, "val_top1": 0.75,
          "images_per_s": 100.0}  # fmt: skip


class Parsed:
    """Commands that are parsed, not run; what scripts would write for other stages is written."""

    def __init__(self, output="", why=None, late=()):
        self.words, self._output, self._why, self._late = [], output, why, late

    def attempt(self, script, *words, limit_s=None):
        self.words.append((script, *words))
        if script not in PARSERS:
            return Outcome(self._output, self._why, 1.0)
        words = [str(word) for word in words]
        PARSERS[script]("", words)
        stage = words[0] if script == "latency.py" else None
        if stage == "generate":
            with open(words[-1], "a") as file:
                file.write("{}\n" * int(words[words.index("--count") + 1]))
        for name in {"--expname", "--save-dir"} & set(words):
            folder = Path(words[len(words) - words[::-1].index(name)])  # the last one counts
            folder.mkdir(exist_ok=True)
            (folder / "results.jsonl").write_text(json.dumps(ANSWER) + "\n")
        late = stage in self._late and "-K" not in words
        return Outcome(SAID.get(stage, "done"), "did not end within 1 s" if late else None, 2.0)

    def run(self, *words, limit_s=None):
        return self.attempt(*words).output

    def together(self, commands, limit_s=None):
        return [self.attempt(*words) for words in commands]

    def stage_left_s(self):
        return 100.0


def context_of(settings, folder, commands, results=None):
    folder = folder / "search"
    folder.mkdir(parents=True)
    return Context(settings, commands, folder, results or {})


def write_table(folder):
    space = SearchSpace(input_size=32, classes=49, min_width=0.25, max_width=1.0, levels=11)
    entries = {v: v.in_channels * v.out_channels / 1e6 + 1e-3 for v in space.variables}
    LatencyTable(entries, Metadata.of({"search_space": space.as_dict()})).save(
        folder / "model.jsonl"
    )


@pytest.mark.parametrize("settings", [FULL, MINIATURE], ids=["full", "miniature"])
def test_the_searches_commands_are_accepted(settings, tmp_path, monkeypatch):
    """Oracle: the scripts' own parsers; the answers are read where the scripts write them."""
    drawn = []
    monkeypatch.setattr(training, "open_dataset", lambda data, side, seed: drawn.append(data))
    context = context_of(settings, tmp_path, Parsed())
    write_table(context.folder)
    for stage in (*training.search_stages(), *training.other_stages(settings)):
        context.results[stage.name] = stage.run(context)
        assert stage.show(context.results[stage.name])
    scripts = [words[0] for words in context.commands.words]
    trainings = 3 * len(settings.seeds) + 1  # OWS, AOWS and uniform; one alone
    assert scripts.count("train_final.py") == trainings
    assert drawn == [settings.data]
    found = context.results[training.SEARCH]
    assert found["found"]["AOWS"]["configuration"] == [8] * 14
    table = LatencyTable.load(context.folder / "model.jsonl")
    assert table.predict(found["uniform"]) <= found["target_ms"]


@pytest.mark.parametrize("settings", [FULL, MINIATURE], ids=["full", "miniature"])
def test_a_tables_commands_are_accepted(settings, tmp_path):
    """Oracle: the parser; the errors that latency.py prints."""
    context = context_of(settings, tmp_path, Parsed())
    stage = latency.table_stages(settings)[0]
    result = stage.run(context)
    (row,) = result["tables"]
    assert (row["samples"], row["held_out"]) == (settings.samples[0], settings.held_out)
    assert (row["held_out_percent"], row["rank_correlation"]) == (3.25, 0.9875)
    assert (row["cross_validated_percent"], row["mean_ms"]) == (2.5, 1.0)
    assert "3.25 %" in "\n".join(stage.show(result))


def test_a_table_of_the_networks_that_there_was_time_for(tmp_path):
    """Oracle: the networks that are in the file when the time is over; too few make no table."""
    commands = Parsed(late={"generate", "fit"})
    context = context_of(MINIATURE, tmp_path, commands)
    with pytest.raises(StageFailed, match="did not end within") as failed:
        latency.table_stages(MINIATURE)[0].run(context)
    (row,) = failed.value.result["tables"]
    assert row["held_out_percent"] == 3.25
    assert [words[-2:] for words in commands.words if words[1] == "fit"][-1] == ("-K", "100.0")
    settings = replace(MINIATURE, samples=(latency.FEWEST - 1,))
    context = context_of(settings, tmp_path / "few", commands)
    with pytest.raises(StageFailed) as failed:
        latency.table_stages(settings)[0].run(context)
    assert "held_out_percent" not in failed.value.result["tables"][0]
    assert latency.show_tables(failed.value.result)


def test_every_way_of_timing_has_a_table():
    """Oracle: by hand: 100 and 300 networks, batches of 64 and 1, with and without a graph."""
    names = [stage.name for stage in latency.table_stages(FULL)]
    assert names[0] == "table of 100 networks, gpu, fp16, CUDA graph, batch 64"
    assert names[-1] == "table of 300 networks, gpu, fp32, batch 1"
    assert len(set(names)) == len(names) == 2 * 2 * 2 * 3


def test_the_timing_probe_times_and_shows_a_network_that_is_lacking(capsys, tmp_path):
    """Oracle: two passes over the same networks; a runtime that is not there is named."""
    timing_probe.main(["fp32", "--miniature"])
    timing_probe.main(["fp32", "--miniature", "--device", "trt"])
    output = capsys.readouterr().out
    measured, lacking = json_lines(output)
    assert measured["reference_ms"] > 0
    assert len(measured["cliffs"]["ms"]) == len(MINIATURE.cliff_widths)
    assert "trt" in lacking["why"]
    context = context_of(MINIATURE, tmp_path, Parsed(output))
    with pytest.raises(StageFailed, match="trt") as failed:
        latency.time_networks("fp32", context)
    assert "% from 504 to 512 channels" in "\n".join(latency.show_times(failed.value.result))


def test_cliffs_are_told_by_their_greatest_step():
    """Oracle: by hand."""
    cliffs = {"widths": [448, 456, 464], "ms": [1.0, 1.5, 1.2]}
    assert latency._cliff(cliffs) == "+50.0 % from 448 to 456 channels"


def test_the_supernet_probe_s_lines_are_shown(monkeypatch, capsys, tmp_path):
    """Oracle: on the CPU both gradients are the CPU's; the network is a narrow one."""
    narrow = partial(SearchSpace, min_width=0.05, max_width=0.15, levels=3)
    monkeypatch.setattr(torch_supernet_step, "SearchSpace", narrow)
    supernet_probe.main(["float32", "--miniature"])
    context = context_of(MINIATURE, tmp_path, Parsed(capsys.readouterr().out))
    result = supernet.time_steps("float32", False, context)
    assert result["gradients"] == {"0": 0.0, "4": 0.0}
    assert set(result["images_per_s"]) == {"G = 0", "G = 4", "plain", "full pass"}
    text = "\n".join(supernet.show_steps(MINIATURE, result))
    assert "| plain |" in text
    assert [line["outside"] for line in result["outside"]] == [0, 4]


def test_lack_of_memory_fails_a_stage_and_keeps_the_rest(tmp_path):
    """Oracle: lines as the probe prints them."""
    lines = [{"first": "plain", "why": "CUDA out of memory"}, {"images_per_s": {"G = 0": 9.0}}]
    output = "\n".join(map(json.dumps, lines))
    context = context_of(FULL, tmp_path, Parsed(output))
    with pytest.raises(StageFailed, match="plain: CUDA out of memory") as failed:
        supernet.time_steps("bfloat16", True, context)
    assert "| G = 0 | 9 | – |" in "\n".join(supernet.show_steps(FULL, failed.value.result))


@pytest.mark.parametrize("difference", [1.0, float("nan")])
def test_gradients_that_are_not_the_cpus_fail_a_stage(tmp_path, difference):
    """Oracle: a line as the probe prints it."""
    context = context_of(FULL, tmp_path, Parsed(json.dumps({"gradients": {"0": difference}})))
    with pytest.raises(StageFailed, match=r"gradients of G = 0 differ from the CPU's by (1e|nan)"):
        supernet.time_steps("bfloat16", False, context)


@pytest.mark.parametrize(
    ("cuda", "error", "why"),
    [
        (None, None, "was built without CUDA"),
        ("13.0", "The NVIDIA driver on your system is too old", "driver on your system is too old"),
    ],
)
def test_why_there_is_no_gpu(cuda, error, why):
    """Oracle: PyTorch's own words."""

    def init():
        raise RuntimeError(f"{error} (found version 11040).\nPlease update")

    version = SimpleNamespace(cuda=cuda)
    torch = SimpleNamespace(__version__="2.11", version=version, cuda=SimpleNamespace(init=init))
    assert why in machine_probe.gpu(torch)["why"]


def test_a_machine_that_lacks_something_says_what(tmp_path):
    """Oracle: lines as the probe prints them."""
    packages = dict.fromkeys((*machine_probe.NEEDED, *machine_probe.OPTIONAL), "1.0")
    told = {"packages": packages | {"numba": None, "cvxpy": "does not load: x"}, "gpu": {}}
    context = context_of(FULL, tmp_path, Parsed(json.dumps(told)))
    with pytest.raises(StageFailed, match="not installed, or does not load: numba, cvxpy"):
        machine.look(context)
    told = {"packages": packages, "gpu": {"why": "no driver"}}
    context.commands._output = json.dumps(told)
    with pytest.raises(StageFailed, match="no CUDA device: no driver"):
        machine.look(context)
    assert Context(MINIATURE, context.commands, tmp_path).miniature
    assert machine.look(Context(MINIATURE, context.commands, tmp_path)) == told


def test_pytests_counts_are_read(tmp_path):
    """Oracle: pytest's last line and its short summary."""
    output = "FAILED tests/a.py::b - no\n2 failed, 5 passed, 1 skipped in 3.00s\n"
    context = context_of(FULL, tmp_path, Parsed(output, why="pytest: status 1"))
    with pytest.raises(StageFailed) as failed:
        machine.gpu_tests(context)
    result = failed.value.result
    assert result["counts"] == {"failed": 2, "passed": 5, "skipped": 1}
    assert result["failed"] == ["FAILED tests/a.py::b - no"]
    assert machine.show_tests(result)


def test_what_tensorrt_needs_is_left_out_without_it(tmp_path):
    results = {machine.MACHINE: {"packages": {"tensorrt": None, "tensorrt_rtx": "does not load"}}}
    context = context_of(FULL, tmp_path, Parsed(), results)
    for stage in latency.tensorrt_stages(FULL):
        with pytest.raises(LeftOut, match=r"tensorrt(_rtx)? (is not installed|does not load)"):
            stage.run(context)
