"""Where and how a framework trains, as set on the command line."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Execution:
    """Where and how a framework trains.

    framework: mxnet or pytorch
    num_gpus:  None: all GPUs present (PyTorch: one per process), or the CPU if none; 0: the CPU
    dtype:     of the forward passes: float32, float16 (on GPUs) or bfloat16 (PyTorch)
    compile:   PyTorch: whether to compile the passes
    mode:      MXNet: hybrid compiles the network
    kv_store:  MXNet: what sums the gradients of devices or processes
    """

    framework: str = "mxnet"
    num_gpus: int | None = None
    dtype: str = "float32"
    compile: bool = False
    mode: str = "imperative"
    kv_store: str = "device"
