"""Batches through worker processes: the same images, and errors that neither hide nor hang."""

import importlib
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from tests.helpers.numbered_images import (
    KEYS,
    Numbers,
    children,
    die,
    fail,
    group,
    hang,
    outlive_the_parent,
    running_children,
)
from utils.errors import UserError
from utils.images.batches import DatasetBatches
from utils.images.open_dataset import open_dataset


@pytest.fixture(params=["gluon", "pytorch"])
def batches(request):
    """The reader of one framework after the other."""
    return importlib.import_module(f"models.{request.param}.batches").batches


def to_numpy(array):
    """Return an array of either framework as NumPy's."""
    return array.asnumpy() if hasattr(array, "asnumpy") else array.numpy()


@pytest.mark.parametrize("workers", [0, 1, 3])
def test_batches_come_in_the_order_of_the_keys(batches, workers):
    """Oracle: image i is filled with i."""
    seen = list(batches(Numbers(), KEYS, workers))
    assert len(seen) == 10
    for keys, batch in zip(KEYS, seen, strict=True):
        images, labels = map(to_numpy, batch)
        assert labels.tolist() == [index for _, index in keys]
        assert images.dtype == np.float32
        assert images.shape == (4, 3, 2, 2)
        assert np.all(images == labels.reshape(4, 1, 1, 1))


@pytest.mark.parametrize("workers", [0, 2])
def test_an_error_in_a_worker_reaches_the_parent(batches, workers):
    """Oracle: the dataset's own message."""
    with pytest.raises(UserError, match=r"^image 17 is broken$"):
        list(batches(Numbers(fail), KEYS, workers))


@pytest.mark.parametrize("at_17", [die, hang])
def test_a_lost_worker_is_an_error_and_not_a_hang(batches, at_17):
    """Oracle: the error comes although the worker never answers, and no process stays."""
    with pytest.raises(UserError, match="data worker was killed or has read nothing for 2 s"):
        list(batches(Numbers(at_17), KEYS, workers=2, timeout_s=2))
    assert not children()


def test_a_worker_killed_while_idle_is_noticed(batches):
    """Oracle: as above; an idle worker holds a lock of the pool that nobody can take back."""
    reader = batches(Numbers(), KEYS, workers=1, timeout_s=2)
    next(reader)
    time.sleep(0.3)  # by now it has read ahead and waits
    for child in running_children():
        os.kill(child, signal.SIGKILL)
    with pytest.raises(UserError, match="data worker was killed"):
        list(reader)
    assert not children()


def test_no_worker_outlives_a_closed_reader(batches):
    """Oracle: the list of this process' children."""
    reader = batches(Numbers(), KEYS, workers=2)
    next(reader)
    assert len(running_children()) == 2
    reader.close()
    assert not children()


@pytest.mark.parametrize(
    ("at_17", "number", "status", "last"),
    [
        (hang, signal.SIGINT, 130, "interrupted\n"),
        (hang, signal.SIGTERM, -signal.SIGTERM, ""),
        (outlive_the_parent, signal.SIGKILL, -signal.SIGKILL, ""),  # and sends a batch to nobody
    ],
)
def test_a_signal_ends_everything(batches, at_17, number, status, last):
    """Oracle: the status, one line at most, and soon no process of the group is left.

    The interrupt goes to all processes, as a terminal sends it, the others to the first one only.
    """
    what = at_17.__name__
    code = (
        "import sys; sys.path.insert(0, '.')\n"
        f"from tests.helpers.numbered_images import KEYS, Numbers, {what}\n"
        f"from {batches.__module__} import batches\n"
        "from utils.errors import exits_with_one_line\n"
        "@exits_with_one_line\n"
        "def main():\n"
        f"    for _ in batches(Numbers({what}), KEYS, workers=2): print('batch', flush=True)\n"
        "main()"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    process.stdout.readline()
    (os.killpg if number == signal.SIGINT else os.kill)(process.pid, number)
    _, errors = process.communicate(timeout=120)  # until the last of them has closed the pipes
    assert (process.returncode, errors) == (status, last)
    assert not group(process.pid)


def test_negative_workers_are_refused(batches):
    """Oracle: the number is in the message."""
    with pytest.raises(UserError, match="-1"):
        list(batches(Numbers(), KEYS, -1))


@pytest.mark.parametrize("workers", [0, 2])
def test_dataset_batches_cover_an_epoch(batches, workers):
    """Oracle: the dataset itself, image by image, and counting."""
    train, val = open_dataset("digits", 8, seed=1)
    data = DatasetBatches(train, val, batch_size=250, workers=workers, seed=1, read=batches)
    assert (data.classes, data.steps, data.val_steps) == (10, 5, 2)
    train_batches, val_batches = list(data.train_batches(3)), list(data.val_batches())
    assert [len(labels) for _, labels in train_batches] == [250] * 5
    assert [len(labels) for _, labels in val_batches] == [250, 110]
    labels = np.concatenate([to_numpy(labels) for _, labels in val_batches])
    assert np.array_equal(labels, val.labels)
    images = np.concatenate([to_numpy(images) for images, _ in val_batches])
    assert np.array_equal(images[300], val[(0, 300)][0])
