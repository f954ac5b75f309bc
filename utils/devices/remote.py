"""Devices on another machine: what an agent needs for each, and the device that asks it."""

import importlib.util
import itertools
import platform
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from utils.devices.cpu_runtimes import RUNTIMES, cpu_name
from utils.devices.onnx_cpu import cannot_run, reason
from utils.devices.remote_pipe import START_S, Pipe, RemoteError
from utils.devices.timing import SETTLE_S
from utils.devices.workload import Workload, refuse_half_precision
from utils.errors import UserError
from utils.memory import lacks_memory

PERIOD = 4096  # numbers


@dataclass(frozen=True)
class Kit:
    """What an agent gets for a device.

    modules: names of modules of ours; each imports only those before it, and the last one has
        open_device(name, workload)
    pack:    function of a network and a workload that returns the bytes which travel
    """

    modules: tuple[str, ...]
    pack: Callable[[Any, Workload], bytes]


def as_onnx(network, workload):
    """Return the ONNX graph of a network, in the workload's precision if it is no file."""
    model = network.onnx(workload.batch_size, Repeated())
    return in_half_precision(model) if workload.dtype == "fp16" else model


def as_tflite(network, workload):
    """Return the .tflite graph of a network."""
    return network.tflite(workload.batch_size, Repeated())


def as_torchscript(network, workload):
    """Return the TorchScript file of a network, traced on this machine's processor."""
    from utils.devices.torch_script import repeat_weights, traced

    net = network.module()
    repeat_weights(net, PERIOD)
    return traced(net, workload.input_size)


def in_half_precision(model):
    """Return the ONNX model of a network of ours with half weights, input and output."""
    model = onnx.load_from_string(model)
    for tensor in model.graph.initializer:
        values = onnx.numpy_helper.to_array(tensor).astype(np.float16)
        tensor.raw_data, tensor.data_type = values.tobytes(), onnx.TensorProto.FLOAT16
    for value in (*model.graph.input, *model.graph.output):
        value.type.tensor_type.elem_type = onnx.TensorProto.FLOAT16
    return model.SerializeToString()


ON_CUDA = ("utils.user_error", "utils.devices.nvidia", "utils.devices.torch_stream")
TORCH = ("utils.devices.torch_gpu", "utils.devices.remote_torch")
TENSORRT = tuple(f"utils.devices.tensorrt_{name}" for name in ("engine", "builder", "onnx"))
CPU = ("utils.devices.cpu_runtimes",)
KITS = {
    "onnxruntime": Kit(CPU, as_onnx),
    "openvino": Kit(CPU, as_onnx),
    "litert": Kit(CPU, as_tflite),
    "gpu": Kit((*ON_CUDA, *TORCH), as_torchscript),
    "trt": Kit((*ON_CUDA, *TENSORRT, "utils.devices.remote_tensorrt"), as_onnx),
}


class RemoteDevice:
    """Networks are loaded and timed on a Host; a visit to one of them is one message.

    Several visits are asked for in advance: while there is something to run, nothing there waits
    for the next message, and the caches hold what they would without a pipe.
    """

    def __init__(self, name, workload, host):
        if name not in KITS:
            known = ", ".join(KITS)
            raise UserError(f"--host: device {name} is timed on this machine only; others: {known}")
        if name in RUNTIMES:
            refuse_half_precision(name, RUNTIMES[name], workload)
        if workload.trt_builder != Workload.trt_builder:
            raise UserError(f"--trt-builder {workload.trt_builder} builds on this machine only")
        self._name, self._workload, self._host = name, workload, host
        self._numbers = itertools.count()
        self._pipe = Pipe(host)
        for module in KITS[name].modules:
            self._ask("add_module", name=module, data=_source(module))
        fields = asdict(workload) | {"images_shape": workload.images_shape}
        opening = {"module": KITS[name].modules[-1], "name": name, "workload": fields}
        # Patience for the first import of a large package from a slow disk.
        self._told = self._ask("open", patience_s=START_S, **opening)

    def describe(self):
        """Return the device there, the runtime and its versions, the host, and this machine."""
        return {
            **self._told,
            "host": self._host.name,
            "client": {
                "device_name": cpu_name(),
                "python": platform.python_version(),
                "remote_shell": self._host.shell,
                "remote_python": self._host.python,
            },
        }

    def state(self):
        """Return what affects the speed of the device there."""
        return self._ask("state")

    def free_memory_bytes(self):
        """Return how many bytes of the memory there are free or can be freed."""
        return self._ask("free_memory")["bytes"]

    def prepare(self, network):
        """Return the number of a network there.

        A network read from a file (it has a `path`) is run once; UserError if that fails.
        """
        number = next(self._numbers)
        model = KITS[self._name].pack(network, self._workload)
        if not network.path:
            self._ask("load", handle=number, data=model)
            return number
        try:
            self._pipe.ask("load", handle=number, data=model, dtype=network.dtype.name)
            self._pipe.ask("visit", handle=number, timed=1, untimed=0, seconds=0.0)
        except RemoteError as error:
            raise cannot_run(network, self._told["runtime"], error) from None
        return number

    def visit(self, number, repeats, untimed, seconds=SETTLE_S):
        """Return the seconds of a few batches, after untimed ones that refill the caches."""
        (times_s,) = self.visits([number], repeats, untimed, seconds)
        return times_s

    def visits(self, numbers, repeats, untimed, seconds=SETTLE_S):
        """Yield what `visit` returns, for several networks."""
        runs = {"timed": repeats, "untimed": untimed, "seconds": seconds}
        with self._telling():
            for answer in self._pipe.ask_all([("visit", {"handle": n, **runs}) for n in numbers]):
                yield answer["times_s"]

    def run(self, number):
        """Return the seconds of one batch."""
        return self.visit(number, 1, 0, 0.0)[0]

    def release(self, number):
        """Free a network there, if the machine can still be reached."""
        if self._pipe.is_open:
            self._ask("release", handle=number)

    def _ask(self, do, **arguments):
        """Return the agent's answer."""
        with self._telling():
            return self._pipe.ask(do, **arguments)

    @contextmanager
    def _telling(self):
        """Raise UserError, naming the host, if something in the block fails there."""
        try:
            yield
        except RemoteError as error:
            raise UserError(f"{self._host.name}: {self._explained(error)}") from None

    def _explained(self, error):
        if error.module:
            package = error.module.partition(".")[0]
            return f"device {self._name} needs the Python package {package!r} there"
        if error.kind == "UserError":
            return str(error)
        if error.kind == "MemoryError" or lacks_memory(RuntimeError(str(error))):
            said = f" ({reason(error)})" if str(error) else ""
            return f"not enough memory there{said}: lower --batch-size or --input-size"
        return f"device {self._name} failed there, {error.kind}: {reason(error)}"


class Repeated:
    """Draws random weights that zlib packs well: a few thousand numbers, repeated.

    The pipe may be a wireless network; a runtime is as fast with these as with any others.
    """

    def __init__(self):
        self._numbers = np.random.default_rng(0).standard_normal(PERIOD, dtype=np.float32)

    def standard_normal(self, size, dtype=np.float32):
        """Return `size` numbers, as numpy.random.Generator.standard_normal does."""
        return np.resize(self._numbers, size).astype(dtype, copy=False)


def _source(module):
    """Return the source of a module, which this machine need not be able to import."""
    return Path(importlib.util.find_spec(module).origin).read_bytes()
