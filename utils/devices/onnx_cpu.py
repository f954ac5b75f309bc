"""What the CPU runtimes that read ONNX graphs share."""

import re

import numpy as np
import onnx  # noqa: F401 (networks need it for their graphs; open_device names it if it is missing)

from utils.devices.cpu_runtimes import CpuDevice
from utils.devices.workload import refuse_half_precision
from utils.errors import UserError

LONGEST_REASON = 400  # characters


class OnnxCpu(CpuDevice):
    """Loads networks as ONNX graphs.

    name: of the device; runtime: its class in utils.devices.cpu_runtimes
    """

    def __init__(self, name, runtime, workload):
        refuse_half_precision(name, runtime, workload)
        super().__init__(runtime, workload)
        self._batch_size = workload.batch_size
        self._rng = np.random.default_rng(0)

    def prepare(self, network):
        """Return the handle of a network's graph, with its input set.

        A network read from a file (it has a `path`) is run once; UserError if that fails.
        """
        model = network.onnx(self._batch_size, self._rng)
        if not network.path:
            return self.load(model)
        try:
            handle = self.load(model, network.dtype)
            self.run(handle)
        # Each runtime has its own exceptions, for missing operators, for wrong shapes, etc.
        except Exception as error:
            raise cannot_run(network, self.describe()["runtime"], error) from None
        return handle

    def release(self, handle):
        """Nothing to do: the memory is freed with the last reference to the handle."""


def cannot_run(network, runtime, error):
    """Return a UserError: a runtime's exception stopped a network that was read from a file.

    runtime: its description
    """
    name = runtime.partition(",")[0]
    return UserError(f"{network.path}: {name} cannot run it: {reason(error)}")


def reason(error):
    """Return the message of a runtime's exception as one line, without places in its source."""
    text = str(error)
    if "\n-- " in text:  # OpenVINO's list of failures
        text = text[text.index("\n-- ") + len("\n-- ") :]
    for source in (
        r"\[ONNXRuntimeError\] : \d+ : \w+ : ",
        r"/onnxruntime_src/\S+ [^()]*\([^()]*\)",
        r"Exception from \S+:\d+:",
        r"Check '[^']*' failed at \S+:\d+:",
    ):
        text = re.sub(source, " ", text)
    text = " ".join(text.split())
    return text if len(text) <= LONGEST_REASON else f"{text[:LONGEST_REASON]} …"
