"""Device `cpu`: PyTorch on the processor, eager mode."""

import torch

from models.mobilenet_v1 import IMAGE_CHANNELS
from models.pytorch.mobilenet_v1 import MobileNetV1
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
        self._workload = workload
        self._clock = CLOCKS[workload.clock]
        shape = (workload.batch_size, IMAGE_CHANNELS, workload.input_size, workload.input_size)
        self._images = torch.randn(shape).to(TORCH_DTYPES[workload.dtype])

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

    def prepare(self, configuration):
        """Return the network of a configuration."""
        net = MobileNetV1(configuration, self._workload.classes)
        return net.eval().to(self._images.dtype)

    def run(self, net):
        """Return the seconds of one batch."""
        with torch.inference_mode():
            return elapsed_s(lambda: net(self._images), self._clock)

    def release(self, net):
        """Nothing to do: the memory is freed with the last reference to the network."""
