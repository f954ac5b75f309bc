"""The pairs of files of train_final.py's epochs, written by a stand-in for a training."""

import contextlib
import os

import numpy as np
import pytest

from pipeline.final import files as final_files
from utils import checkpoints
from utils.errors import UserError

VALUES = {"val_top1": 0.25, "best_top1": 0.5, "configuration": [8] * 14, "framework": "mxnet"}


class Training:
    """Writes a text as parameters."""

    def __init__(self, text="weights"):
        self.text = text

    def save_parameters(self, path):
        path.write_text(self.text)

    def optimiser_arrays(self):
        return {"updates": np.int64(7)}


def save(folder, epoch, name=None, text="weights"):
    """Write a pair of an epoch."""
    name = name or final_files.of_epoch(epoch)
    final_files.save(Training(f"{text} {epoch}"), folder, name, VALUES | {"epoch": epoch})


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_networks_file_may_have_moved(tmp_path):
    """Oracle: the file's own name."""
    final_files.save(Training(), tmp_path, "x", VALUES | {"epoch": 1, "network": "mine.py"})
    params, states = final_files.paths(tmp_path, "x")
    loaded = final_files.load_states(states, params, {"network": "elsewhere/mine.py"})[1]
    assert loaded.network == "mine.py"
    with pytest.raises(UserError, match=r"is of network mine\.py, not of elsewhere/other\.py"):
        final_files.load_states(states, params, {"network": "elsewhere/other.py"})


def test_what_was_saved_comes_back(tmp_path):
    """Oracle: the arrays and values that were written."""
    save(tmp_path, 3)
    params, states = final_files.paths(tmp_path, "0003")
    assert names(tmp_path) == ["mobilenet-0003.params", "mobilenet-0003.states"]
    arrays, values = final_files.load_states(states, params, {"epoch": 3})
    assert (int(arrays["updates"]), values.best_top1) == (7, 0.5)


def test_states_of_others_are_refused(tmp_path):
    """Oracle: file and difference are in the message."""
    save(tmp_path, 3)
    save(tmp_path, 4)
    params, states = final_files.paths(tmp_path, "0003")
    with pytest.raises(UserError, match=r"0003\.states is of epoch 3, not of 4"):
        final_files.load_states(states, params, {"epoch": 4})
    other = final_files.paths(tmp_path, "0004")[0]
    with pytest.raises(UserError, match=r"0003\.states is of other parameters than .*0004"):
        final_files.load_states(states, other, {})


def test_states_that_are_not_finite_leave_the_last_pair(tmp_path):
    save(tmp_path, 3)
    training = Training("diverged")
    training.optimiser_arrays = lambda: {"momentum": np.array([0.0, np.nan])}
    with pytest.raises(UserError, match=r"0003\.states is not written, as momentum holds"):
        final_files.save(training, tmp_path, "0003", VALUES | {"epoch": 3})
    assert final_files.paths(tmp_path, "0003")[0].read_text() == "weights 3"
    assert names(tmp_path) == ["mobilenet-0003.params", "mobilenet-0003.states"]


def test_the_newest_whole_pair_is_found(tmp_path):
    """Oracle: the epochs by hand, while one pair after the other is damaged and named."""
    assert final_files.newest(tmp_path / "none") == ((0, "", ""), [])
    for epoch in (2, 4, 10000):
        save(tmp_path, epoch)
    save(tmp_path, 5, final_files.BEST)

    assert final_files.newest(tmp_path) == ((10000, *final_files.paths(tmp_path, "10000")), [])
    (tmp_path / "mobilenet-10000.params").unlink()
    pair, (problem,) = final_files.newest(tmp_path)
    assert pair == (5, *final_files.paths(tmp_path, "best"))
    assert "mobilenet-10000.params is missing" in problem
    pair.params.write_text("a bad disk")
    pair, problems = final_files.newest(tmp_path)
    assert pair.epoch == 4
    assert "mobilenet-best.states is of other parameters" in problems[0]
    (tmp_path / "mobilenet-0004.states").write_bytes(b"cut")
    assert final_files.newest(tmp_path)[0].epoch == 2
    (tmp_path / "mobilenet-0002.states").unlink()
    pair, problems = final_files.newest(tmp_path)
    assert pair == (0, "", "")
    assert len(problems) == 4


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"epoch": "1"}, "epoch: expected `int`, got `str`"),
        ({"epoch": 0}, "epoch"),
        ({"best_top1": "x"}, "best_top1"),
        ({"val_top1": float("nan")}, "val_top1"),
        ({"best_top1": 1.5}, "best_top1"),
        ({"configuration": [8, "8"]}, "configuration"),
        ({"framework": "jax"}, "framework"),
        ({"parameters": "abc"}, "parameters"),
    ],
)
def test_values_of_wrong_types_are_named(tmp_path, change, field):
    """Oracle: the file and the field are in the message, and the pair is no whole one."""
    save(tmp_path, 3)
    params, states = final_files.paths(tmp_path, "0003")
    arrays, values = checkpoints.load(states)
    checkpoints.save(states, arrays, values | change)
    with pytest.raises(UserError, match=rf"0003\.states is not a states file.*{field}"):
        final_files.load_states(states, params)
    assert final_files.epoch_of(tmp_path, "0003") == 0


@pytest.mark.parametrize("values", [[], *({**VALUES, "epoch": 3, n: ...} for n in VALUES)])
def test_missing_values_are_named(tmp_path, values):
    """Oracle: the file is in the message."""
    save(tmp_path, 3)
    params, states = final_files.paths(tmp_path, "0003")
    if isinstance(values, dict):
        values = {name: value for name, value in values.items() if value is not ...}
    checkpoints.save(states, {}, values)
    with pytest.raises(UserError, match=r"0003\.states is not a states file"):
        final_files.load_states(states, params)


class Killed(BaseException):
    """Ends a process in mid-action."""


@pytest.mark.parametrize(("renames", "epoch"), [(0, 2), (1, 3), (2, 3), (3, 3)])
def test_a_kill_leaves_the_old_pair_or_the_new_one(tmp_path, monkeypatch, renames, epoch):
    """Oracle: by hand: the new pair counts once its states are on the disk under any name."""
    save(tmp_path, 2, final_files.BEST)
    exports = ["mobilenet-best.onnx", "mobilenet-best.tflite"]
    for name in exports:
        (tmp_path / name).write_text("of epoch 2")
    left, replace = iter(range(renames)), os.replace

    def replace_until_killed(*paths):
        if next(left, None) is None:
            raise Killed
        replace(*paths)

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", replace_until_killed)
        with contextlib.suppress(Killed):
            save(tmp_path, 3, final_files.BEST)
    final_files.finish_pairs(tmp_path)
    pair, problems = final_files.newest(tmp_path)
    assert (pair.epoch, problems) == (epoch, [])
    assert pair.params.read_text() == f"weights {epoch}"
    kept = exports if epoch == 2 else []  # they go with their parameters
    assert names(tmp_path) == sorted([*kept, "mobilenet-best.params", "mobilenet-best.states"])


def test_what_a_killed_process_left_half_done_is_removed(tmp_path):
    """Oracle: the names by hand: those that this module writes, and nobody else's."""
    ours = [".mobilenet-best.params", ".mobilenet-0003.states", "..mobilenet-0003.states.x1y"]
    ours += ["..mobilenet-0003.params.partial", ".mobilenet-best.onnx.abc"]
    others = [".mobilenet-notes", ".results", "mobilenet-0003.params"]
    for name in ours + others:
        (tmp_path / name).write_text("half")
    final_files.finish_pairs(tmp_path)
    assert names(tmp_path) == sorted(others)


def test_old_pairs_are_removed_and_the_best_stays(tmp_path):
    """Oracle: the names by hand."""
    for epoch in (1, 2, 3, 12):
        save(tmp_path, epoch)
    save(tmp_path, 1, final_files.BEST)
    (tmp_path / "mobilenet-0001x.params").write_text("somebody else's")
    final_files.keep_newest(2, tmp_path)
    best = ["mobilenet-best.params", "mobilenet-best.states"]
    others = ["mobilenet-0001x.params"]
    pairs = {e: [f"mobilenet-{e:04d}.params", f"mobilenet-{e:04d}.states"] for e in (3, 12)}
    assert names(tmp_path) == sorted(pairs[3] + pairs[12] + best + others)
    final_files.keep_newest(5, tmp_path)
    assert names(tmp_path) == sorted(pairs[3] + pairs[12] + best + others)
    assert final_files.names_after(3, tmp_path) == ["0012"]


def test_pairs_are_set_aside_with_their_exports(tmp_path):
    """Oracle: the names by hand; a second time, another folder."""
    save(tmp_path, 1)
    save(tmp_path, 2)
    (tmp_path / "results.jsonl").write_text("lines")
    kinds = ("onnx", "params", "states", "tflite")
    for kind in ("onnx", "tflite"):
        (tmp_path / f"mobilenet-0002.{kind}").write_text("exported")
    target = final_files.set_aside(["0002"], tmp_path)
    assert names(target) == [*(f"mobilenet-0002.{kind}" for kind in kinds), "results.jsonl"]
    kept = ["mobilenet-0001.params", "mobilenet-0001.states", "results.jsonl"]
    assert names(tmp_path) == ["earlier-1", *kept]
    assert final_files.set_aside(["0001"], tmp_path).name == "earlier-2"


def test_values_can_be_read_without_the_arrays_class(tmp_path):
    """Oracle: the file is an ordinary checkpoint."""
    save(tmp_path, 3)
    _, values = checkpoints.load(tmp_path / "mobilenet-0003.states")
    assert len(values["parameters"]) == 64  # SHA-256 in hexadecimal digits
