"""Checkpoints: what goes in comes out, and nothing in a file is ever executed."""

import io
import json
import pickle
import resource
import subprocess
import sys
import zipfile

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from utils.checkpoints import (
    checkpoint_path,
    floats,
    integers,
    keep_newest,
    latest,
    load,
    save,
)
from utils.errors import UserError
from utils.json_types import Finite, Natural, checked


class Bomb:
    """Unpickling this writes a file: proof that code ran."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return (open, (self.path, "w"))


arrays_strategy = st.dictionaries(
    st.text(st.characters(codec="utf-8", exclude_characters="\0\\"), min_size=1, max_size=12),
    hnp.arrays(
        st.sampled_from(["f2", "f4", "f8", "i1", "i8", "u4", "?", "<U5"]),
        hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4),
    ),
    max_size=4,
)
json_strategy = st.dictionaries(
    st.text(max_size=5),
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    max_size=4,
)


@settings(max_examples=60)
@given(arrays_strategy, json_strategy)
def test_what_is_saved_is_loaded(tmp_path_factory, arrays, values):
    """Oracle: the identity, bit for bit, for any names, types, shapes and values."""
    path = tmp_path_factory.mktemp("checkpoints") / "c.npz"
    save(path, arrays, values)
    loaded, loaded_values = load(path)
    assert loaded_values == values
    assert loaded.keys() == arrays.keys()
    for name, array in arrays.items():
        assert loaded[name].dtype == array.dtype
        assert loaded[name].shape == array.shape
        assert loaded[name].tobytes() == array.tobytes()


def test_objects_are_refused_and_the_last_good_file_stays(tmp_path):
    """Oracle: the file from before; pickle would have taken the object."""
    path = tmp_path / "c.npz"
    save(path, {"a": np.arange(3)}, {"epoch": 1})
    with pytest.raises(TypeError, match="'bad' holds Python objects"):
        save(path, {"bad": np.array([object()])}, {})
    with pytest.raises(TypeError):
        save(path, {}, {"bad": object()})
    assert load(path)[1] == {"epoch": 1}
    assert [p.name for p in tmp_path.iterdir()] == ["c.npz"]


def test_a_pickle_in_a_checkpoint_runs_no_code(tmp_path):
    """Oracle: the file that unpickling would write is not there; NumPy itself would write it."""
    proof = tmp_path / "code-ran"
    bomb = np.array([Bomb(proof)], dtype=object)
    npy, npz, bare = tmp_path / "a.npy", tmp_path / "a.npz", tmp_path / "bare.npz"
    np.save(npy, bomb)
    np.savez(npz, **{"values": json.dumps({}), "arrays/a": bomb})
    bare.write_bytes(pickle.dumps(Bomb(proof)))
    for path in (npy, npz, bare):
        with pytest.raises(UserError, match=path.name):
            load(path)
    with zipfile.ZipFile(npz, "w") as archive:  # as the JSON values, too
        content = io.BytesIO()
        np.save(content, bomb)
        archive.writestr("values.npy", content.getvalue())
    with pytest.raises(UserError, match=npz.name):
        load(npz)
    assert not proof.exists()
    np.load(npy, allow_pickle=True)
    assert proof.exists()


def test_truncated_files_are_named(tmp_path):
    """Oracle: every cut of a valid file is an error that names it."""
    path = tmp_path / "c.npz"
    save(path, {"weight": np.arange(500.0), "bias": np.arange(5)}, {"epoch": 1})
    content = path.read_bytes()
    for size in range(0, len(content), 41):
        path.write_bytes(content[:size])
        with pytest.raises(UserError, match=r"c\.npz is not a checkpoint or is damaged"):
            load(path)


@settings(max_examples=200)
@given(st.integers(0, 2**32))
def test_damaged_files_end_in_one_error(tmp_path_factory, seed):
    """Oracle: with bytes overwritten, loading gives the saved arrays or a UserError, no other."""
    path = tmp_path_factory.getbasetemp() / "damaged.npz"
    arrays = {"weight": np.arange(50.0), "bias": np.arange(5)}
    save(path, arrays, {"epoch": 1})
    rng = np.random.default_rng(seed)
    content = np.frombuffer(path.read_bytes(), dtype=np.uint8).copy()
    where = rng.integers(len(content), size=rng.integers(1, 20))
    content[where] = rng.integers(256, size=len(where))
    path.write_bytes(content.tobytes())
    try:
        loaded, _ = load(path)
    except UserError as error:
        assert "damaged.npz" in str(error)
    else:
        assert all(np.array_equal(array, arrays.get(name)) for name, array in loaded.items())


@pytest.mark.parametrize(
    "content", [b"", b"text\n", b"\x93NUMPY\x01\x00", b"PK\x05\x06" + bytes(18)]
)
def test_foreign_files_are_named(tmp_path, content):
    """Oracle: the path is in the message."""
    path = tmp_path / "foreign.npz"
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"foreign\.npz"):
        load(path)
    with pytest.raises(UserError, match=r"missing\.npz is not a file"):
        load(tmp_path / "missing.npz")


def test_a_full_disk_keeps_the_last_good_checkpoint(tmp_path):
    """Oracle: the checkpoint from before, and no other file, when writing stops half-way."""
    path = tmp_path / "c.npz"
    save(path, {"a": np.arange(3)}, {"epoch": 1})
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    try:
        with pytest.raises(OSError, match=r"c\.npz"):
            save(path, {"a": np.zeros(50_000)}, {"epoch": 2})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    arrays, values = load(path)
    assert values == {"epoch": 1}
    assert arrays["a"].tolist() == [0, 1, 2]
    assert [p.name for p in tmp_path.iterdir()] == ["c.npz"]


def test_a_kill_while_saving_keeps_a_whole_checkpoint(tmp_path):
    """Oracle: after SIGKILL at several moments, the file loads and is one that was saved."""
    path = tmp_path / "c.npz"
    save(path, {"a": np.full(100_000, 0)}, {"epoch": 0})
    code = (
        "import sys, numpy as np; from utils.checkpoints import save\n"
        "print('ready', flush=True)\n"
        "for n in range(1, 10**6): save(sys.argv[1], {'a': np.full(100_000, n)}, {'epoch': n})"
    )
    for delay_s in (0.02, 0.05, 0.11):
        process = subprocess.Popen(
            [sys.executable, "-c", code, str(path)], stdout=subprocess.PIPE, text=True
        )
        process.stdout.readline()
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(delay_s)
        process.kill()
        process.communicate()
        arrays, values = load(path)
        assert np.all(arrays["a"] == values["epoch"])


def test_latest_is_the_one_after_the_most_epochs(tmp_path):
    """Oracle: by hand; other files, also a half-written one, do not count."""
    assert latest(tmp_path) is None
    assert latest(tmp_path / "missing") is None
    for epoch in (2, 10, 9):
        save(checkpoint_path(tmp_path, epoch), {}, {"epoch": epoch})
    (tmp_path / ".checkpoint-0099.npz.x").touch()
    (tmp_path / "checkpoint-last.npz").touch()
    assert latest(tmp_path) == checkpoint_path(tmp_path, 10)
    assert load(latest(tmp_path))[1] == {"epoch": 10}


def test_only_the_newest_checkpoints_are_kept(tmp_path):
    """Oracle: by hand; files of other names stay."""
    for epoch in (1, 2, 10, 9):
        save(checkpoint_path(tmp_path, epoch), {}, {})
    (tmp_path / "checkpoint-last.npz").touch()
    keep_newest(tmp_path, 2)
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["checkpoint-0009.npz", "checkpoint-0010.npz", "checkpoint-last.npz"]
    keep_newest(tmp_path, 5)
    assert len(list(tmp_path.iterdir())) == 3


class Example(msgspec.Struct, frozen=True):
    """Values of a checkpoint."""

    epoch: Natural
    sums: dict[str, Finite] = {}


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ([], "object"),
        ({}, "epoch"),
        ({"epoch": "1"}, "epoch"),
        ({"epoch": -1}, "epoch"),
        ({"epoch": True}, "epoch"),
        ({"epoch": 1.5}, "epoch"),
        ({"epoch": 1, "sums": [1]}, "sums"),
        ({"epoch": 1, "sums": {"full": float("nan")}}, "sums"),
        ({"epoch": 1, "sums": {"full": float("-inf")}}, "sums"),
    ],
)
def test_values_of_other_types_are_named(values, field):
    """Oracle: file and field are in the message."""
    with pytest.raises(UserError, match=rf"c\.npz is not a checkpoint: .*{field}"):
        checked(values, Example, "c.npz is not a checkpoint")
    good = {"epoch": 2, "sums": {"full": 1}}
    assert checked(good, Example, "c.npz") == Example(2, {"full": 1})


@pytest.mark.parametrize(
    "array",
    [
        np.ones(2).astype(dtype)
        for dtype in ("M8[s]", "m8[s]", "S4", "U4", "c8", "?", "i4", np.longdouble, "V8")
    ]
    + [np.array([1, bad]) for bad in (np.nan, np.inf, 1e300)],
    ids=str,
)
def test_arrays_that_are_no_finite_numbers_are_named(array):
    """Oracle: file and array are in the message; 1e300 is infinite in single precision."""
    with pytest.raises(UserError, match=r"c\.npz: weight holds"):
        floats(array, "weight", "c.npz", np.float32)


@pytest.mark.parametrize(
    "array", [np.array(bad) for bad in ("x", -5, 1.0, np.inf, True, 2**63)] + [np.array([1, 2])]
)
def test_numbers_that_are_not_whole_are_named(array):
    """Oracle: file and array are in the message."""
    with pytest.raises(UserError, match=r"c\.npz: updates h"):
        integers(array, "updates", "c.npz")


def test_arrays_of_another_shape_are_named():
    """Oracle: by hand."""
    with pytest.raises(UserError, match=r"w has shape \(2,\), expected \(3,\)"):
        floats(np.ones(2), "w", "c.npz", shape=(3,))


def test_arrays_of_the_other_byte_order_are_loaded_as_what_they_are(tmp_path):
    """Oracle: the numbers."""
    save(tmp_path / "c.npz", {"a": np.arange(3, dtype=">f4")}, {})
    array = load(tmp_path / "c.npz")[0]["a"]
    assert array.dtype.isnative
    assert array.tolist() == [0, 1, 2]
