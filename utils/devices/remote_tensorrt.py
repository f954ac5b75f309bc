"""Device `trt` behind an agent: engines built from ONNX graphs by TensorRT 8.5 to 11."""

import tensorrt

from utils.devices.tensorrt_engine import Engine, TensorRtDevice
from utils.devices.tensorrt_onnx import OnnxEngineBuilder


class RemoteTensorRt(TensorRtDevice):
    """Builds engines from ONNX graphs; the timed kernels are kept while the agent lives."""

    def __init__(self, workload):
        super().__init__(workload)
        self._builder = OnnxEngineBuilder(tensorrt, workload)
        self._runtime = tensorrt.Runtime(self._builder.logger)

    def describe(self):
        """Return the device, the runtime and its versions."""
        return dict(super().describe(), runtime="TensorRT, from ONNX, BatchNorm folded")

    def load(self, data):
        """Return the handle of a serialized ONNX model."""
        return self.prepare(data)

    def build(self, model):
        """Return the Engine of a serialized ONNX model."""
        serialized = self._builder.build(model)
        return Engine(self._runtime, serialized, self._stream, self._workload.dtype)


def open_device(name, workload):
    """Return the device: what an agent asks for."""
    return RemoteTensorRt(workload)
