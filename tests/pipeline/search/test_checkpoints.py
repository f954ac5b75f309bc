"""Checkpoints of train_nas.py: a file that is none is named, with the field, before it is used."""

import itertools
from dataclasses import replace

import msgspec
import numpy as np
import pytest

from nas.constraint import Constraint
from nas.search_space import SearchSpace
from nas.supernet_search import SupernetSearch
from pipeline.search import checkpoints as supernet_checkpoints
from pipeline.search.checkpoints import LOSSES, Position, Values
from pipeline.search.options import parse_options
from utils import checkpoints
from utils.errors import UserError

SPACE = SearchSpace(32, 10, 0.25, 0.5, 3, base_widths=(32, 32, 32), strides=(1, 2, 2))
SUMS = dict.fromkeys(LOSSES, 0.5)


class Net:
    """A network of one weight."""

    def to_arrays(self):
        return {"network/weight": np.ones(2, np.float32)}


def open_search(limit=7.0):
    pairwise = [np.ones((a, b)) for a, b in zip(SPACE.sizes, SPACE.sizes[1:], strict=False)]
    return SupernetSearch(SPACE, [Constraint(pairwise, limit)], window=5)


def options(folder, *more, adaptive=True):
    """Return the options of a command line."""
    needed = "--data digits --latency-model m --latency-target 7 -b 4 --framework pytorch"
    needed = [*needed.split(), *(["--AOWS"] if adaptive else [])]
    return parse_options("", [*needed, "--resume-last", "--expname", str(folder), *more])


@pytest.fixture
def saved(tmp_path):
    """Return a folder with a checkpoint within the second epoch."""
    search = open_search()
    rng = np.random.default_rng(0)
    search.record(rng.integers(SPACE.sizes, size=(30, 3)), rng.random(30), np.zeros(30))
    supernet_checkpoints.save(options(tmp_path), Net().to_arrays(), search, Position(1, 2, SUMS))
    return tmp_path


def test_what_is_saved_is_loaded(saved):
    """Oracle: the arrays of the search."""
    search = open_search()
    position, _ = supernet_checkpoints.load(options(saved), search)
    assert position == Position(1, 2, SUMS)
    arrays, _ = checkpoints.load(checkpoints.latest(saved))
    for name, array in search.to_arrays().items():
        np.testing.assert_array_equal(arrays[f"windows/{name}"], array)


def test_another_search_space_is_refused_with_what_differs(saved):
    levels = replace(SPACE, levels=2)
    pairwise = [np.ones((a, b)) for a, b in itertools.pairwise(levels.sizes)]
    search = SupernetSearch(levels, [Constraint(pairwise, 7.0)], window=5)
    with pytest.raises(UserError, match=r"another search space\.levels: 3, now it is 2"):
        supernet_checkpoints.load(options(saved), search)


def test_another_way_to_draw_widths_is_warned_of_while_training_goes_on(tmp_path, capsys):
    """Oracle: by hand; what AOWS was steered for is kept, its warm-up is not."""
    adaptive, uniform = options(tmp_path), options(tmp_path, adaptive=False)
    other = open_search(limit=9.0)

    def loaded(asked, search):
        position, _ = supernet_checkpoints.load(asked, search)
        return position, capsys.readouterr().err

    def save(asked, position):
        supernet_checkpoints.save(asked, Net().to_arrays(), open_search(), position)

    save(adaptive, Position(5))  # of 5 epochs of warm-up
    assert loaded(uniform, other) == (Position(5), "")
    save(adaptive, Position(6))
    position, warnings = loaded(uniform, other)
    assert position.steered_for == [(7.0, "ms")]
    assert "AOWS trained" in warnings
    assert "was trained with --AOWS: without it the epochs to come draw" in warnings
    save(uniform, replace(position, epoch=7))
    position, warnings = loaded(options(tmp_path, "--epochs", "7", adaptive=False), other)
    assert (position.epoch, position.steered_for) == (7, [(7.0, "ms")])
    assert warnings.count("warning") == 1

    for epoch, is_late in ((3, False), (4, True)):
        folder = tmp_path / str(epoch)
        folder.mkdir()
        before = options(folder, adaptive=False)
        supernet_checkpoints.save(before, Net().to_arrays(), open_search(), Position(epoch))
        after = options(folder, "--AOWS-warmup", "3", "--epochs", "9")
        assert supernet_checkpoints.load(after, open_search())[0].steered_for is None
        assert ("without --AOWS, longer than --AOWS-warmup" in capsys.readouterr().err) == is_late


def test_a_first_start_with_resume_last_says_so(tmp_path, capsys):
    position, _ = supernet_checkpoints.load(options(tmp_path), open_search())
    assert position == Position()
    assert f"no checkpoint in {tmp_path}: training starts" in capsys.readouterr().out


OPTIONAL = ("framework", "init")
NOT_VALUES = [
    *(({name: msgspec.UNSET}, name) for name in Values.__struct_fields__ if name not in OPTIONAL),
    ({"epoch": "1"}, "epoch"),
    ({"epoch": -1}, "epoch"),
    ({"step": 1.5}, "step"),
    ({"loss_sums": [1]}, "loss_sums"),
    ({"loss_sums": {}}, "loss_sums"),
    ({"loss_sums": SUMS | {"full": float("nan")}}, "loss_sums"),
    ({"search_space": []}, "search_space"),
    ({"search_space": SPACE.as_dict() | {"levels": "3"}}, "search space"),
    ({"limits": [["7", "ms"]]}, "limits"),
    ({"batch_size": True}, "batch_size"),
    ({"init": {"file": "n.params", "sha256": "1f"}}, "init"),
]
NOT_WINDOWS = [
    ("window", np.array([5, 5])),
    ("window", np.array(np.inf)),
    ("window", np.array(-1)),
    ("window", np.array(1.5)),
    ("counts", np.zeros((3, 2), np.int64)),
    ("counts", np.full((3, 3), "3")),
    ("counts", np.full((3, 3), 3.0)),
    ("counts", np.full((3, 3), -3)),
    ("values", np.array(0.0)),
    ("values", np.full(45, np.nan)),
    ("values", np.zeros(45, "M8[s]")),
    ("values", np.zeros(44)),
    ("sums", np.zeros(3)),
    ("counts", None),
    ("values", None),
    ("window", None),
]


@pytest.mark.parametrize(("changed", "field"), NOT_VALUES)
def test_values_that_are_none_are_named(saved, changed, field):
    """Oracle: the file and the field are in the message; the folder is as before."""
    path = checkpoints.latest(saved)
    arrays, values = checkpoints.load(path)
    values = {n: v for n, v in (values | changed).items() if v is not msgspec.UNSET}
    checkpoints.save(path, arrays, values)
    with pytest.raises(UserError, match=rf"{path.name} .*{field}"):
        supernet_checkpoints.load(options(saved), open_search())
    assert [each.name for each in saved.iterdir()] == [path.name]


@pytest.mark.parametrize(("name", "array"), NOT_WINDOWS)
def test_windows_that_are_none_are_named(saved, name, array):
    """Oracle: the file and the array are in the message."""
    path = checkpoints.latest(saved)
    arrays, values = checkpoints.load(path)
    del arrays[f"windows/{name}"]
    if array is not None:
        arrays[f"windows/{name}"] = array
    checkpoints.save(path, arrays, values)
    with pytest.raises(UserError, match=rf"{path.name}.* windows/({name}|values)"):
        supernet_checkpoints.load(options(saved), open_search())


def test_a_file_of_train_final_is_named(saved):
    """Oracle: what train_final.py writes into its states."""
    path = saved / "mobilenet-best.states"
    checkpoints.save(path, {"updates": np.int64(3)}, {"epoch": 1, "framework": "pytorch"})
    asked = options(saved, "--resume", str(path))
    with pytest.raises(UserError, match=r"best\.states is not a checkpoint of train_nas\.py"):
        supernet_checkpoints.load(asked, open_search())


def test_of_a_damaged_newest_checkpoint_the_one_before_is_offered(saved):
    """Oracle: by hand; nothing is removed."""
    before = checkpoints.latest(saved)
    (saved / "checkpoint-0002.npz").write_bytes(b"PK torn")
    with pytest.raises(UserError, match=rf"0002\.npz is not a .* try --resume {before}"):
        supernet_checkpoints.load(options(saved), open_search())
    assert (
        supernet_checkpoints.load(options(saved, "--resume", str(before)), open_search())[0].epoch
        == 1
    )


def test_other_processes_save_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr("pipeline.search.checkpoints.rank", lambda: 1)
    supernet_checkpoints.save(options(tmp_path), Net().to_arrays(), open_search(), Position(1))
    assert not list(tmp_path.iterdir())
