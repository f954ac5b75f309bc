"""Event files are read back by tensorboardX's own messages and checksums."""

import resource
import subprocess
import sys
import time

import numpy as np
import pytest
from tensorboardX.proto.event_pb2 import SessionLog

from tests.helpers.event_files import events
from utils.tensorboard import ScalarLog


def test_scalars_are_read_back(tmp_path):
    """Oracle: tensorboardX; names beyond ASCII, large steps, long names, numbers of any kind."""
    points = [
        (1, {"loss/train": 2.5, "accuracy": np.float64(0.1)}),
        (2, {"loss/train": -1e-30, "accuracy": float("nan"), "τ": 7}),
        (300_000_000, {"n" * 200: np.float32(1e38)}),
    ]
    before = time.time()
    with ScalarLog(tmp_path) as log:
        for epoch, values in points:
            log.scalars(epoch, values)
    version, start, *rest = events(tmp_path)
    assert version.file_version == "brain.Event:2"
    assert (start.step, start.session_log.status) == (1, SessionLog.START)
    for event, (epoch, values) in zip(rest, points, strict=True):
        assert event.step == epoch
        assert before <= event.wall_time <= time.time()
        read = {value.tag: value.simple_value for value in event.summary.value}
        assert read.keys() == values.keys()
        for name, value in values.items():
            assert np.array_equal(np.float32(read[name]), np.float32(value), equal_nan=True)


def test_a_resumed_run_takes_back_later_epochs(tmp_path):
    """Oracle: tensorboardX: a start at a step tells TensorBoard to forget that step and later."""
    with ScalarLog(tmp_path / "deep" / "folder", done=5):
        pass
    _, start = events(tmp_path / "deep" / "folder")
    assert (start.step, start.session_log.status) == (6, SessionLog.START)


def test_without_a_folder_nothing_is_written(tmp_path, monkeypatch):
    """Oracle: the empty working folder."""
    monkeypatch.chdir(tmp_path)
    with ScalarLog(None) as log:
        log.scalars(1, {"loss": 1.0})
    assert not list(tmp_path.iterdir())


def test_a_full_disk_is_named(tmp_path):
    """Oracle: the path is in the error; a limit on the size of files stands for the full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    with ScalarLog(tmp_path) as log:
        (path,) = tmp_path.iterdir()
        resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size, hard))
        try:
            with pytest.raises(OSError, match=path.name):
                log.scalars(1, {"loss": 1.0})
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_two_logs_of_one_process_are_two_files(tmp_path):
    """Oracle: the number of files; both begin in the same second, unless the machine is slow."""
    for _ in range(2):
        with ScalarLog(tmp_path):
            pass
    assert len(list(tmp_path.iterdir())) == 2


def test_nothing_is_imported_without_a_folder():
    """Oracle: the modules of a process that has no folder for its curves."""
    code = (
        "import sys; from utils.tensorboard import ScalarLog; ScalarLog(None).scalars(1, {'a': 1});"
        "assert not {'torch', 'mxnet', 'tensorboardX'} & sys.modules.keys()"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
