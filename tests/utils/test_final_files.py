"""The pairs of files of train_final.py's epochs, written by a stand-in for a training."""

import numpy as np
import pytest

from utils import checkpoints, final_files
from utils.errors import UserError


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
    final_files.save(Training(f"{text} {epoch}"), folder, name, {"epoch": epoch, "best_top1": 0.5})


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_what_was_saved_comes_back(tmp_path):
    """Oracle: the arrays and values that were written."""
    save(tmp_path, 3)
    params, states = final_files.paths(tmp_path, "0003")
    assert names(tmp_path) == ["mobilenet-0003.params", "mobilenet-0003.states"]
    arrays, values = final_files.load_states(states, params, {"epoch": 3})
    assert (int(arrays["updates"]), values["best_top1"]) == (7, 0.5)


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


def test_the_newest_whole_pair_is_found(tmp_path):
    """Oracle: the epochs by hand, while one pair after the other is damaged."""
    nothing = (0, "", "")
    assert final_files.newest(tmp_path / "none", 9) == nothing
    for epoch in (2, 4, 10000):
        save(tmp_path, epoch)
    save(tmp_path, 5, final_files.BEST)

    def newest(last):
        return final_files.newest(tmp_path, last)

    assert newest(20000)[0] == 10000
    params, states = final_files.paths(tmp_path, "best")
    assert newest(9) == (5, str(params), str(states))  # later epochs are of another run
    params.write_text("new parameters, and then killed")
    assert newest(9)[0] == 4
    (tmp_path / "mobilenet-0004.states").write_bytes(b"cut")
    assert newest(9)[0] == 2
    (tmp_path / "mobilenet-0002.params").unlink()
    assert newest(9) == nothing


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
    final_files.forget_pairs_after(3, tmp_path)
    assert names(tmp_path) == sorted(pairs[3] + best + others)


def test_values_can_be_read_without_the_arrays_class(tmp_path):
    """Oracle: the file is an ordinary checkpoint."""
    save(tmp_path, 3)
    _, values = checkpoints.load(tmp_path / "mobilenet-0003.states")
    assert len(values["parameters"]) == 64  # SHA-256 in hexadecimal digits
