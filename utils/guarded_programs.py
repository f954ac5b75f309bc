"""Programs and a temporary folder that end with this process, whatever ends it."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from typing import NamedTuple

# Waits until the process at the other end of its input is gone. A fork of it leaves the group that
# it shares with the programs, kills that group and removes the folder.
GUARD = """
import os, shutil, signal, sys
sys.stdin.buffer.read()
group = os.getpgrp()
if os.fork() == 0:
    os.setsid()
    os.killpg(group, signal.SIGKILL)
    shutil.rmtree(sys.argv[1], ignore_errors=True)
else:
    signal.pause()
"""


class Ended(NamedTuple):
    """A program that has ended: its status (negative: the signal), and what it printed."""

    status: int
    output: str
    errors: str

    @property
    def how(self):
        """How it ended, as text."""
        if self.status >= 0:
            return f"ended with status {self.status}"
        return f"was ended by {signal_name(-self.status)}"


def signal_name(number):
    """Return a signal's name, such as SIGKILL; of a real-time signal its number."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


class GuardedPrograms:
    """Runs programs beside a temporary folder; `close` ends those that still run, and the folder.

    If this process ends without it, by SIGKILL even, a guard process does the same. The programs,
    and what they start, are one process group. One that leaves it is on its own if it is a daemon,
    or if this process is killed; else a program that runs in a group of its own ends with it.
    """

    def __init__(self):
        self.folder = tempfile.mkdtemp(prefix="aows-")
        silent = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        command = [sys.executable, "-I", "-S", "-c", GUARD, self.folder]
        self._guard = subprocess.Popen(
            command, stdin=subprocess.PIPE, cwd="/", process_group=0, **silent
        )

    def run(self, words, timeout_s):
        """Run a program, given as words, to its end; returns an Ended.

        Raises OSError if it cannot be started, subprocess.TimeoutExpired, with what it printed as
        texts, if it takes too long. That or an interrupt ends all programs.
        """
        # Files, not pipes: a daemon that the program leaves behind would hold a pipe open.
        with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
            streams = {"stdin": subprocess.DEVNULL, "stdout": output, "stderr": errors}
            with subprocess.Popen(words, process_group=self._guard.pid, **streams) as process:
                try:
                    status = process.wait(timeout_s)
                except BaseException as error:
                    _kill(process)
                    self.close()
                    if isinstance(error, subprocess.TimeoutExpired):
                        error.output, error.stderr = _text(output), _text(errors)
                    raise
            return Ended(status, _text(output), _text(errors))

    def close(self):
        """End the programs that still run, and remove the folder."""
        self._guard.stdin.close()
        self._guard.wait()
        shutil.rmtree(self.folder, ignore_errors=True)


def _kill(process):
    """Kill a program that may have left the group, as timeout(1) does, with its own group."""
    with contextlib.suppress(ProcessLookupError):
        if os.getpgid(process.pid) == process.pid:
            os.killpg(process.pid, signal.SIGKILL)
        process.kill()


def _text(file):
    file.seek(0)
    return file.read().decode(errors="replace")
