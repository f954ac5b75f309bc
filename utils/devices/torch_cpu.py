"""Device `cpu`: PyTorch on the processor, eager mode."""

import torch

from utils.devices.timing import elapsed_s
from utils.devices.workload import CLOCKS, cpu_name, cpu_state, versions
from utils.progress import warn

TORCH_DTYPES = {"fp16": torch.float16, "fp32": torch.float32}


class TorchCpu:
    """Runs networks as PyTorch modules in evaluation mode."""

    def __init__(self, workload):
        if workload.dtype == "fp16":
            warn(
                "PyTorch computes half precision on a CPU many times slower than single; "
                "the latencies say little about any deployment"
            )
        torch.set_num_threads(workload.threads)
        self._clock = CLOCKS[workload.clock]
        self._images = torch.randn(workload.images_shape).to(TORCH_DTYPES[workload.dtype])

    def describe(self):
        """Return the processor, the runtime and its versions."""
        return {
            "device_name": cpu_name(),
            "runtime": "PyTorch, eager mode, BatchNorm as layers",
            "versions": versions("torch"),
        }

    def state(self):
        """Return the load of the machine."""
        return cpu_state()

    def prepare(self, network):
        """Return the module of a network."""
        return network.module().to(self._images.dtype)

    def run(self, net):
        """Return the seconds of one batch."""
        with torch.inference_mode():
            return elapsed_s(lambda: net(self._images), self._clock)

    def release(self, net):
        """Nothing to do: the memory is freed with the last reference to the network."""
