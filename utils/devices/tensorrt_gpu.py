"""Device `trt`: TensorRT 10 and 11 on a CUDA device."""

import numpy as np
import tensorrt

from utils.devices.tensorrt_engine import Engine, TensorRtDevice
from utils.devices.tensorrt_network import EngineBuilder


class TensorRtGpu(TensorRtDevice):
    """Builds engines from weights, by the network API or torch2trt."""

    def __init__(self, workload):
        super().__init__(workload)
        if workload.trt_builder == "torch2trt":
            from utils.devices.torch2trt_engine import Torch2TrtBuilder

            self.build = Torch2TrtBuilder(tensorrt, workload, self._stream).build
        else:
            self._builder = EngineBuilder(tensorrt, workload)
            self._runtime = tensorrt.Runtime(self._builder.logger)
            self._rng = np.random.default_rng(0)

    def build(self, network):
        """Return the Engine of a network with random weights."""
        serialized = self._builder.build(network.folded_weights(self._rng))
        return Engine(self._runtime, serialized, self._stream, self._workload.dtype)
