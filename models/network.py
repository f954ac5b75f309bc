"""The networks that devices time: MobileNet-v1 of random weights, in the form a runtime asks for.

models.onnx_file.OnnxFile answers the same questions about a file, but has its ONNX form only.
"""

from dataclasses import dataclass

from models import mobilenet_v1
from models.folded_weights import random_weights

REFERENCE = "0.75xMOBILENET"


@dataclass(frozen=True)
class Network:
    """MobileNet-v1 of a configuration; every form draws its random weights anew."""

    configuration: tuple[int, ...]
    input_size: int
    classes: int
    path = None  # it is no file
    precision = None  # that in which the device computes

    @classmethod
    def reference(cls, input_size, classes):
        """Return the network that is timed beside all others."""
        return cls(mobilenet_v1.parse_configuration(REFERENCE), input_size, classes)

    def module(self):
        """Return a PyTorch module in evaluation mode, BatchNorm as layers."""
        from models.pytorch.mobilenet_v1 import MobileNetV1

        return MobileNetV1(self.configuration, self.classes).eval()

    def folded_weights(self, rng):
        """Return FoldedWeights, which are NumPy's: BatchNorm is in the convolutions."""
        return random_weights(self.configuration, self.classes, rng)

    def onnx(self, batch_size, rng):
        """Return the bytes of the float32 ONNX model for one batch size, BatchNorm folded."""
        from models.onnx_graph import serialize

        return serialize(self.folded_weights(rng), batch_size, self.input_size)

    def bytes(self, batch_size):
        """Return about how much memory it takes on a device: weights twice, and three maps."""
        inputs = (mobilenet_v1.IMAGE_CHANNELS, *self.configuration[:-1])
        sizes = mobilenet_v1.map_sizes(self.input_size)
        largest = max(
            (before + width) * size * size
            for before, width, size in zip(inputs, self.configuration, sizes, strict=True)
        )
        return 4 * (2 * self.parameters + 3 * batch_size * largest)

    @property
    def macs(self):
        """The multiply-accumulate operations of one image."""
        return mobilenet_v1.count_macs(self.configuration, self.input_size, self.classes)

    @property
    def parameters(self):
        """The number of trainable parameters, BatchNorm's included."""
        return mobilenet_v1.count_parameters(self.configuration, self.classes)
