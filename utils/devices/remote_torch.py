"""Device `gpu` behind an agent: PyTorch on CUDA, with networks that travel as TorchScript."""

import io

import torch

from utils.devices.torch_gpu import TorchGpu


class RemoteTorchGpu(TorchGpu):
    """Runs a traced network as device `gpu` runs its module."""

    def describe(self):
        """Return the device, the runtime and its versions."""
        runtime = "PyTorch on CUDA, TorchScript, BatchNorm as layers"
        return dict(super().describe(), runtime=runtime)

    def load(self, data):
        """Return a function that runs a network, the bytes of a TorchScript file."""
        return self.prepare(Script(data))


class Script:
    """A network that has arrived as TorchScript."""

    def __init__(self, data):
        self._data = data

    def module(self):
        """Return the module, on the processor."""
        return torch.jit.load(io.BytesIO(self._data), map_location="cpu")


def open_device(name, workload):
    """Return the device: what an agent asks for."""
    return RemoteTorchGpu(workload)
