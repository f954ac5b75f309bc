"""Commands that a check of a GPU runs: within its time, alone or side by side, in one log."""

import contextlib
import os
import shlex
import shutil
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PATIENCE_S = 8  # for an interrupted command to end
RESERVE_S = 3  # of the time, for the report


class StageFailed(Exception):
    """A stage failed: why, and the results that it has all the same."""

    def __init__(self, why, result=None):
        super().__init__(why)
        self.why, self.result = why, result


class LeftOut(Exception):
    """A stage cannot be run here; the message says why."""


@dataclass(frozen=True)
class Outcome:
    """What a command wrote to its standard output, and why it failed, None if it did not."""

    output: str
    why: str | None
    seconds: float


class Commands:
    """Runs commands of this repository until its time is up.

    log:     file that commands and what they print are appended to
    seconds: from now on, for all commands together
    Of several commands side by side, each has its share of the processors.
    """

    def __init__(self, log, seconds, clock=time.monotonic):
        self._log = Path(log)
        self._clock, self._end = clock, clock() + seconds
        self._stage_end = self._end
        self._lock = threading.Lock()

    def left_s(self):
        """Return the seconds that are left."""
        return self._end - RESERVE_S - self._clock()

    def start_stage(self, seconds):
        """Limit the commands from now on to `seconds` in all."""
        self._stage_end = self._clock() + seconds

    def stage_left_s(self):
        """Return the seconds that are left to the stage."""
        return max(0.0, min(self.left_s(), self._stage_end - self._clock()))

    def run(self, *words, limit_s=None):
        """Run a script, or "-m" a module, with its arguments; return its standard output.

        Raises StageFailed if it fails or does not end within limit_s and the stage's time.
        """
        outcome = self.attempt(*words, limit_s=limit_s)
        if outcome.why:
            raise StageFailed(outcome.why)
        return outcome.output

    def attempt(self, *words, limit_s=None):
        """Run a command as `run` does; return its Outcome whether or not it fails."""
        return self.together([words], limit_s)[0]

    def together(self, commands, limit_s=None):
        """Run commands side by side; return the Outcome of each."""
        limit_s = min(limit_s or self.stage_left_s(), self.stage_left_s())
        threads_each = max(1, (os.cpu_count() or 1) // max(1, len(commands)))
        environment = {"OMP_NUM_THREADS": str(threads_each)} if len(commands) > 1 else {}
        outcomes = [None] * len(commands)

        def run(index):
            outcomes[index] = self._outcome(commands[index], limit_s, environment)

        threads = [threading.Thread(target=run, args=[index]) for index in range(len(commands))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return outcomes

    def _outcome(self, words, limit_s, environment):
        command = [sys.executable, *map(str, words)]
        # util-linux; where it is missing, a killed check leaves its last commands running.
        dies = ["setpriv", "--pdeathsig", "KILL", "--"] if shutil.which("setpriv") else []
        start = self._clock()
        process = subprocess.Popen(
            [*dies, *command],
            cwd=ROOT,
            env=os.environ | {"PYTHONUNBUFFERED": "1"} | environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,  # so that its workers are ended with it
        )
        try:
            output, errors = process.communicate(timeout=limit_s)
            why = _why(process.returncode, output, errors)
        except subprocess.TimeoutExpired:
            output, errors = _end(process)
            why = f"did not end within {limit_s:.0f} s"
        seconds = self._clock() - start
        output, errors = (text.decode(errors="replace") for text in (output, errors))
        with self._lock, open(self._log, "a", encoding="utf-8") as log:
            log.write(f"\n$ python {shlex.join(command[1:])}\n{output}{errors}")
            log.write(f"[{seconds:.1f} s, {why or 'ended well'}]\n")
        return Outcome(output, why and f"{_name(words)}: {why}", seconds)


def _name(words):
    return " ".join(map(str, words[:2]))


def _why(status, output, errors):
    """Return the last line that reports an error, None if the command ended well."""
    if not status:
        return None
    lines = [
        line for text in (errors, output) for line in text.decode(errors="replace").split("\n")
    ]
    lines = [line.strip() for line in lines if line.strip()]
    told = [line for line in lines if "error" in line.lower()] or lines
    return f"status {status}: {told[-1][:300]}" if told else f"status {status}"


def _end(process):
    """Interrupt a command, kill it and its workers if that does not end it; return its outputs."""
    for number in (signal.SIGINT, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            return process.communicate(timeout=PATIENCE_S)
    return b"", b""
