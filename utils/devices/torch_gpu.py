"""Device `gpu`: PyTorch on a CUDA device, eager mode or a CUDA graph."""

import torch

from utils.devices.nvidia import gpu_state
from utils.devices.torch_stream import DTYPES, TorchStream, device_description
from utils.user_error import UserError


class TorchGpu:
    """Runs networks as PyTorch modules, timed by CUDA events before and after."""

    def __init__(self, workload):
        if not torch.cuda.is_available():
            raise UserError("device gpu: PyTorch finds no CUDA device on this machine")
        torch.backends.cudnn.benchmark = True
        torch.backends.cuda.matmul.allow_tf32 = workload.tf32
        torch.backends.cudnn.allow_tf32 = workload.tf32
        self._workload = workload
        self._stream = TorchStream()
        self._images = self._placed(torch.randn(workload.images_shape))

    def _placed(self, thing):
        """Return a tensor or a module on the device, in the workload's precision and format."""
        thing = thing.to("cuda", DTYPES[self._workload.dtype])
        if self._workload.channels_last:
            thing = thing.to(memory_format=torch.channels_last)
        torch.cuda.synchronize()  # it is used on another stream than the one it is placed on
        return thing

    def describe(self):
        """Return the device, the runtime and its versions."""
        description = device_description("PyTorch on CUDA, BatchNorm as layers")
        description["versions"]["cudnn"] = str(torch.backends.cudnn.version())
        return description

    def state(self):
        """Return clocks, temperature and throttle reasons, where the driver reports them."""
        return gpu_state()

    def free_memory_bytes(self):
        """Return how many bytes of the device's memory are free."""
        return torch.cuda.mem_get_info()[0]

    def prepare(self, network):
        """Return a function that runs the module of a network."""
        net = self._placed(network.module())

        def forward():
            net(self._images)

        return self._stream.capture(forward) if self._workload.cuda_graph else forward

    def run(self, forward):
        """Return the seconds of one batch on the device."""
        return self._stream.time_s(forward)

    def release(self, forward):
        """Nothing to do: PyTorch keeps the freed memory for the next network."""
