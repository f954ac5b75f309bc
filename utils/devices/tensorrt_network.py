"""Building TensorRT engines of networks through the network API, with a timing cache.

TensorRT's module is an argument (`trt`): the same code builds with tensorrt 10 and 11 and with
tensorrt_rtx, which needs no GPU to build. Two of them must never be loaded in one process.
"""

from pathlib import Path

import numpy as np

from utils.atomic_files import atomic_write
from utils.devices.tensorrt_builder import Builder
from utils.errors import UserError

NUMPY_DTYPES = {"fp16": np.float16, "fp32": np.float32}


class EngineBuilder(Builder):
    """Builds engines for one workload; each build reuses what earlier ones timed.

    workload.timing_cache names a file that keeps the timed kernels between processes, or is None.
    The thousands of networks of a search space share all but a few of their layers.
    """

    def __init__(self, trt, workload):
        super().__init__(trt, workload)
        self._saved_cache = b""
        if workload.timing_cache:
            self._load_cache(Path(workload.timing_cache))

    def _load_cache(self, path):
        if path.exists():
            self._saved_cache = path.read_bytes()
        cache = self._config.create_timing_cache(self._saved_cache)
        # ignore_mismatch=False: kernels that were timed on another device or version are refused
        if cache is None or not self._config.set_timing_cache(cache, False):
            raise UserError(
                f"{path} was written by another device or version of TensorRT: delete it"
            )

    def _save_cache(self):
        cache = bytes(self._config.get_timing_cache().serialize())
        if cache != self._saved_cache:
            with atomic_write(self.workload.timing_cache) as file:
                file.write(cache)
            self._saved_cache = cache

    def network(self, weights):
        """Return (the network definition of FoldedWeights, the arrays that it reads).

        Half precision is in the network itself: half weights, half input, strong typing. The
        arrays must live until the engine is built.
        """
        trt, workload = self.trt, self.workload
        # Version 11 always uses strong typing; 10 needs the flag.
        flags = 1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED)
        network = self._builder.create_network(flags)
        maker = Maker(trt, network, weights, workload)
        element_type = trt.float16 if workload.dtype == "fp16" else trt.float32
        images = network.add_input("images", element_type, workload.images_shape)
        logits = weights.network.run(images, maker)
        logits.name = "logits"
        network.mark_output(logits)
        return network, maker.alive

    def build(self, weights):
        """Return the serialized engine of FoldedWeights; raises UserError if it cannot be built."""
        network, alive = self.network(weights)
        engine = self._serialized(network)
        del alive  # the builder has read the arrays
        if self.workload.timing_cache:
            self._save_cache()
        return engine


class Maker:
    """Adds the steps of a network to a network definition, as layers."""

    def __init__(self, trt, network, weights, workload):
        self._trt, self._network, self._weights, self._workload = trt, network, weights, workload
        self.alive = []

    def convolve(self, step, value):
        """Return a convolution with its activation."""
        convolution = self._weights.convolutions[step.index]
        layer = self._convolution(value, convolution.kernel, convolution.bias)
        layer.stride_nd = (step.stride,) * 2
        layer.num_groups = convolution.groups(step)
        return self._activated(step, layer.get_output(0))

    def add(self, step, value, other):
        """Return the sum with its activation."""
        layer = self._network.add_elementwise(value, other, self._trt.ElementWiseOperation.SUM)
        return self._activated(step, layer.get_output(0))

    def pool(self, step, value):
        """Return the maximum of each window."""
        window = (step.kernel_size,) * 2
        layer = self._network.add_pooling_nd(value, self._trt.PoolingType.MAX, window)
        layer.stride_nd, layer.padding_nd = (step.stride,) * 2, (step.kernel_size // 2,) * 2
        return layer.get_output(0)

    def classify(self, step, value):
        """Return the logits."""
        weights, height_and_width = self._weights, (1 << 2) | (1 << 3)
        pooled = self._network.add_reduce(
            value, self._trt.ReduceOperation.AVG, height_and_width, True
        )
        kernel = weights.classifier_weight[:, :, None, None]
        layer = self._convolution(pooled.get_output(0), kernel, weights.classifier_bias)
        layer = self._network.add_shuffle(layer.get_output(0))
        layer.reshape_dims = (self._workload.batch_size, weights.classes)
        return layer.get_output(0)

    def _convolution(self, value, kernel, bias):
        layer = self._network.add_convolution_nd(
            value, len(kernel), kernel.shape[2:], self._constant(kernel), self._constant(bias)
        )
        layer.padding_nd = (kernel.shape[-1] // 2,) * 2
        return layer

    def _constant(self, array):
        array = np.ascontiguousarray(array, NUMPY_DTYPES[self._workload.dtype])
        self.alive.append(array)
        return self._trt.Weights(array)

    def _activated(self, step, value):
        if not step.active:
            return value
        kinds = self._trt.ActivationType
        if self._weights.network.activation == "relu":
            return self._network.add_activation(value, kinds.RELU).get_output(0)
        layer = self._network.add_activation(value, kinds.CLIP)
        layer.alpha, layer.beta = 0.0, 6.0
        return layer.get_output(0)
