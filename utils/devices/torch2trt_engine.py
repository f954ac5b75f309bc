"""Engines built by torch2trt, as in the paper's own code; for TensorRT up to 10."""

from utils.errors import UserError


class Torch2TrtBuilder:
    """Converts PyTorch modules with torch2trt, which must be installed."""

    def __init__(self, trt, workload, stream):
        if int(trt.__version__.partition(".")[0]) > 10:
            raise UserError(
                "--trt-builder torch2trt works up to TensorRT 10: it needs BuilderFlag.FP16 and "
                f"others that TensorRT {trt.__version__} no longer has; use --trt-builder network"
            )
        from torch2trt import torch2trt

        self._convert = torch2trt
        self._workload = workload
        self._images = stream.random(workload.images_shape, workload.dtype)

    def build(self, network):
        """Return the Torch2TrtEngine of a network's module."""
        half = self._workload.dtype == "fp16"
        net = network.module().to(self._images.device, self._images.dtype)
        # max_batch_size is left out: with it, torch2trt builds an engine for any batch size
        return Torch2TrtEngine(self._convert(net, [self._images], fp16_mode=half), self._images)


class Torch2TrtEngine:
    """A converted module and its input, with the same two methods as Engine."""

    def __init__(self, module, images):
        self._module = module
        self._images = images

    def launch(self):
        """Enqueue one batch on PyTorch's current stream."""
        self._module(self._images)

    def check(self):
        """Nothing to do: torch2trt raises its errors itself."""
