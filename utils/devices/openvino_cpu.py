"""Device `openvino`: OpenVINO on the CPU."""

from utils.devices.cpu_runtimes import OpenVino
from utils.devices.onnx_cpu import OnnxCpu


class OpenVinoCpu(OnnxCpu):
    """Runs networks as compiled models, one stream, for latency."""

    def __init__(self, workload):
        super().__init__("openvino", OpenVino, workload)
