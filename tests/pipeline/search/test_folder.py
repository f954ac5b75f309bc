"""The folder of train_nas.py: no run mixes with another, and nothing that was trained is lost."""

import json

import pytest

from pipeline.search.checkpoints import Position
from pipeline.search.folder import SearchFolder
from pipeline.search.settings import Run
from utils import checkpoints
from utils.errors import UserError

STEPS = 4  # of an epoch


def options(folder, **changed):
    return Run(expname=str(folder), **changed)


def result(epoch):
    return {"epoch": epoch, "configuration": [8], "latency_ms": 1, "target_ms": 2.0, "score": -0.5}


def decision(progress):
    line = {"progress": progress, "temperature": 0.5, "configuration": None}
    return line | {"probabilities": [[1.0]]}


def write(path, lines):
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))


def lines_of(path, key):
    return [json.loads(line)[key] for line in path.read_text().splitlines()]


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


def trained(folder, epochs, checkpointed):
    """Make the files of a training; checkpointed: epochs or (epochs, steps)."""
    folder.mkdir()
    write(folder / "results.jsonl", [result(epoch + 1) for epoch in range(epochs)])
    write(folder / "aows.jsonl", [decision(step / STEPS) for step in range(STEPS * epochs)])
    (folder / "pareto.png").write_bytes(b"of the end")
    for epoch in checkpointed:
        checkpoints.checkpoint_path(folder, epoch).write_bytes(b"network %d" % epoch)
    return folder


def begin(asked, start):
    with SearchFolder(asked) as folder:
        folder.begin(start, STEPS, is_adaptive=True)


@pytest.mark.parametrize("left", ["checkpoint-0002.npz", "results.jsonl", "aows.jsonl"])
def test_a_training_begun_anew_in_a_used_folder_is_refused(tmp_path, left):
    """Oracle: the files from before; the message says how to go on."""
    folder = trained(tmp_path / "exp", 2, [2])
    for path in list(folder.iterdir()):
        if path.name != left:
            path.unlink()
    with pytest.raises(UserError, match=rf"exp holds a training \({left}\): .*--resume-last"):
        SearchFolder(options(folder))
    assert (folder / left).read_bytes()
    SearchFolder(options(folder, resume_last=True)).__exit__()


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("mobilenet-best.params", {}),
        ("results.jsonl", {"epoch": 1, "configuration": [8], "val_top1": 0.5}),
        ("results.jsonl", {"step": 1, "acc": 0.5}),
        ("results.jsonl", result(1) | {"epoch": "1"}),
        ("results.jsonl", []),
        ("aows.jsonl", {"progress": 0.5}),
    ],
)
@pytest.mark.parametrize("resume_last", [False, True])
def test_the_folder_of_another_program_is_refused_by_name(tmp_path, name, line, resume_last):
    """Oracle: the files from before, and no other one."""
    write(tmp_path / name, [line])
    before = contents(tmp_path)
    with pytest.raises(UserError, match=rf"{name}.* of train_.*choose another --expname"):
        SearchFolder(options(tmp_path, resume_last=resume_last))
    assert contents(tmp_path) == before


def test_a_second_run_at_once_is_refused(tmp_path):
    with (
        SearchFolder(options(tmp_path)),
        pytest.raises(UserError, match="is being written by another process"),
    ):
        SearchFolder(options(tmp_path))


def test_a_kill_costs_the_epoch_that_had_no_checkpoint_only(tmp_path, capsys):
    """Oracle: the lines by hand; a torn one is cut."""
    folder = trained(tmp_path / "exp", 3, [1, 2])
    with (folder / "results.jsonl").open("a") as file:
        file.write('{"epoch": 4')
    begin(options(folder, resume_last=True), Position(2))
    assert lines_of(folder / "results.jsonl", "epoch") == [1, 2]
    assert lines_of(folder / "aows.jsonl", "progress")[-1] == 1.75
    assert not list(folder.glob("abandoned*"))
    assert "trained after 2 epochs has no checkpoint: trained again" in capsys.readouterr().out
    begin(options(folder, resume_last=True), Position(1, 2))
    assert lines_of(folder / "aows.jsonl", "progress")[-1] == 1.25


def test_going_on_from_an_earlier_checkpoint_sets_the_later_training_aside(tmp_path, capsys):
    """Oracle: every file of before is in one of the two folders, whole."""
    folder = trained(tmp_path / "exp", 6, [4, 5, 6])
    before = contents(folder)
    asked = options(folder, resume=str(folder / "checkpoint-0004.npz"))
    begin(asked, Position(4))
    aside = folder / "abandoned-1"
    assert contents(aside) | {"checkpoint-0004.npz": b"network 4"} == before
    assert [path.name for path in folder.glob("*.npz")] == ["checkpoint-0004.npz"]
    assert lines_of(folder / "results.jsonl", "epoch") == [1, 2, 3, 4]
    assert lines_of(folder / "aows.jsonl", "progress")[-1] == 3.75
    assert not (folder / "pareto.png").exists()
    assert f"trained after 4 epochs is set aside in {aside}" in capsys.readouterr().out
    begin(asked, Position(4))
    assert not (folder / "abandoned-2").exists()  # nothing was trained since


def test_results_without_their_checkpoints_are_set_aside(tmp_path):
    """Oracle: the lines from before."""
    folder = trained(tmp_path / "exp", 3, [])
    before = contents(folder)
    begin(options(folder, resume_last=True), Position())
    assert contents(folder / "abandoned-1") == before
    assert not (folder / "results.jsonl").read_text()


def test_a_checkpoint_of_another_folder_is_continued_in_a_new_one_only(tmp_path):
    """Oracle: by hand."""
    other = tmp_path / "other.npz"
    used, killed = trained(tmp_path / "used", 3, [3]), trained(tmp_path / "killed", 3, [])
    with pytest.raises(UserError, match=r"checkpoint-0003\.npz is of another training"):
        SearchFolder(options(used, resume=str(other)))
    before = contents(killed)
    begin(options(killed, resume=str(other)), Position(3))
    assert contents(killed / "abandoned-1") == before
    assert not (killed / "results.jsonl").read_text()
    begin(options(tmp_path / "new", resume=str(other)), Position(3))


def test_other_processes_write_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr("pipeline.search.folder.rank", lambda: 1)
    with SearchFolder(options(tmp_path / "exp", tensorboard=str(tmp_path / "tb"))) as folder:
        folder.begin(Position(), STEPS, is_adaptive=True)
        folder.append_result(result(1))
        folder.append_decision(decision(0.5))
    assert not list(tmp_path.iterdir())
