"""The agent: serves a device of its machine to a client at the other end of a pipe.

utils/devices/remote_pipe.py sends the source of this file to a Python on another machine, 3.8 or
later, which runs it and stores it nowhere. It needs the standard library only. The sources of the
modules that the device is made of follow in the same way.

A frame is the lengths of its two parts, 4 and 8 bytes, a JSON object, and bytes packed by zlib.
Each request has the name of a method of Agent in "do" and its arguments; the answer is an object,
with "error" and "message" if it failed. "alive" says from time to time that the agent still works.
"""

import json
import os
import platform
import queue
import struct
import sys
import threading
import time
import types
import zlib

ALIVE_EVERY_S = 2
LENGTHS = struct.Struct("!IQ")


class Agent:
    """What a client can ask for: each method answers a request, with its bytes in `data`."""

    def __init__(self):
        self._handles = {}

    def add_module(self, name, data):
        """Make a module of its source; the source of others can then import it."""
        module = sys.modules[name] = types.ModuleType(name)
        exec(compile(data, name, "exec"), module.__dict__)
        return {}

    def open(self, module, name, workload, data=b""):
        """Open a module's device of this name; return its description.

        workload: the fields of a utils.devices.workload.Workload
        """
        workload = types.SimpleNamespace(**workload)
        self._device = sys.modules[module].open_device(name, workload)
        description = self._device.describe()
        description["versions"]["python"] = platform.python_version()
        return description

    def load(self, handle, data, **settings):
        """Load a network, in the form that the device reads."""
        self._handles[handle] = self._device.load(data, **settings)
        return {}

    def visit(self, handle, timed, untimed, seconds, data=b""):
        """Time a network after at least `untimed` untimed runs that take at least `seconds`."""
        network, start = self._handles[handle], time.perf_counter()
        while untimed > 0 or time.perf_counter() - start < seconds:
            self._device.run(network)
            untimed -= 1
        return {"times_s": [self._device.run(network) for _ in range(timed)]}

    def release(self, handle, data=b""):
        """Free a network."""
        self._handles.pop(handle, None)
        return {}

    def state(self, data=b""):
        """Return what affects the speed of the device."""
        return self._device.state()

    def free_memory(self, data=b""):
        """Return how many bytes of the machine's memory are free."""
        return {"bytes": self._device.free_memory_bytes()}


class Client:
    """The client at the other end of the pipe; this process ends when it leaves."""

    def __init__(self, reader, writer):
        self._reader, self._writer = reader, writer
        self._writing = threading.Lock()
        self.requests = queue.Queue()
        for work in (self._listen, self._stay_alive):
            threading.Thread(target=_until_the_end, args=[work], daemon=True).start()

    def _listen(self):
        """Queue the requests; the main thread may be in a run that takes minutes."""
        while True:
            head, tail = LENGTHS.unpack(self._read(LENGTHS.size))
            request = json.loads(self._read(head).decode())
            self.requests.put((request, zlib.decompress(self._read(tail))))

    def _read(self, size):
        data = self._reader.read(size)
        if len(data) < size:
            raise EOFError
        return data

    def _stay_alive(self):
        while True:
            time.sleep(ALIVE_EVERY_S)
            self.tell({"alive": True})

    def tell(self, answer):
        """Send a JSON object."""
        head = json.dumps(answer).encode()
        with self._writing:
            self._writer.write(LENGTHS.pack(len(head), 0) + head)
            self._writer.flush()


def _until_the_end(work, *arguments):
    """Do the work of a thread, and end the process with it: usually because the client has left."""
    try:
        work(*arguments)
    except (OSError, EOFError):
        pass
    except Exception:
        sys.excepthook(*sys.exc_info())
    finally:
        os._exit(0)


def serve(reader):
    """Serve the client whose requests a binary file brings; this process ends when it leaves."""
    _until_the_end(_serve, reader)


def _serve(reader):
    """Answer requests on standard output; what libraries print there goes to standard error."""
    writer = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    client, agent = Client(reader, writer), Agent()
    while True:
        request, data = client.requests.get()
        try:
            answer = getattr(agent, request.pop("do"))(data=data, **request)
        # Each runtime has its own exceptions; whatever it is, the client tells its user.
        except Exception as error:
            answer = {"error": type(error).__name__, "message": str(error)}
            if isinstance(error, ModuleNotFoundError):
                answer["module"] = error.name
        client.tell(answer)
