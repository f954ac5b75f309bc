"""What the CPU runtimes that read ONNX graphs share."""

import re

import numpy as np
import onnx  # noqa: F401 (networks need it for their graphs; open_device names it if it is missing)

from utils.devices.workload import CLOCKS, cpu_state
from utils.errors import UserError

LONGEST_REASON = 400  # characters


class OnnxCpu:
    """Makes the images of a workload, and loads graphs; a runtime adds load, run and describe."""

    def __init__(self, workload, why_fp32_only):
        if workload.dtype != "fp32":
            raise UserError(why_fp32_only)
        self._workload = workload
        self._clock = CLOCKS[workload.clock]
        self._rng = np.random.default_rng(0)
        self._images = self._rng.standard_normal(workload.images_shape, dtype=np.float32)

    def state(self):
        """Return the load of the machine."""
        return cpu_state()

    def prepare(self, network):
        """Return the handle of a network's graph, its input set.

        A network that was read from a file, of its `path`, has run once: UserError if it cannot.
        """
        model = network.onnx(self._workload.batch_size, self._rng)
        if not network.path:
            return self.load(model, self._images)
        try:
            handle = self.load(model, self._images_of(network.dtype))
            self.run(handle)
        # Each runtime raises what it likes: for operators that it lacks, for shapes that differ.
        except Exception as error:
            runtime = self.describe()["runtime"].partition(",")[0]
            raise UserError(f"{network.path}: {runtime} cannot run it: {_reason(error)}") from None
        return handle

    def _images_of(self, dtype):
        """Return random images of a NumPy type; whole numbers are those of bytes."""
        if dtype.kind == "f":
            return self._images.astype(dtype, copy=False)
        low, high = (-128, 127) if dtype == np.int8 else (0, 255)
        shape = self._images.shape
        return self._rng.integers(low, high, shape, endpoint=True, dtype=np.int16).astype(dtype)

    def release(self, handle):
        """Nothing to do: the memory is freed with the last reference to the handle."""


def _reason(error):
    """Return what a runtime says in an exception as one line, without where in its source."""
    text = str(error)
    if "\n-- " in text:  # OpenVINO's list of what failed
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
