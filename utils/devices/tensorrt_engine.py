"""TensorRT engines on a CUDA device, however they were built; an agent uses this file, too."""

import tensorrt
import torch

from utils.devices.nvidia import gpu_state
from utils.devices.torch_stream import TorchStream, device_description
from utils.user_error import UserError


class TensorRtDevice:
    """Runs networks as engines, timed by CUDA events; a subclass has `build(network)`."""

    def __init__(self, workload):
        if not torch.cuda.is_available():
            raise UserError("device trt: there is no CUDA device on this machine")
        self._workload = workload
        self._stream = TorchStream()

    def describe(self):
        """Return the device, the runtime and its versions."""
        description = device_description("TensorRT, BatchNorm folded")
        description["versions"]["tensorrt"] = tensorrt.__version__
        return description

    def state(self):
        """Return clocks, temperature and throttle reasons, where the driver reports them."""
        return gpu_state()

    def free_memory_bytes(self):
        """Return how many bytes of the device's memory are free."""
        return torch.cuda.mem_get_info()[0]

    def prepare(self, network):
        """Return the engine of a network and the function that enqueues it."""
        engine = self.build(network)
        if not self._workload.cuda_graph:
            return engine, engine.launch
        replay = self._stream.capture(engine.launch)
        engine.check()
        return engine, replay

    def run(self, handle):
        """Return the seconds of one batch on the device."""
        engine, launch = handle
        seconds = self._stream.time_s(launch)
        engine.check()
        return seconds

    def release(self, handle):
        """Nothing to do: the engine is freed with the last reference to it."""


class Engine:
    """An engine with its inputs and outputs bound to memory, enqueued on one stream.

    stream: memory and a handle, as utils.devices.torch_stream.TorchStream gives them
    """

    def __init__(self, runtime, serialized, stream, dtype):
        self._engine = runtime.deserialize_cuda_engine(serialized)
        if self._engine is None:
            raise UserError("TensorRT could not load the engine; its own message stands above")
        self._context = self._engine.create_execution_context()
        self._stream = stream
        self._enqueued = True
        self._memory = []
        for i in range(self._engine.num_io_tensors):
            name = self._engine.get_tensor_name(i)
            memory = stream.random(tuple(self._engine.get_tensor_shape(name)), dtype)
            self._context.set_tensor_address(name, memory.data_ptr())
            self._memory.append(memory)

    def launch(self):
        """Enqueue one batch."""
        self._enqueued = self._context.execute_async_v3(self._stream.handle)

    def check(self):
        """Raise UserError if the last launch failed; not to be called during a graph's capture."""
        if not self._enqueued:
            raise UserError("TensorRT could not run the engine; its own message stands above")
