"""A stand-in for the tensorrt module, version 11, that computes engines with PyTorch on the CPU.

It has the functions that the device uses and no more, with the real ones' signatures; a network is
a list of functions, an engine is that list, and an enqueued engine writes its logits to the address
that was set for them. Half precision is computed in single and rounded.
"""

import ctypes
from types import SimpleNamespace

import numpy as np
import torch
from torch.nn import functional

__version__ = "11.0.0"
float16, float32 = np.float16, np.float32
ActivationType = SimpleNamespace(RELU="relu", CLIP="clip")
ElementWiseOperation = SimpleNamespace(SUM="sum")
PoolingType = SimpleNamespace(MAX="max")
ReduceOperation = SimpleNamespace(AVG="average")
BuilderFlag = SimpleNamespace(TF32="tf32")
NetworkDefinitionCreationFlag = SimpleNamespace(STRONGLY_TYPED=1)
ENGINES = {}  # serialized engine -> network


class Logger:
    ERROR = 1

    def __init__(self, severity):
        self.severity = severity


class Weights:
    def __init__(self, array):
        self.array = array


class Tensor:
    """A value of the network: a function of the images."""

    def __init__(self, compute, shape=None, name=""):
        self.compute, self.shape, self.name = compute, shape, name


class Layer:
    def __init__(self, compute):
        self.output = Tensor(lambda images: compute(self, images))
        self.stride_nd, self.padding_nd, self.num_groups, self.reshape_dims = (1, 1), (0, 0), 1, ()

    def get_output(self, index):
        return self.output


class Network:
    def __init__(self, flags):
        assert flags == 1 << NetworkDefinitionCreationFlag.STRONGLY_TYPED
        self.inputs, self.outputs = [], []

    def add_input(self, name, dtype, shape):
        self.inputs.append(Tensor(lambda images: images, shape, name))
        self.dtype = dtype
        return self.inputs[0]

    def add_convolution_nd(self, value, out_channels, size, kernel, bias):
        assert kernel.array.dtype == bias.array.dtype == self.dtype  # strongly typed
        assert kernel.array.shape[0] == out_channels and kernel.array.shape[2:] == tuple(size)
        arrays = [torch.from_numpy(weights.array).float() for weights in (kernel, bias)]

        def compute(layer, images):
            return functional.conv2d(
                value.compute(images), *arrays, layer.stride_nd, layer.padding_nd,
                groups=layer.num_groups,
            )  # fmt: skip

        return Layer(compute)

    def add_activation(self, value, kind):
        if kind == ActivationType.CLIP:
            return Layer(lambda layer, images: value.compute(images).clip(layer.alpha, layer.beta))
        assert kind == ActivationType.RELU
        return Layer(lambda layer, images: value.compute(images).relu())

    def add_elementwise(self, value, other, operation):
        assert operation == ElementWiseOperation.SUM
        return Layer(lambda layer, images: value.compute(images) + other.compute(images))

    def add_pooling_nd(self, value, kind, window):
        assert kind == PoolingType.MAX
        return Layer(
            lambda layer, images: functional.max_pool2d(
                value.compute(images), window, layer.stride_nd, layer.padding_nd
            )
        )

    def add_reduce(self, value, operation, axes, keep_dims):
        assert operation == ReduceOperation.AVG
        where = tuple(axis for axis in range(4) if axes >> axis & 1)
        return Layer(lambda layer, images: value.compute(images).mean(where, keep_dims))

    def add_shuffle(self, value):
        return Layer(lambda layer, images: value.compute(images).reshape(layer.reshape_dims))

    def mark_output(self, value):
        self.outputs.append(value)


class TimingCache:
    def __init__(self, data):
        self.data = data

    def serialize(self):
        return self.data


class Config:
    def __init__(self):
        self.flags, self.cache = {BuilderFlag.TF32}, None

    def clear_flag(self, flag):
        self.flags.remove(flag)

    def create_timing_cache(self, data):
        return TimingCache(bytes(data))

    def set_timing_cache(self, cache, ignore_mismatch):
        assert not ignore_mismatch
        if not cache.data.startswith((b"stand-in", b"\0")) and cache.data:
            return False
        self.cache = cache
        return True

    def get_timing_cache(self):
        return self.cache


class Builder:
    fails = False

    def __init__(self, logger):
        self.configs = []

    def create_builder_config(self):
        self.configs.append(Config())
        return self.configs[-1]

    def create_network(self, flags):
        return Network(flags)

    def build_serialized_network(self, network, config):
        if Builder.fails:
            return None
        if config.cache:
            config.cache.data = config.cache.data or b"stand-in"
        serialized = f"engine {len(ENGINES)}".encode()
        ENGINES[serialized] = network
        return serialized


class Runtime:
    def __init__(self, logger):
        self.logger = logger

    def deserialize_cuda_engine(self, serialized):
        network = ENGINES.get(serialized)
        return Engine(network) if network else None


class Engine:
    num_io_tensors = 2

    def __init__(self, network):
        self.network = network
        (images,), (logits,) = network.inputs, network.outputs
        shape = logits.compute(torch.zeros(images.shape)).shape
        self.shapes = {images.name: tuple(images.shape), logits.name: tuple(shape)}

    def get_tensor_name(self, index):
        return list(self.shapes)[index]

    def get_tensor_shape(self, name):
        return self.shapes[name]

    def create_execution_context(self):
        return Context(self)


class Context:
    succeeds = True

    def __init__(self, engine):
        self.engine, self.addresses = engine, {}

    def set_tensor_address(self, name, address):
        self.addresses[name] = address

    def _memory(self, name):
        """Return the memory at a tensor's address as an array."""
        shape, dtype = self.engine.shapes[name], self.engine.network.dtype
        count = int(np.prod(shape)) * np.dtype(dtype).itemsize
        content = (ctypes.c_char * count).from_address(self.addresses[name])
        return np.frombuffer(content, dtype).reshape(shape)

    def execute_async_v3(self, stream):
        assert stream == 1234
        images = torch.from_numpy(self._memory("images").astype(np.float32))
        with torch.no_grad():
            logits = self.engine.network.outputs[0].compute(images)
        self._memory("logits")[:] = logits.numpy()
        return Context.succeeds
