"""Device `onnxruntime`: ONNX Runtime on the processor."""

import numpy as np
import onnxruntime

from models.folded_weights import random_weights
from models.mobilenet_v1 import IMAGE_CHANNELS
from models.onnx_mobilenet_v1 import serialize
from utils.devices import CLOCKS, cpu_name, cpu_state, versions
from utils.errors import UserError
from utils.timing import elapsed_s


class OnnxRuntimeCpu:
    """Runs networks as ONNX graphs; input and output are bound to memory once."""

    def __init__(self, workload):
        if workload.dtype != "fp32":
            raise UserError(
                "device onnxruntime times fp32 only: its CPU provider has no kernels for half "
                "precision convolutions"
            )
        self._workload = workload
        self._clock = CLOCKS[workload.clock]
        self._rng = np.random.default_rng(0)
        size = workload.input_size
        shape = (workload.batch_size, IMAGE_CHANNELS, size, size)
        self._images = self._rng.standard_normal(shape, dtype=np.float32)
        self._options = onnxruntime.SessionOptions()
        self._options.intra_op_num_threads = workload.threads
        self._options.inter_op_num_threads = 1

    def describe(self):
        """Return the processor, the runtime and its versions."""
        return {
            "device_name": cpu_name(),
            "runtime": "ONNX Runtime, CPU provider, BatchNorm folded",
            "versions": versions("onnxruntime"),
        }

    def state(self):
        """Return the load of the machine."""
        return cpu_state()

    def prepare(self, configuration):
        """Return the session of a network and its bound input and output."""
        weights = random_weights(configuration, self._workload.classes, self._rng)
        return self.load(serialize(weights, self._workload.batch_size, self._workload.input_size))

    def load(self, model):
        """Return the handle of a serialized ONNX model."""
        session = onnxruntime.InferenceSession(
            model, self._options, providers=["CPUExecutionProvider"]
        )
        binding = session.io_binding()
        binding.bind_cpu_input("images", self._images)
        binding.bind_output("logits", "cpu")
        return session, binding

    def run(self, handle):
        """Return the seconds of one batch."""
        session, binding = handle
        return elapsed_s(lambda: session.run_with_iobinding(binding), self._clock)

    def release(self, handle):
        """Nothing to do: the memory is freed with the last reference to the session."""
