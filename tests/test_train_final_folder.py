"""train_final.py's --save-dir: kills at every moment, damage, and a second training in it."""

import contextlib
import json
import os
import shutil
from pathlib import Path

import pytest

import train_final
from pipeline.final import files as final_files
from pipeline.final import validation
from pipeline.final.options import parse_options
from pipeline.final.resume import check_paths
from tests.helpers import final_stand_in
from tests.helpers.final_stand_in import contents, run
from utils import checkpoints
from utils.errors import UserError
from utils.json_lines import Appender


@pytest.fixture(autouse=True)
def _stand_in(monkeypatch):
    final_stand_in.use(monkeypatch)


class Killed(BaseException):
    """Ends a process in mid-action."""


@contextlib.contextmanager
def killed_before(monkeypatch, action):
    """End the block before its file action of this number; yield a list of one item if it was."""
    count, killed = iter(range(action)), []

    def counted(function):
        def wrapped(*arguments, **keywords):
            if next(count, None) is None:
                killed[:] = [True]
                raise Killed
            return function(*arguments, **keywords)

        return wrapped

    with monkeypatch.context() as patch:
        for owner, name in (
            (os, "replace"),
            (os, "truncate"),
            (os, "link"),
            (shutil, "copyfile"),
            (Path, "unlink"),
            (Path, "mkdir"),
            (Path, "write_text"),
            (Appender, "append"),
        ):
            patch.setattr(owner, name, counted(getattr(owner, name)))
        with contextlib.suppress(Killed):
            yield killed


def copies_before_kills(monkeypatch, tmp_path, start, *options):
    """Yield copies of the folder `start`; in each a run was killed, an action later than before."""
    for action in range(1000):
        folder = tmp_path / f"killed{action}" / "s"
        if start:
            shutil.copytree(start, folder)
        with killed_before(monkeypatch, action) as killed:
            run(folder, *options)
        if not killed:
            return
        yield folder


def pairs(folder):
    """Return the parameters of all whole pairs, wherever in the folder."""
    found = set()
    for states in folder.rglob("mobilenet-*.states"):
        params = states.with_suffix(".params")
        with contextlib.suppress(ValueError):
            final_files.load_states(states, params)
            found.add(params.read_text())
    return found


@pytest.mark.parametrize("options", [["--save-frequency", 1], ["--keep", 1, "--num-epochs", 3]])
def test_a_run_killed_at_any_moment_becomes_the_straight_one(monkeypatch, tmp_path, options):
    """Oracle: the files of a straight run, and no others; the log, which has times, is apart."""
    options = ["--save-frequency", 2, "--num-epochs", 2, *options, "--resume-last"]
    wanted = run(tmp_path / "straight" / "s", *options)
    kills = 0
    for folder in copies_before_kills(monkeypatch, tmp_path, None, *options):
        assert run(folder, *options) == wanted, folder.parent.name
        assert not list(folder.glob("earlier-*"))
        kills += 1
    assert kills > 20


def test_so_does_one_whose_resumption_is_killed_too(monkeypatch, tmp_path):
    """Oracle: the straight run; the first kill left a pair that was not yet in its place."""
    options = ["--save-frequency", 1, "--num-epochs", 2, "--resume-last"]
    wanted = run(tmp_path / "straight" / "s", *options)
    killed = copies_before_kills(monkeypatch, tmp_path / "once", None, *options)
    start = next(f for f in killed if [*f.glob(".mobilenet-0001.s*")] and [*f.glob("*-best.s*")])
    for folder in copies_before_kills(monkeypatch, tmp_path / "twice", start, *options):
        assert run(folder, *options) == wanted, folder.parent.name


def test_a_fresh_start_killed_at_any_moment_loses_nothing(monkeypatch, tmp_path):
    """Oracle: every pair of the run before is still whole, in the folder or set aside."""
    run(tmp_path / "old" / "s", "--num-epochs", 4, "--save-frequency", 1)
    old = pairs(tmp_path / "old")
    assert len(old) == 4
    options = ["--num-epochs", 1, "--seed", 5]
    for folder in copies_before_kills(monkeypatch, tmp_path, tmp_path / "old" / "s", *options):
        assert pairs(folder) >= old, folder.parent.name


def test_a_second_training_sets_the_first_aside(tmp_path, capsys):
    """Oracle: the files of a training in an empty folder, and all those of the first."""
    options = ["--num-epochs", 1, "--seed", 5]
    wanted = run(tmp_path / "new", *options)
    first = run(tmp_path / "used", "--num-epochs", 3, "--save-frequency", 1)
    assert run(tmp_path / "used", *options) == wanted
    assert contents(tmp_path / "used" / "earlier-1") == first
    assert "is now in" in capsys.readouterr().out
    run(tmp_path / "used", *options)
    assert contents(tmp_path / "used" / "earlier-2") == wanted


def test_parameters_from_elsewhere_set_a_folders_own_run_aside(tmp_path):
    """Oracle: lines and pairs of the resumed run only."""
    run(tmp_path / "other", "--num-epochs", 2, "--save-frequency", 1, "--seed", 5)
    first = run(tmp_path / "used", "--num-epochs", 3, "--save-frequency", 1)
    params, states = final_files.paths(tmp_path / "other", "0002")
    resume = ["--resume-epoch", 2, "--resume-params", params, "--resume-states", states]
    found = run(tmp_path / "used", "--num-epochs", 3, "--seed", 5, *resume)
    assert [epoch for epoch, _ in found["results.jsonl"]] == [3]
    assert {name for name in found if "mobilenet" in name} == {
        f"mobilenet-0003.{kind}" for kind in ("params", "states", "onnx")
    }
    assert contents(tmp_path / "used" / "earlier-1") == first


def test_going_back_to_an_epoch_sets_the_later_ones_aside(tmp_path):
    """Oracle: the straight run; the later pairs are in the other folder."""
    options = ["--num-epochs", 4, "--save-frequency", 1]
    wanted = run(tmp_path / "s", *options)
    params, states = final_files.paths(tmp_path / "s", "0002")
    resume = ["--resume-epoch", 2, "--resume-params", params, "--resume-states", states]
    found = run(tmp_path / "s", *options, *resume)
    assert found == wanted
    aside = set(contents(tmp_path / "s" / "earlier-1"))
    assert {"mobilenet-0003.params", "mobilenet-0004.params", "results.jsonl"} <= aside


def test_going_back_behind_the_best_epoch_leaves_a_best_one(tmp_path, capsys):
    """Oracle: by hand: epochs 1 and 2 have 0.2 and 0.6; without the second, the first is best."""
    options = ["--num-epochs", 2, "--save-frequency", 1]
    run(tmp_path / "s", *options)
    params, states = final_files.paths(tmp_path / "s", "0001")
    resume = ["--resume-epoch", 1, "--resume-params", params, "--resume-states", states]
    run(tmp_path / "s", "--num-epochs", 1, *resume)
    assert "epoch 1 is the best of what is left" in capsys.readouterr().err
    assert checkpoints.load(tmp_path / "s" / "mobilenet-best.states")[1]["epoch"] == 1


@pytest.mark.parametrize("options", [[], ["--resume-last"]])
def test_a_second_run_at_the_same_time_is_refused_and_changes_nothing(tmp_path, capsys, options):
    """Oracle: the files, hidden ones too, and one line."""
    run(tmp_path / "s", "--num-epochs", 2)
    (tmp_path / "s" / ".mobilenet-best.params").write_text("being written")
    before = {path: path.read_bytes() for path in (tmp_path / "s").iterdir()}
    with Appender(tmp_path / "s" / "results.jsonl"), pytest.raises(SystemExit):
        run(tmp_path / "s", "--num-epochs", 1, *options)
    assert "results.jsonl is being written by another process" in capsys.readouterr().err
    assert {path: path.read_bytes() for path in (tmp_path / "s").iterdir()} == before


# Damage, and --resume-last


@pytest.fixture
def trained(tmp_path):
    """Return the folder of a run of three epochs, of which the second is the best."""
    run(tmp_path / "s", "--num-epochs", 3, "--save-frequency", 1)
    return tmp_path / "s"


def resume(folder):
    return run(folder, "--num-epochs", 4, "--save-frequency", 1, "--resume-last")


@pytest.mark.parametrize("damage", ["lost", "bad byte", "wrong type"])
def test_lost_or_damaged_results_do_not_forget_the_training(trained, capsys, damage):
    """Oracle: the pairs from before, the lines that can be read, and the file as it was."""
    path = trained / "results.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    pairs_before = pairs(trained)
    if damage == "lost":
        path.unlink()
    else:
        lines[1] = lines[1].replace(b'"epoch"', b'"ep\xffch"')
        if damage == "wrong type":
            lines[1] = b'{"epoch": "2"}\n'
        path.write_bytes(b"".join(lines))
    found = resume(trained)
    warnings = capsys.readouterr().err
    assert pairs(trained) > pairs_before
    if damage == "lost":
        assert "results.jsonl has no line of epoch 3" in warnings
        assert [epoch for epoch, _ in found["results.jsonl"]] == [4]
    else:
        assert "results.jsonl: lines that cannot be read are left out: [2]" in warnings
        assert [epoch for epoch, _ in found["results.jsonl"]] == [1, 3, 4]
        assert (trained / "earlier-1" / "results.jsonl").read_bytes() == b"".join(lines)


def test_a_damaged_newest_pair_is_named_and_the_one_before_goes_on(trained, capsys):
    """Oracle: the straight run; the damaged pair's parameters are set aside."""
    params, states = final_files.paths(trained, "0003")
    damaged = params.read_text()
    os.truncate(states, 100)
    found = resume(trained)
    assert [epoch for epoch, _ in found["results.jsonl"]] == [1, 2, 3, 4]
    assert "0003.states is not a checkpoint or is damaged" in capsys.readouterr().err
    assert (trained / "earlier-1" / params.name).read_text() == damaged


def test_a_damaged_best_pair_is_named_and_another_one_is_the_best(trained, capsys):
    """Oracle: the third epoch, then the fourth, which is better; the parameters are set aside."""
    params, states = final_files.paths(trained, "best")
    states.unlink()
    run(trained, "--num-epochs", 3, "--save-frequency", 1, "--resume-last")
    warnings = capsys.readouterr().err
    assert "mobilenet-best.states is not a file" in warnings
    assert "epoch 3 is the best of what is left" in warnings
    assert checkpoints.load(states)[1]["epoch"] == 3
    assert (trained / "earlier-1" / params.name).read_text() == "0 2.0"
    resume(trained)
    assert checkpoints.load(states)[1]["epoch"] == 4


def test_without_a_whole_pair_nothing_starts_and_nothing_changes(trained, capsys):
    """Oracle: the bytes from before; the damaged files are in the line."""
    for states in trained.glob("*.states"):
        os.truncate(states, 100)
    before = {path: path.read_bytes() for path in trained.iterdir()}
    with pytest.raises(SystemExit):
        resume(trained)
    (line,) = capsys.readouterr().err.splitlines()
    for name in ("best", "0003", "0002"):
        assert f"mobilenet-{name}.states is not a checkpoint or is damaged" in line
    assert "; and 1 more. Go on" in line
    assert {path: path.read_bytes() for path in trained.iterdir()} == before


def test_a_start_from_the_beginning_is_said(tmp_path, capsys):
    """Oracle: the line; without --resume-last there is none."""
    options = ["--num-epochs", 1]
    run(tmp_path / "a", *options, "--resume-last")
    said = "holds no saved epoch: training starts from the beginning"
    assert said in capsys.readouterr().out
    run(tmp_path / "b", *options)
    assert said not in capsys.readouterr().out


def test_learning_rates_go_by_epochs_when_the_batches_change(trained, monkeypatch, capsys):
    """Oracle: 3 epochs of 5 updates, which the warning tells, and one more; not 3 of 2."""
    monkeypatch.setattr(final_stand_in.Data, "steps", 5)
    resume(trained)
    assert (
        "after 6 updates, with this data and batch size it would be 15" in capsys.readouterr().err
    )
    assert checkpoints.load(trained / "mobilenet-0004.states")[0]["updates"] == 20


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("--save-dir /dev/null", "--save-dir: /dev/null is not a folder"),
        ("--save-dir /dev/null/x", "--save-dir: /dev/null is not a folder"),
        ("--save-dir {}/caf\udce9", "is not UTF-8"),
        ("--logging-file {}", "is a folder"),
        ("--logging-file {}/results.jsonl", "are the same file, but both are written"),
        ("--logging-file /dev/null/log", "--logging-file: /dev/null is not a folder"),
        ("--tensorboard /dev/null", "--tensorboard: /dev/null is not a folder"),
        ("--resume-params {}/x.params", "x.params does not exist"),
        ("--resume-params /dev/null --resume-states {}/x", "does not exist"),
    ],
)
def test_paths_are_checked_before_training(tmp_path, capsys, options, message):
    """Oracle: one line; nothing is written."""
    with pytest.raises(SystemExit):
        run(tmp_path, *options.format(tmp_path).split())
    (line,) = capsys.readouterr().err.splitlines()
    assert message in line
    assert not list(tmp_path.iterdir())


def test_the_log_is_no_file_that_is_read(tmp_path):
    """Neither an input nor a binary file, whatever its name."""

    def check(*options):
        save = ["--configuration", "MOBILENET", "--save-dir", str(tmp_path / "s")]
        check_paths(parse_options("", [*save, *options]))

    records = tmp_path / "train.rec"
    records.write_bytes(b"\n#\xd7\xce\0")
    command = ["--logging-file", str(records)]
    with pytest.raises(UserError, match=r"would be written over .*train\.rec, which is read"):
        check(*command, "--use-rec", "--rec-train", str(records))
    records.write_bytes(b"\xce\xd7#\0")
    with pytest.raises(UserError, match=r"train\.rec exists and is not a log"):
        check(*command)
    check("--logging-file", os.devnull)


def test_a_log_into_a_device_is_a_log(tmp_path, monkeypatch):
    """Oracle: the run; the folder of /dev/null cannot be written to by everybody."""
    monkeypatch.setattr(os, "access", lambda path, mode: str(path) != "/dev")
    assert run(tmp_path / "s", "--num-epochs", 1, "--logging-file", "/dev/null")


def test_results_of_wrong_types_are_foreign(tmp_path, capsys):
    """Oracle: one line that names file and line; the file is as it was."""
    path = tmp_path / "results.jsonl"
    path.write_text(json.dumps({"epoch": "x"}) + "\n")
    with pytest.raises(SystemExit):
        run(tmp_path, "--num-epochs", 1)
    assert "results.jsonl, line 1 is not of train_final.py" in capsys.readouterr().err
    assert path.read_text() == '{"epoch": "x"}\n'


def test_processes_that_see_different_files_end_in_one_line(trained, capsys, monkeypatch):
    """Oracle: a sum over two processes that is not twice this one's."""
    before = {path: path.read_bytes() for path in trained.iterdir()}
    monkeypatch.setattr(final_stand_in.Training, "sum_over_processes", lambda self, value: value)
    monkeypatch.setattr(final_stand_in.Training, "world_size", 2)
    with pytest.raises(SystemExit):
        resume(trained)
    assert "not all processes see the same files" in capsys.readouterr().err
    assert {path: path.read_bytes() for path in trained.iterdir()} == before


def test_only_the_first_process_writes(tmp_path, monkeypatch):
    """Oracle: an empty folder, and the log is not there."""
    monkeypatch.setattr(final_stand_in.Training, "rank", 1)
    monkeypatch.setattr(validation, "wait_for_first", lambda training: None)
    run(tmp_path / "s", "--num-epochs", 2, "--save-frequency", 1, "--resume-last")
    assert not list(tmp_path.iterdir())


def test_an_export_without_a_readable_validation_image_ends_in_one_line(tmp_path):
    """The images were read when it was trained, and are broken when it is exported again."""
    params, data = tmp_path / "n.params", final_stand_in.Data()
    params.write_text("weights")
    data.val_batches = lambda: iter(())
    with pytest.raises(UserError, match="none of the validation images can be read"):
        train_final.export(final_stand_in.Training(), data, None, params, {}, None)
