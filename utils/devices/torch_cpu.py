"""Device `cpu`: PyTorch on the CPU, eager mode."""

import ctypes

import torch

from utils.devices.timing import elapsed_s
from utils.devices.torch_stream import DTYPES
from utils.devices.workload import CLOCKS, cpu_name, cpu_state, versions
from utils.progress import warn

# Parameters of glibc's mallopt, from malloc.h.
M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4


class TorchCpu:
    """Runs networks as PyTorch modules in evaluation mode."""

    def __init__(self, workload):
        if workload.dtype == "fp16":
            warn(
                "PyTorch computes half precision on a CPU many times slower than single; "
                "the latencies say little about any deployment"
            )
        keep_freed_memory()
        torch.set_num_threads(workload.threads)
        self._clock = CLOCKS[workload.clock]
        self._images = torch.randn(workload.images_shape).to(DTYPES[workload.dtype])

    def describe(self):
        """Return the processor, the runtime and its versions."""
        return {
            "device_name": cpu_name(),
            "runtime": "PyTorch, eager mode, BatchNorm as layers, freed memory kept",
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


def keep_freed_memory():
    """Let glibc keep what this process frees, as the runtimes with memory of their own do.

    Eager PyTorch allocates every layer's output anew. Whether glibc has given the last one back to
    the system depends on its size and on those freed before: at 224×224 a network has no page
    faults or 3,000 in a run, which then takes a third longer, for as long as the process lives; in
    a batch of 16 a run takes up to 2.9 times as long. No latency table could know that. Does
    nothing with another C library.
    """
    if mallopt := getattr(ctypes.CDLL(None), "mallopt", None):
        mallopt(M_MMAP_MAX, 0)
        mallopt(M_TRIM_THRESHOLD, -1)  # never
