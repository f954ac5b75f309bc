"""Device `openvino`: OpenVINO on the processor."""

import openvino

from utils.devices.onnx_cpu import OnnxCpu
from utils.devices.timing import elapsed_s
from utils.devices.workload import cpu_name, versions


class OpenVinoCpu(OnnxCpu):
    """Runs networks as compiled models, one stream, for latency."""

    def __init__(self, workload):
        super().__init__(
            workload,
            "device openvino times fp32 only: on most processors it would convert half "
            "precision to single without a word",
        )
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

    def load(self, model, images):
        """Return the handle of a serialized ONNX model that reads these images."""
        compiled = self._core.compile_model(self._core.read_model(model), "CPU", self._options)
        request = compiled.create_infer_request()
        request.set_input_tensor(openvino.Tensor(images, shared_memory=True))
        return request

    def run(self, request):
        """Return the seconds of one batch."""
        return elapsed_s(request.infer, self._clock)
