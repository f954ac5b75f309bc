"""The runtimes that networks are timed on: one file and one small class per runtime.

Each class has the same three verbs:
    prepare(configuration) -> handle   build the network with random weights
    run(handle) -> seconds             run one batch and time it
    release(handle)                    free what prepare took
and tells the metadata of a samples file what it is, `describe()`, and what may change its speed at
the moment, `state()`; both return dictionaries. To add a runtime, add one file, and its class to
`open_device`.
"""

import importlib.metadata
import os
import platform
import time
from dataclasses import dataclass

from utils.errors import UserError

DEVICES = ("cpu", "gpu", "onnxruntime", "openvino", "trt")
DTYPES = ("fp16", "fp32")
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


def open_device(name, workload):
    """Return the device of a name, ready to prepare networks.

    Raises UserError that names the package or the device that is missing, or the reason why the
    runtime cannot run this workload.
    """
    try:
        match name:
            case "cpu":
                from utils.devices.torch_cpu import TorchCpu as Device
            case "gpu":
                from utils.devices.torch_gpu import TorchGpu as Device
            case "onnxruntime":
                from utils.devices.onnxruntime_cpu import OnnxRuntimeCpu as Device
            case "openvino":
                from utils.devices.openvino_cpu import OpenVinoCpu as Device
            case "trt":
                from utils.devices.tensorrt_gpu import TensorRtGpu as Device
            case _:
                raise UserError(f"unknown device {name!r}: choose from {', '.join(DEVICES)}")
        return Device(workload)
    except ModuleNotFoundError as error:
        package = error.name.partition(".")[0]
        raise UserError(f"device {name} needs the Python package {package!r}") from None


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
