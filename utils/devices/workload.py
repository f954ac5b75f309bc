"""The workload that all networks of a run share, and the machine that they run on."""

import importlib.metadata
import os
import platform
import time
from dataclasses import dataclass

DTYPES = ("fp16", "fp32")
IMAGE_CHANNELS = 3
CLOCKS = {"wall": time.perf_counter, "cpu": time.process_time}


@dataclass(frozen=True)
class Workload:
    """What all networks of a run have in common, and the options of the runtimes."""

    batch_size: int = 64
    input_size: int = 224
    classes: int = 1000
    dtype: str = "fp32"
    threads: int = 1  # CPU runtimes
    clock: str = "wall"  # CPU runtimes: a name of CLOCKS
    tf32: bool = False  # CUDA runtimes
    channels_last: bool = False  # gpu
    cuda_graph: bool = False  # gpu, trt
    trt_builder: str = "network"  # trt: "network" or "torch2trt"
    timing_cache: str | None = None  # trt: file that keeps the timed kernels between builds

    @property
    def images_shape(self):
        """The shape of a batch of images."""
        return self.batch_size, IMAGE_CHANNELS, self.input_size, self.input_size


def cpu_name():
    """Return the model name of this machine's processor."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            for line in file:
                if line.startswith("model name"):
                    return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def versions(*packages):
    """Return the installed versions of packages, by name."""
    return {package: importlib.metadata.version(package) for package in packages}


def cpu_state():
    """Return what may change the speed of this machine's processor at the moment."""
    return {"load_average": os.getloadavg()[0]}
