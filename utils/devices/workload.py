"""The workload that all networks of a run share, and the machine that they run on."""

import importlib.metadata
from dataclasses import dataclass

from utils.devices.cpu_runtimes import CLOCKS, cpu_name, cpu_state
from utils.user_error import UserError

__all__ = ["CLOCKS", "cpu_name", "cpu_state"]  # for those who import them from here
DTYPES = ("fp16", "fp32")
IMAGE_CHANNELS = 3


@dataclass(frozen=True)
class Command:
    """A program that times networks, for utils.devices.command.

    text:      its words, as typed, with placeholders; pattern: a regular expression of latencies
    timeout_s: that it may take for one visit to a network
    """

    text: str
    pattern: str | None = None
    timeout_s: float = 600.0


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
    command: Command | None = None  # command

    @property
    def images_shape(self):
        """The shape of a batch of images."""
        return self.batch_size, IMAGE_CHANNELS, self.input_size, self.input_size


def versions(*packages):
    """Return the installed versions of packages, by name."""
    return {package: importlib.metadata.version(package) for package in packages}


def refuse_half_precision(name, runtime, workload):
    """Raise UserError that tells why a device's runtime, of cpu_runtimes, times fp32 only."""
    if workload.dtype != "fp32":
        raise UserError(f"device {name} times fp32 only: {runtime.why_fp32_only}")
