"""Device `litert`: LiteRT, the runtime of phones, on the CPU."""

import numpy as np

from utils.devices.cpu_runtimes import CpuDevice, LiteRt
from utils.devices.workload import refuse_half_precision


class LiteRtCpu(CpuDevice):
    """Runs networks as .tflite graphs by XNNPACK's kernels."""

    def __init__(self, workload):
        refuse_half_precision("litert", LiteRt, workload)
        super().__init__(LiteRt, workload)
        self._batch_size = workload.batch_size
        self._rng = np.random.default_rng(0)

    def prepare(self, network):
        """Return the interpreter of a network's graph, with its input set."""
        return self.load(network.tflite(self._batch_size, self._rng))

    def release(self, interpreter):
        """Nothing to do: the memory is freed with the last reference to the interpreter."""
