"""Device `onnxruntime`: ONNX Runtime on the processor."""

import onnxruntime

from utils.devices.onnx_cpu import OnnxCpu
from utils.devices.timing import elapsed_s
from utils.devices.workload import cpu_name, versions


class OnnxRuntimeCpu(OnnxCpu):
    """Runs networks as ONNX graphs; input and output are bound to memory once."""

    def __init__(self, workload):
        super().__init__(
            workload,
            "device onnxruntime times fp32 only: its CPU provider has no kernels for half "
            "precision convolutions",
        )
        self._options = onnxruntime.SessionOptions()
        self._options.intra_op_num_threads = workload.threads
        self._options.inter_op_num_threads = 1
        self._options.log_severity_level = 4  # what is wrong is in the exceptions

    def describe(self):
        """Return the processor, the runtime and its versions."""
        return {
            "device_name": cpu_name(),
            "runtime": "ONNX Runtime, CPU provider, BatchNorm folded",
            "versions": versions("onnxruntime"),
        }

    def load(self, model, images):
        """Return the handle of a serialized ONNX model that reads these images."""
        session = onnxruntime.InferenceSession(
            model, self._options, providers=["CPUExecutionProvider"]
        )
        binding = session.io_binding()
        binding.bind_cpu_input(session.get_inputs()[0].name, images)
        binding.bind_output(session.get_outputs()[0].name, "cpu")
        return session, binding

    def run(self, handle):
        """Return the seconds of one batch."""
        session, binding = handle
        return elapsed_s(lambda: session.run_with_iobinding(binding), self._clock)
