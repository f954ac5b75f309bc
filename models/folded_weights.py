"""The weights of a deployed MobileNet-v1, BatchNorm folded into its convolutions, as arrays."""

from dataclasses import dataclass

import numpy as np

from models.mobilenet_v1 import IMAGE_CHANNELS, STRIDES


@dataclass(frozen=True)
class Convolution:
    """A convolution with the BatchNorm behind it folded in; a ReLU follows."""

    kernel: np.ndarray  # (out_channels, in_channels / groups, size, size)
    bias: np.ndarray  # (out_channels,)
    stride: int
    groups: int

    @property
    def size(self):
        """The side of the kernel; the padding is half of it."""
        return self.kernel.shape[-1]


@dataclass(frozen=True)
class FoldedWeights:
    """The arrays of one network: 27 convolutions in their order, and the classifier."""

    convolutions: tuple[Convolution, ...]
    classifier_weight: np.ndarray  # (classes, last width)
    classifier_bias: np.ndarray  # (classes,)

    @property
    def classes(self):
        """The number of logits."""
        return len(self.classifier_bias)


def fold(kernel, scale, shift, mean, variance, epsilon, stride, groups):
    """Return the Convolution of a kernel without bias and the BatchNorm behind it.

    kernel: (out_channels, in_channels / groups, size, size); scale, shift, mean and variance:
    BatchNorm's, (out_channels,); arithmetic is in double precision
    """
    factor = np.asarray(scale, np.float64) / np.sqrt(np.asarray(variance, np.float64) + epsilon)
    kernel = kernel * factor[:, None, None, None]
    bias = shift - mean * factor
    return Convolution(kernel.astype(np.float32), bias.astype(np.float32), stride, groups)


def random_weights(configuration, classes, rng):
    """Return random float32 FoldedWeights whose activations neither grow nor vanish with depth.

    The kernels are slices of one pool of random numbers: to a runtime the values do not matter, as
    long as they are neither constant nor denormal, and drawing millions of them takes time.
    """
    inputs, outputs = (IMAGE_CHANNELS, *configuration), (*configuration, classes)
    pointwise = (before * width for before, width in zip(inputs, outputs, strict=True))
    pool = rng.standard_normal(max(9 * inputs[0] * outputs[0], *pointwise), dtype=np.float32)

    def draw(out_channels, in_channels, size):
        fan_in = in_channels * size * size
        values = pool[: out_channels * fan_in] * np.float32(np.sqrt(2 / fan_in))
        return values.reshape(out_channels, in_channels, size, size)

    def convolution(out_channels, in_channels, size, stride=1, groups=1):
        kernel = draw(out_channels, in_channels // groups, size)
        return Convolution(kernel, np.full(out_channels, 0.01, np.float32), stride, groups)

    layers = [convolution(configuration[0], IMAGE_CHANNELS, 3, STRIDES[0])]
    for before, width, stride in zip(configuration, configuration[1:], STRIDES[1:], strict=False):
        layers.append(convolution(before, before, 3, stride, groups=before))
        layers.append(convolution(width, before, 1))
    classifier = draw(classes, configuration[-1], 1)[:, :, 0, 0]
    return FoldedWeights(tuple(layers), classifier, np.zeros(classes, np.float32))
