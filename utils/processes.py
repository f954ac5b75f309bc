"""Processes that train together, as their launchers set them, or that end with their parent."""

import contextlib
import multiprocessing
import os
import signal
import sys
import threading
import time
from typing import NamedTuple

TORCHRUN = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT")
ROLES = ("worker", "server", "scheduler")  # of the processes that MXNet's launcher starts
LAUNCHER = ("DMLC_PS_ROOT_URI", "DMLC_PS_ROOT_PORT", "DMLC_NUM_WORKER", "DMLC_NUM_SERVER")


class Processes(NamedTuple):
    """The processes that train together, as one of them sees them: its rank, and how many."""

    rank: int = 0
    world_size: int = 1


ALONE = Processes()


def rank():
    """Return this process's number among those that train together, 0 to world_size() - 1."""
    return _torchrun()["RANK"]


def world_size():
    """Return how many processes train together; 1 for a process on its own."""
    return _torchrun()["WORLD_SIZE"]


def local_rank():
    """Return this process's number among those of this machine that train together."""
    return _torchrun()["LOCAL_RANK"]


def _torchrun():
    """Return RANK, WORLD_SIZE and LOCAL_RANK as ints; those of one process without torchrun.

    Only all of TORCHRUN together count: a single variable may be left over from something else.
    """
    names = ("RANK", "WORLD_SIZE", "LOCAL_RANK")
    values = [os.environ.get(name, "") for name in names]
    if all(os.environ.get(name) for name in TORCHRUN) and all(map(str.isdecimal, values)):
        numbers = dict(zip(names, map(int, values), strict=True))
        if numbers["RANK"] < numbers["WORLD_SIZE"]:
            return numbers
    return {"RANK": 0, "WORLD_SIZE": 1, "LOCAL_RANK": 0}


def mxnet_role():
    """Return which of ROLES MXNet's launcher gave this process; None if it did not start it."""
    role = os.environ.get("DMLC_ROLE")
    return role if role in ROLES and all(os.environ.get(name) for name in LAUNCHER) else None


@contextlib.contextmanager
def silent_unless_first():
    """Print nothing in the block, unless this process is the first of those that train together."""
    if rank() == 0:
        yield
        return
    with (
        open(os.devnull, "w", encoding="utf-8") as nowhere,
        contextlib.redirect_stdout(nowhere),
        contextlib.redirect_stderr(nowhere),
    ):
        yield


def end_with_parent():
    """Watch the parent process from a thread; end this one within a second of it. Return its id.

    A process that multiprocessing started knows its parent's id from before it was started: a
    parent that ended since then is no longer what os.getppid() tells.
    """
    parent = multiprocessing.parent_process()
    watched = parent.pid if parent else os.getppid()
    threading.Thread(target=_watch, args=[watched], daemon=True).start()
    return watched


def become_worker():
    """Make this process, which reads data for its parent, end with it, silently."""
    sys.excepthook = _tell_unless_parent_left
    parent = end_with_parent()

    def end_if_parent_left(*_):
        if os.getppid() != parent:
            os._exit(1)

    # A result for a parent that has ended: multiprocessing would print a traceback.
    signal.signal(signal.SIGPIPE, end_if_parent_left)


def _tell_unless_parent_left(kind, *details):
    """Print an error, unless it is a lost connection (as in multiprocessing's own thread)."""
    if not issubclass(kind, ConnectionError | EOFError):
        sys.__excepthook__(kind, *details)


def _watch(parent):
    while os.getppid() == parent:
        time.sleep(1)
    os._exit(1)
