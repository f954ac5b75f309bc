"""What the CPU runtimes that read ONNX graphs share."""

import numpy as np

from models.folded_weights import random_weights
from models.mobilenet_v1 import IMAGE_CHANNELS
from models.onnx_file import OnnxFile
from models.onnx_mobilenet_v1 import serialize
from utils.devices import CLOCKS, cpu_state
from utils.errors import UserError


class OnnxCpu:
    """Makes the images and the graphs of a workload; a runtime adds load, run and describe."""

    def __init__(self, workload, why_fp32_only):
        if workload.dtype != "fp32":
            raise UserError(why_fp32_only)
        self._workload = workload
        self._clock = CLOCKS[workload.clock]
        self._rng = np.random.default_rng(0)
        size = workload.input_size
        shape = (workload.batch_size, IMAGE_CHANNELS, size, size)
        self._images = self._rng.standard_normal(shape, dtype=np.float32)

    def state(self):
        """Return the load of the machine."""
        return cpu_state()

    def prepare(self, network):
        """Return the handle of a network, its input set.

        network: a configuration, which gets random weights, or a models.onnx_file.OnnxFile
        """
        if isinstance(network, OnnxFile):
            return self.load(network.serialized(self._workload.batch_size))
        weights = random_weights(network, self._workload.classes, self._rng)
        return self.load(serialize(weights, self._workload.batch_size, self._workload.input_size))

    def release(self, handle):
        """Nothing to do: the memory is freed with the last reference to the handle."""
