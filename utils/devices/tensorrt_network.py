"""Building TensorRT engines of MobileNet-v1 through the network API, with a timing cache.

TensorRT's module is an argument (`trt`): the same code builds with tensorrt 10 and 11 and with
tensorrt_rtx, which needs no GPU to build. Two of them must never be loaded in one process.
"""

from pathlib import Path

import numpy as np

from utils.errors import UserError
from utils.json_lines import atomic_write

NUMPY_DTYPES = {"fp16": np.float16, "fp32": np.float32}


class EngineBuilder:
    """Builds engines for one workload; each build reuses what earlier ones timed.

    workload.timing_cache names a file that keeps the timed kernels between processes, or is None.
    The thousands of networks of a search space share all but a few of their layers.
    """

    def __init__(self, trt, workload):
        self.trt = trt
        self.workload = workload
        self.logger = trt.Logger(trt.Logger.ERROR)
        self._builder = trt.Builder(self.logger)
        self._config = self._builder.create_builder_config()
        if not workload.tf32:
            self._config.clear_flag(trt.BuilderFlag.TF32)
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
        # Version 11 knows nothing but strong typing; 10 needs to be told.
        flags = 1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED)
        network = self._builder.create_network(flags)
        alive = []

        def constant(array):
            array = np.ascontiguousarray(array, NUMPY_DTYPES[workload.dtype])
            alive.append(array)
            return trt.Weights(array)

        def convolve(value, kernel, bias):
            layer = network.add_convolution_nd(
                value, len(kernel), kernel.shape[2:], constant(kernel), constant(bias)
            )
            layer.padding_nd = (kernel.shape[-1] // 2,) * 2
            return layer

        element_type = trt.float16 if workload.dtype == "fp16" else trt.float32
        value = network.add_input("images", element_type, workload.images_shape)
        for convolution in weights.convolutions:
            layer = convolve(value, convolution.kernel, convolution.bias)
            layer.stride_nd = (convolution.stride,) * 2
            layer.num_groups = convolution.groups
            value = layer.get_output(0)
            value = network.add_activation(value, trt.ActivationType.RELU).get_output(0)
        height_and_width = (1 << 2) | (1 << 3)
        pooled = network.add_reduce(value, trt.ReduceOperation.AVG, height_and_width, True)
        classifier = weights.classifier_weight[:, :, None, None]
        layer = convolve(pooled.get_output(0), classifier, weights.classifier_bias)
        layer = network.add_shuffle(layer.get_output(0))
        layer.reshape_dims = (workload.batch_size, weights.classes)
        logits = layer.get_output(0)
        logits.name = "logits"
        network.mark_output(logits)
        return network, alive

    def build(self, weights):
        """Return the serialized engine of FoldedWeights; raises UserError if it cannot be built."""
        network, alive = self.network(weights)
        engine = self._builder.build_serialized_network(network, self._config)
        del alive  # the builder has read the arrays
        if engine is None:
            raise UserError("TensorRT could not build the network; its own message stands above")
        if self.workload.timing_cache:
            self._save_cache()
        return bytes(engine)
