"""The networks that devices time: one configuration, random weights, in a runtime's own form.

models.onnx_file.OnnxFile has the same interface for a file, but only the ONNX form.
"""

from dataclasses import dataclass

from models.description import Description
from models.folded_weights import random_weights


@dataclass(frozen=True)
class Network:
    """One configuration of a described network; every form draws new random weights."""

    description: Description
    configuration: tuple[int, ...]
    input_size: int
    path = None  # it is not a file
    precision = None  # the device's own

    def module(self):
        """Return a PyTorch module in evaluation mode, with BatchNorm as layers."""
        from models.pytorch.plain import PlainNet

        return PlainNet(self.description, self.configuration).eval()

    def folded_weights(self, rng):
        """Return the FoldedWeights, NumPy arrays with BatchNorm folded into the convolutions."""
        return random_weights(self.description, self.configuration, rng)

    def onnx(self, batch_size, rng):
        """Return the bytes of the float32 ONNX model for one batch size, with BatchNorm folded."""
        from models.onnx_graph import serialize

        return serialize(self.folded_weights(rng), batch_size, self.input_size)

    def tflite(self, batch_size, rng):
        """Return the bytes of the float32 LiteRT model for one batch size, with BatchNorm folded.

        Its images are NHWC, unlike those of the other forms.
        """
        from models.tflite_graph import serialize

        return serialize(self.folded_weights(rng), batch_size, self.input_size)

    def bytes(self, batch_size):
        """Return roughly the memory it takes on a device: the weights twice, and three maps."""
        channels = self.description.channels(self.configuration)
        sides = self.description.map_sizes(self.input_size)
        largest = max(sum(c) * side * side for c, side in zip(channels, sides, strict=True))
        return 4 * (2 * self.parameters + 3 * batch_size * largest)

    @property
    def macs(self):
        """The multiply-accumulate operations for one image."""
        return self.description.macs(self.configuration, self.input_size)

    @property
    def parameters(self):
        """The number of trainable parameters, BatchNorm's included."""
        return self.description.parameters(self.configuration)
