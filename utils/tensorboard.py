"""Event files that TensorBoard shows (tensorboard --logdir DIR)."""

import contextlib
import os
import socket
import time
from pathlib import Path


class ScalarLog:
    """Curves of numbers over epochs, in a new event file of a folder; none without a folder.

    tensorboardX's SummaryWriter would write from its own thread: what it has not written yet is
    lost in a kill, and a full disk ends only the thread. Here records are written at once.
    """

    def __init__(self, folder, done=0):
        """
        folder: None to write nothing
        done:   epochs done; TensorBoard forgets what an earlier run wrote about later ones
        Raises OSError that names the file, as does `scalars`.
        """
        self._file = None
        if folder is None:
            return
        # Here: it imports PyTorch where that is installed.
        from tensorboardX import RecordWriter

        folder = Path(folder).absolute()
        folder.mkdir(parents=True, exist_ok=True)
        now = time.time_ns()
        name = f"events.out.tfevents.{now // 10**9}.{socket.gethostname()}.{os.getpid()}.{now}"
        self._file = RecordWriter(str(folder / name))
        self._write(file_version="brain.Event:2")
        self._write(step=done + 1, session_log={"status": "START"})

    def scalars(self, epoch, values):
        """Add a point to each curve, {name: number}; a slash in a name makes a group."""
        points = [{"tag": name, "simple_value": float(value)} for name, value in values.items()]
        self._write(step=epoch, summary={"value": points})

    def _write(self, **fields):
        if not self._file:
            return
        from tensorboardX.proto.event_pb2 import Event

        try:
            self._file.write(Event(wall_time=time.time(), **fields).SerializeToString())
            self._file.flush()
        except OSError as error:
            raise OSError(error.errno, error.strerror, self._file.path) from None

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        if self._file:
            with contextlib.suppress(OSError):  # of a record whose error has been raised
                self._file.close()
