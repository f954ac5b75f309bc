"""The order, the time and the report of a check of a GPU, on stages that are made up here."""

import json

import pytest

from benchmarks.gpu import FULL, MINIATURE, SECONDS, run_all, stages_of
from benchmarks.gpu_stages import commands as commands_module
from benchmarks.gpu_stages.commands import Commands, LeftOut, StageFailed
from benchmarks.gpu_stages.stage import Context, Stage


class Clock:
    """Seconds that go by when a stage says so."""

    def __init__(self):
        self.seconds = 0.0

    def __call__(self):
        return self.seconds


def show(result):
    return [f"it is {result['value']}"]


def stage(name, run=lambda context: {"value": 1}, cost_s=10, **settings):
    return Stage(name, cost_s, run, show, **{"on_gpu": False, **settings})


def check(stages, folder, settings=MINIATURE, seconds=100, clock=None):
    """Run stages; returns ({name: (status, why)}, the report)."""
    folder.mkdir(exist_ok=True)
    commands = Commands(folder / "log", seconds, clock or Clock())
    lines = run_all(stages, Context(settings, commands, folder), folder)
    found = {name: (line["status"], line["why"]) for name, line in lines.items()}
    return found, (folder / "report.md").read_text()


def test_a_stage_that_no_longer_fits_is_left_out(tmp_path):
    """Oracle: by hand, 100 s less 3 for the report; the second stage takes 70."""
    clock = Clock()

    def slow(context):
        clock.seconds += 70
        return {"value": context.commands.left_s()}

    stages = [stage("a"), stage("slow", slow, 70), stage("b", cost_s=28), stage("c", cost_s=27)]
    found, report = check(stages, tmp_path, clock=clock)
    assert found == {
        "a": ("done", None),
        "slow": ("done", None),
        "b": ("left out", "takes about 28 s, 27 s were left"),
        "c": ("done", None),
    }
    assert "Stages: 3 done, 1 left out." in report
    assert "it is 27.0" in report


def test_what_fails_is_told_and_the_others_go_on(tmp_path):
    def half(context):
        raise StageFailed("out of memory", {"value": "half"})

    def absent(context):
        raise LeftOut("tensorrt is not installed")

    def broken(context):
        return 1 / 0

    stages = [stage("half", half), stage("absent", absent), stage("broken", broken)]
    stages += [stage("after", needs=("half",)), stage("last")]
    found, report = check(stages, tmp_path)
    assert found == {
        "half": ("failed", "out of memory"),
        "absent": ("left out", "tensorrt is not installed"),
        "broken": ("failed", "ZeroDivisionError: division by zero"),
        "after": ("left out", "needs the stage “half”"),
        "last": ("done", None),
    }
    assert "## half (failed: what there is)\n\nit is half" in report


def test_a_second_run_goes_on(tmp_path):
    """Oracle: the stages that ran; the results of the first run reach those of the second."""
    ran = []

    def noted(name, fails=False):
        def run(context):
            ran.append(name)
            if fails:
                raise StageFailed("no")
            return {"value": context.results.get("a", {"value": name})["value"]}

        return run

    check([stage("a", noted("a")), stage("b", noted("b", fails=True))], tmp_path)
    stages = [stage("a", noted("a again")), stage("b", noted("b again"), needs=("a",))]
    found, _ = check(stages, tmp_path)
    assert ran == ["a", "b", "b again"]
    assert found == {"a": ("done", None), "b": ("done", None)}
    lines = [json.loads(line) for line in (tmp_path / "results.jsonl").read_text().splitlines()]
    assert [line["stage"] for line in lines] == ["a", "b", "b"]
    assert lines[-1]["result"] == {"value": "a"}


def test_without_a_gpu_only_the_machine_is_told(tmp_path):
    def look(context):
        told = {"value": 0, "gpu": {"why": "the driver is too old"}}
        raise StageFailed("no CUDA device: the driver is too old", told)

    stages = [stage("machine", look), stage("timing", on_gpu=True), stage("clocks afterwards")]
    found, _ = check(stages, tmp_path, FULL)
    assert found["timing"] == ("left out", "no CUDA device: the driver is too old")
    assert found["clocks afterwards"] == ("done", None)


@pytest.mark.parametrize("settings", [FULL, MINIATURE], ids=["full", "miniature"])
def test_stages_have_names_of_their_own_and_need_earlier_ones(settings):
    names = []
    for each in stages_of(settings):
        assert each.name not in names
        assert set(each.needs) <= set(names)
        names.append(each.name)


def test_what_matters_most_fits_into_the_time():
    """One step, one table and the whole search come before what may be left out."""
    costs = {each.name: each.cost_s for each in stages_of(FULL)}
    names = list(costs)
    first = names[: names.index("from scratch") + 1]
    assert {"OWS and AOWS", "verify", "supernet step, bfloat16"} < set(first)
    assert sum(costs[name] for name in first) <= SECONDS


def test_commands_run_side_by_side_and_say_why_they_fail(tmp_path):
    """Oracle: by hand; a command that fails says its last line that names an error."""
    commands = Commands(tmp_path / "log", 600)
    fails = ("-c", "import sys; print('error: no such thing\\nbye', file=sys.stderr); sys.exit(2)")
    failed, well = commands.together([fails, ("-c", "print('é')")])
    assert failed.why.endswith("status 2: error: no such thing")
    assert (well.output, well.why) == ("é\n", None)
    with pytest.raises(StageFailed, match="no such thing"):
        commands.run(*fails)
    assert commands.together([]) == []
    assert "$ python -c" in (tmp_path / "log").read_text()


@pytest.mark.parametrize("ignores", [False, True])
def test_a_command_ends_with_its_time(tmp_path, monkeypatch, ignores):
    """Oracle: its answer would come after minutes; one that ignores interrupts is killed."""
    monkeypatch.setattr(commands_module, "PATIENCE_S", 0.2)
    commands = Commands(tmp_path / "log", 600)
    code = "import signal, time; signal.signal(signal.SIGINT, signal.SIG_IGN); " if ignores else ""
    code += "import time; time.sleep(600)"
    commands.start_stage(0.5)
    assert commands.stage_left_s() <= 0.5
    assert "did not end within 0 s" in commands.attempt("-c", code).why
