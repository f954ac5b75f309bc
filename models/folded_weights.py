"""The weights of a deployed network as arrays, with BatchNorm folded into its convolutions."""

from dataclasses import dataclass

import numpy as np

from models.description import Description


@dataclass(frozen=True)
class Convolution:
    """The weights of a convolution, with the BatchNorm after it folded in."""

    kernel: np.ndarray  # (out_channels, in_channels / groups, size, size)
    bias: np.ndarray  # (out_channels,)

    @property
    def size(self):
        """The side of the kernel; the padding is half of it."""
        return self.kernel.shape[-1]

    def groups(self, step):
        """Return the number of channel groups that its Step has."""
        return len(self.kernel) if step.depthwise else 1


@dataclass(frozen=True)
class FoldedWeights:
    """The arrays of one network: those of its convolutions in order, and the classifier's."""

    network: Description
    convolutions: tuple[Convolution, ...]
    classifier_weight: np.ndarray  # (classes, last width)
    classifier_bias: np.ndarray  # (classes,)

    @property
    def classes(self):
        """The number of logits."""
        return len(self.classifier_bias)


def fold(kernel, scale, shift, mean, variance, epsilon):
    """Return the Convolution of a kernel without bias and the BatchNorm after it.

    kernel: (out_channels, in_channels / groups, size, size); scale, shift, mean and variance:
    BatchNorm's, (out_channels,); arithmetic is in double precision
    """
    factor = np.asarray(scale, np.float64) / np.sqrt(np.asarray(variance, np.float64) + epsilon)
    kernel = kernel * factor[:, None, None, None]
    bias = shift - mean * factor
    return Convolution(kernel.astype(np.float32), bias.astype(np.float32))


def random_weights(network, configuration, rng):
    """Return random float32 FoldedWeights whose activations neither grow nor vanish with depth.

    The kernels are slices of one pool of random numbers, since drawing millions takes time. The
    values do not matter to a runtime, as long as they are neither constant nor denormal.
    """
    shapes = network.kernel_shapes(configuration)
    pool = rng.standard_normal(max(np.prod(shape) for shape in shapes), dtype=np.float32)

    def draw(shape, gain):
        fan_in = np.prod(shape[1:])
        values = pool[: np.prod(shape)] * np.float32(np.sqrt(gain / fan_in))
        return values.reshape(shape)

    convolutions = []
    for step, shape in zip(network.convolutions, shapes, strict=False):
        kernel = draw(shape, 2 if step.active else 1)
        convolutions.append(Convolution(kernel, np.full(shape[0], 0.01, np.float32)))
    classifier = draw(shapes[-1], 2)
    return FoldedWeights(
        network, tuple(convolutions), classifier, np.zeros(network.classes, np.float32)
    )
