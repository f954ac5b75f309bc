"""Device `command`: a program that times an ONNX or LiteRT file and prints its latencies."""

import re
import shlex
import shutil
import subprocess
import tempfile
from pathlib import Path

import numpy as np
import onnx  # noqa: F401 (networks need it for their graphs; open_device names it if it is missing)

from utils.devices.printed_latencies import last_line, parse_pattern, printed_latencies_s
from utils.devices.workload import cpu_name, cpu_state
from utils.errors import UserError
from utils.guarded_programs import GuardedPrograms

FORMS = ("onnx", "tflite")  # of a network's file
NUMBERS = ("batch_size", "threads", "input_size")  # further placeholders, fields of a Workload
EXAMPLE = "'./time {onnx} {runs}'"


class CommandDevice:
    """Starts a program for every visit to a network; what runs where is the program's business.

    It has `visit` instead of `run`: nothing stays loaded between two visits.
    """

    def __init__(self, workload):
        if workload.command is None:
            raise UserError(f"device command needs --command {EXAMPLE}: any program that prints ms")
        self._workload, self._command = workload, workload.command
        self._words = _words(self._command.text)
        self._form = _form(self._command.text, self._words)
        self._pattern = self._command.pattern and parse_pattern(self._command.pattern)
        if workload.threads > 1 and "{threads}" not in self._command.text:
            raise UserError(
                f"--threads {workload.threads} does not reach the --command: it has no {{threads}}"
            )
        self._rng = np.random.default_rng(0)
        self._programs, self._files = None, set()

    def describe(self):
        """Return the machine that the program is started on, and the command."""
        return {
            "device_name": f"{Path(self._words[0]).name} on {cpu_name()}",
            "runtime": f"a command, on .{self._form} files, BatchNorm folded",
            "versions": {},
            "command": self._command.text,
            "command_pattern": self._command.pattern,
        }

    def state(self):
        """Return the load of the machine that the program is started on."""
        return cpu_state()

    def prepare(self, network):
        """Return the path of a network's file, in a folder of its own."""
        if not hasattr(network, self._form):
            raise UserError(f"{network.path} cannot become the .{self._form} file of --command")
        model = getattr(network, self._form)(self._workload.batch_size, self._rng)
        self._programs = self._programs or GuardedPrograms()
        file = Path(tempfile.mkdtemp(dir=self._programs.folder), f"network.{self._form}")
        self._files.add(file)
        try:
            file.write_bytes(model)
        except OSError as error:
            raise UserError(f"{file} cannot be written: {error.strerror}") from None
        return file

    def visit(self, file, runs, untimed=0, seconds=0.0):
        """Start the program once; return the seconds of a batch that it prints, one or several.

        untimed, seconds: nothing; the program warms up by itself
        """
        if not runs:
            return []
        values = {self._form: file.resolve(), "runs": runs}
        values |= {name: getattr(self._workload, name) for name in NUMBERS}
        ended = self._run([_filled(word, values) for word in self._words])
        if ended.status:
            reason = last_line(ended.errors) or last_line(ended.output) or "it printed nothing"
            raise UserError(f"{self._name} {ended.how}: {reason}")
        try:
            return printed_latencies_s(ended.output, ended.errors, self._pattern)
        except UserError as error:
            raise UserError(f"{self._name} {error}") from None

    def _run(self, words):
        try:
            return self._programs.run(words, self._command.timeout_s)
        except subprocess.TimeoutExpired as late:
            streams = {"output": late.output, "errors": late.stderr}
            ends = (f"; last line of its {n}: {last_line(s)}" for n, s in streams.items() if s)
            late_s = f"{late.timeout:g} s (--command-timeout)"
            raise UserError(f"{self._name} did not end within {late_s}{''.join(ends)}") from None
        except FileNotFoundError:
            raise UserError(f"{self._name}: there is no such program") from None
        except OSError as error:
            raise UserError(f"{self._name} cannot be started: {error.strerror}") from None

    @property
    def _name(self):
        return f"--command: {self._words[0]!r}"

    def release(self, file):
        """Remove the file and what the program wrote beside it; after the last one, end all."""
        shutil.rmtree(file.parent, ignore_errors=True)
        self._files.discard(file)
        if not self._files:
            self._programs.close()
            self._programs = None


def _words(text):
    """Return the words of a command, as a shell would split them; no shell ever reads it."""
    try:
        words = shlex.split(text)
    except ValueError as error:
        raise UserError(f"--command {text!r}: {error}") from None
    if not words:
        raise UserError(f"--command is empty: {EXAMPLE}")
    return words


def _form(text, words):
    """Return which of FORMS a command asks for."""
    asked = [form for form in FORMS if any(f"{{{form}}}" in word for word in words[1:])]
    if len(asked) != 1:
        both = "both {onnx} and {tflite}" if asked else "no {onnx} for the network's file"
        raise UserError(f"--command {text!r} has {both}: {EXAMPLE}")
    return asked[0]


def _filled(word, values):
    """Return a word with its placeholders replaced, all at once; other braces stay."""
    return re.sub(r"\{(\w+)\}", lambda match: str(values.get(match[1], match[0])), word)
