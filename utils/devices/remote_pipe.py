"""The pipe to an agent on another machine: starting it there, frames both ways, what can go wrong.

The Python there is started interactive (-q -i): it reads one line, which reads the agent's source
and runs it. So the command is the same few words whether a shell there reads them (ssh, adb) or
not (docker exec, kubectl exec), and nothing is quoted, copied or stored. -S keeps its start free of
history files; the line then sets up the installed packages, as Python does without -S.
"""

import io
import json
import os
import re
import select
import shlex
import subprocess
import threading
import weakref
import zlib
from collections import deque
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from utils.devices import remote_agent
from utils.devices.remote_agent import LENGTHS
from utils.errors import UserError
from utils.guarded_programs import signal_name
from utils.interrupts import held_interrupts

SSH = "ssh -o ConnectTimeout=10"
PYTHON = "python3"
PATIENCE_S = 20  # without a byte; a working agent sends one every ALIVE_EVERY_S
START_S = 60  # for a slow board to start Python, or for a password to be typed
PARTING_S = 3  # for both sides to end by themselves
OLDEST = (3, 8)
BANNER_BYTES = 65_536  # that a login there may print before the agent starts
STARTED = re.compile(rb"\nremote agent on Python (\d+)\.(\d+)\.(\d+)\n")
LONGEST_ANSWER = 1 << 24  # bytes
# Every Python 3 understands it, so that an old one can say what it is. Values are assigned because
# an interactive Python prints those of expressions.
BOOTSTRAP = (
    r"import os,site,sys;site.main();"
    r'_=os.write(1,("\nremote agent on Python %d.%d.%d\n"%sys.version_info[:3]).encode());'
    r'pipe=os.fdopen(os.dup(0),"rb");'
    r"_=sys.version_info>=(3,8) or os._exit(0);"
    r'agent={"__name__":"remote_agent"};'
    r'exec(compile(pipe.read(SIZE),"remote_agent.py","exec"),agent);agent["serve"](pipe)'
)


@dataclass(frozen=True)
class Host:
    """Another machine, and the way to a Python there.

    name:   as the command takes it; it is put at {host} in `shell`, or after its last word
    shell:  the words of a command that connects its standard input and output with a program there
    python: the words that start Python there
    """

    name: str
    shell: str = SSH
    python: str = PYTHON

    def command(self):
        """Return the words of the command; UserError if they cannot be one."""
        if not self.name or self.name.startswith("-"):
            raise UserError(f"--host: {self.name!r} is not the name of a host")
        try:
            words, python = shlex.split(self.shell), shlex.split(self.python)
        except ValueError as error:  # a quotation that does not end
            raise UserError(f"--remote-shell, --remote-python: {error}") from None
        if not words or not python:
            raise UserError("--remote-shell and --remote-python need at least one word")
        if "{host}" not in self.shell:
            words.append("{host}")
        words = [word.replace("{host}", self.name) for word in words]
        return [*words, *python, "-S", "-q", "-i"]


class RemoteError(Exception):
    """What failed on the other machine, while the agent goes on.

    kind: the name of the exception's class; module: of a ModuleNotFoundError
    """

    def __init__(self, kind, message, module=None):
        super().__init__(message)
        self.kind, self.module = kind, module


class Pipe:
    """An agent on a Host; it ends with the last reference to this object, or with this process.

    Raises UserError, naming the host and the reason, if the agent does not start or is lost.
    """

    def __init__(self, host):
        self.host = host
        self._failure, self._is_started = None, False
        self._start(host.command())
        source = Path(remote_agent.__file__).read_bytes()
        try:
            self._send(BOOTSTRAP.replace("SIZE", str(len(source))).encode() + b"\n")
            self._wait_for_python()
            self._send(source)
        except OSError:
            raise self._lost() from None

    def _start(self, command):
        """Start the command, and a thread that hears what it says on standard error."""
        try:
            with held_interrupts():
                process = subprocess.Popen(
                    command,
                    bufsize=0,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE,
                )
        except OSError as error:
            raise UserError(f"{self.host.name}: {command[0]}: {error.strerror}") from None
        self._process = process
        self.end = weakref.finalize(self, _end, process)
        self._said = deque(maxlen=20)  # the last lines of standard error
        self._listener = threading.Thread(
            target=_listen, args=[process.stderr, self._said], daemon=True
        )
        self._listener.start()
        for stream in (process.stdin, process.stdout):
            os.set_blocking(stream.fileno(), False)

    def _wait_for_python(self):
        """Read past whatever a login there prints, up to the line that tells Python's version."""
        self._received, found = bytearray(), None
        try:
            while not found and len(self._received) < BANNER_BYTES:
                self._received += self._read(START_S)
                found = STARTED.search(self._received)
        except TimeoutError:
            raise self._lost(f"nothing started there within {START_S} s") from None
        except (OSError, EOFError):
            raise self._lost() from None
        if not found:
            raise self._lost("what started there is no Python that reads its standard input")
        its_version = tuple(map(int, found.groups()))
        del self._received[: found.end()]
        if its_version < OLDEST:
            text = ".".join(map(str, its_version))
            raise self._lost(f"{self.host.python} there is Python {text}, 3.8 or later is needed")
        self._is_started = True

    def ask(self, do, data=b"", patience_s=PATIENCE_S, **arguments):
        """Return the agent's answer, a dictionary, to a request for a method of Agent.

        data: bytes that go with it, packed on their way. Raises RemoteError if it failed there.
        """
        (answer,) = self.ask_all([(do, arguments)], data, patience_s)
        return answer

    def ask_all(self, requests, data=b"", patience_s=PATIENCE_S):
        """Yield the answers to requests that are sent at once, (method, arguments) each.

        Unless all are taken, or if one failed before the last, the agent can no longer be asked.
        """
        if self._failure:
            raise UserError(self._failure)
        self._failure = f"{self.host.name}: interrupted"  # until the last answer
        data = zlib.compress(data, 1)
        try:
            for do, arguments in requests:
                head = json.dumps({"do": do, **arguments}).encode()
                self._send(LENGTHS.pack(len(head), len(data)) + head + data)
            for left in reversed(range(len(requests))):
                answer = self._answer(patience_s)
                if not left:
                    self._failure = None
                if "error" in answer:
                    raise RemoteError(answer["error"], answer["message"], answer.get("module"))
                yield answer
        except TimeoutError:
            raise self._lost(f"no answer for {patience_s} s") from None
        except (OSError, EOFError):
            raise self._lost() from None

    def _answer(self, patience_s):
        """Return the next answer, past the signs of life."""
        answer = {"alive": True}
        while "alive" in answer:
            size, _ = LENGTHS.unpack(self._take(LENGTHS.size, patience_s))
            if size > LONGEST_ANSWER:
                raise self._lost("something there writes into the agent's pipe")
            answer = json.loads(self._take(size, patience_s))
        return answer

    @property
    def is_open(self):
        """Whether an agent is there to be asked."""
        return self._failure is None

    def _send(self, data):
        file, data = self._process.stdin.fileno(), memoryview(data)
        while data:
            _wait(file, select.POLLOUT, PATIENCE_S)
            data = data[os.write(file, data) :]

    def _take(self, size, patience_s):
        """Return the next bytes that the agent has sent."""
        while len(self._received) < size:
            self._received += self._read(patience_s)
        taken = bytes(self._received[:size])
        del self._received[:size]
        return taken

    def _read(self, patience_s):
        """Return whatever comes next, at least a byte."""
        file = self._process.stdout.fileno()
        _wait(file, select.POLLIN, patience_s)
        data = os.read(file, 65_536)
        if not data:
            raise EOFError
        return data

    def _lost(self, reason=None):
        """End the pipe; return the UserError that says why, now and for all later requests."""
        with suppress(OSError):
            self._process.stdin.close()
        if reason is None:
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(PARTING_S)
            self._listener.join(1)
            reason = self._reason()
        self.end()
        self._failure = f"{self.host.name}: {reason}"
        return UserError(self._failure)

    def _reason(self):
        """Return why the pipe broke, as far as its command says."""
        status, name = self._process.poll(), Path(self._process.args[0]).name
        said = self._said[-1] if self._said else ""
        if status is None:
            how = f"{name} closed the pipe"
        elif status < 0:
            how = f"{name} was killed by {signal_name(-status)}"
        else:
            how = f"{name} ended with status {status}"
        if not self._is_started:
            return said or how
        if said:
            how += f" ({said})"
        if status is not None and status < 0:
            return how
        return f"{how}: the agent there was killed, perhaps for lack of memory, or lost"


def _wait(file, event, patience_s):
    """Wait until a file can be read or written; TimeoutError if that takes too long."""
    poll = select.poll()
    poll.register(file, event)
    if not poll.poll(1e3 * patience_s):
        raise TimeoutError


def _listen(stream, said):
    """Keep the last lines of a command's standard error; Python's prompts are none."""
    with io.BufferedReader(stream) as lines, suppress(ValueError):
        for line in lines:
            if text := line.decode(errors="replace").replace(">>> ", "").strip():
                said.append(text)


def _end(process):
    """Close the pipe, at which the agent ends at once, and end the command."""
    with suppress(OSError):
        process.stdin.close()
    try:
        process.wait(PARTING_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    process.stdout.close()
