"""Device `onnxruntime`: ONNX Runtime on the CPU."""

from utils.devices.cpu_runtimes import OnnxRuntime
from utils.devices.onnx_cpu import OnnxCpu


class OnnxRuntimeCpu(OnnxCpu):
    """Runs networks as ONNX graphs; input and output are bound to memory once."""

    def __init__(self, workload):
        super().__init__("onnxruntime", OnnxRuntime, workload)
