"""Device `openvino`: OpenVINO on the processor."""

import numpy as np
import openvino

from models.folded_weights import random_weights
from models.mobilenet_v1 import IMAGE_CHANNELS
from models.onnx_mobilenet_v1 import serialize
from utils.devices import CLOCKS, cpu_name, cpu_state, versions
from utils.errors import UserError
from utils.timing import elapsed_s


class OpenVinoCpu:
    """Runs networks as compiled models, one stream, for latency."""

    def __init__(self, workload):
        if workload.dtype != "fp32":
            raise UserError(
                "device openvino times fp32 only: on most processors it would convert half "
                "precision to single without a word"
            )
        self._workload = workload
        self._clock = CLOCKS[workload.clock]
        self._rng = np.random.default_rng(0)
        size = workload.input_size
        shape = (workload.batch_size, IMAGE_CHANNELS, size, size)
        self._images = self._rng.standard_normal(shape, dtype=np.float32)
        self._core = openvino.Core()
        self._options = {
            "PERFORMANCE_HINT": "LATENCY",
            "NUM_STREAMS": 1,
            "INFERENCE_NUM_THREADS": workload.threads,
            "INFERENCE_PRECISION_HINT": "f32",
        }

    def describe(self):
        """Return the processor, the runtime and its versions."""
        return {
            "device_name": cpu_name(),
            "runtime": "OpenVINO, CPU plugin, BatchNorm folded",
            "versions": versions("openvino"),
        }

    def state(self):
        """Return the load of the machine."""
        return cpu_state()

    def prepare(self, configuration):
        """Return the inference request of a network with its input set."""
        weights = random_weights(configuration, self._workload.classes, self._rng)
        return self.load(serialize(weights, self._workload.batch_size, self._workload.input_size))

    def load(self, model):
        """Return the handle of a serialized ONNX model."""
        compiled = self._core.compile_model(self._core.read_model(model), "CPU", self._options)
        request = compiled.create_infer_request()
        request.set_input_tensor(openvino.Tensor(self._images, shared_memory=True))
        return request

    def run(self, request):
        """Return the seconds of one batch."""
        return elapsed_s(request.infer, self._clock)

    def release(self, request):
        """Nothing to do: the memory is freed with the last reference to the request."""
