"""Forty numbered images, what may happen when one is read, and this process' children."""

import multiprocessing
import os
import signal
import time
from multiprocessing import resource_tracker

import numpy as np

from utils.errors import UserError

KEYS = [[(0, index) for index in range(start, start + 4)] for start in range(0, 40, 4)]


class Numbers:
    """Forty images; image i is filled with i. What happens at image 17 is given."""

    def __init__(self, at_17=None):
        self.at_17 = at_17

    def __len__(self):
        return 40

    def __getitem__(self, key):
        if key[1] == 17 and self.at_17:
            self.at_17()
        return np.full((3, 2, 2), key[1], np.float32), key[1]


def fail():
    raise UserError("image 17 is broken")


def die():
    os.kill(os.getpid(), signal.SIGKILL)


def hang():
    time.sleep(1000)


def outlive_the_parent():
    """Return as soon as the parent has ended: before a watch that looks every second sees it."""
    parent = multiprocessing.parent_process().pid
    while os.getppid() == parent:
        time.sleep(0.001)


def children(patience_s=5):
    """Return the ids of this process' children that still run after a while."""
    deadline = time.monotonic() + patience_s
    while (running := running_children()) and time.monotonic() < deadline:
        time.sleep(0.05)
    return running


def running_children():
    path = f"/proc/{os.getpid()}/task/{os.getpid()}/children"
    with open(path, encoding="ascii") as file:
        running = [int(pid) for pid in file.read().split()]
    tracker = resource_tracker._resource_tracker._pid  # of processes that earlier tests spawned
    return [pid for pid in running if pid != tracker and _state(pid) != "Z"]


def group(leader, patience_s=20):
    """Return the ids of the processes of a process group that still run after a while."""
    deadline = time.monotonic() + patience_s
    while (running := _running_in(leader)) and time.monotonic() < deadline:
        time.sleep(0.1)
    return running


def _running_in(leader):
    pids = [int(name) for name in os.listdir("/proc") if name.isdecimal()]
    return [pid for pid in pids if _group(pid) == leader and _state(pid) != "Z"]


def _group(pid):
    try:
        return os.getpgid(pid)
    except ProcessLookupError:
        return None


def _state(pid):
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii") as file:
            return file.read().rsplit(")", 1)[1].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return "Z"
