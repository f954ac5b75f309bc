"""MobileNet-v1 without a framework: strides, widths, layer types, cost, configurations as text.

A configuration is one width (number of output channels) per layer. Layer 1 is a 3×3 convolution,
every other layer a depthwise 3×3 and a pointwise 1×1 convolution, each followed by BatchNorm and
ReLU; then global average pooling and a linear classifier.
Source: Howard et al. 2017; variables as in Berman et al. 2020 (AOWS).
"""

import re
from dataclasses import asdict, dataclass

import numpy as np

from utils.devices.workload import IMAGE_CHANNELS
from utils.errors import UserError

BASE_WIDTHS = (32, 64, 128, 128, 256, 256, 512, 512, 512, 512, 512, 512, 1024, 1024)
STRIDES = (2, 1, 2, 1, 2, 1, 2, 1, 1, 1, 1, 1, 2, 1)


@dataclass(frozen=True, order=True)
class LayerType:
    """What a layer is but for its channels; in_size is the (height, width) of its input map."""

    in_size: tuple[int, int]
    kernel_size: int
    stride: int
    dw: bool  # a depthwise convolution comes before the pointwise one
    bias: bool

    def with_channels(self, in_channels, out_channels):
        """Return the Variable of this layer type with the given channels."""
        return Variable(**asdict(self), in_channels=in_channels, out_channels=out_channels)


@dataclass(frozen=True, order=True)
class Variable(LayerType):
    """A layer type with its channels: one entry of a latency table."""

    in_channels: int
    out_channels: int


def layer_types(input_size, strides=STRIDES):
    """Return the layer types of the convolutional layers and, last, of the classifier.

    in_size halves by floor division at stride 2, the convention of latency table files; it never
    falls below 1. (The real maps round up; the two agree where input_size is a multiple of 32.)
    """
    types = []
    size = input_size
    for layer, stride in enumerate(strides):
        types.append(LayerType((size, size), 3, stride, dw=layer > 0, bias=False))
        size = max(1, size // stride)
    # Global pooling: its window is the whole last map, which leaves one pixel.
    types.append(LayerType((1, 1), 1, 1, dw=False, bias=True))
    return tuple(types)


def map_sizes(input_size, strides=STRIDES):
    """Return the side of each layer's real output map: a padded 3×3 convolution rounds up."""
    sizes = []
    for stride in strides:
        input_size = -(-input_size // stride)
        sizes.append(input_size)
    return sizes


def count_macs(configuration, input_size, classes, strides=STRIDES):
    """Return the multiply-accumulate operations of one image, BatchNorm and ReLU not counted."""
    in_channels, total = IMAGE_CHANNELS, 0
    sizes = map_sizes(input_size, strides)
    for layer, (width, size) in enumerate(zip(configuration, sizes, strict=True)):
        weights = 9 * in_channels * width if layer == 0 else (9 + width) * in_channels
        total += weights * size * size
        in_channels = width
    return total + in_channels * classes


def count_parameters(configuration, classes):
    """Return the number of trainable parameters: weights, BatchNorm scales and shifts, biases."""
    in_channels, total = IMAGE_CHANNELS, 0
    for layer, width in enumerate(configuration):
        total += 9 * in_channels * width if layer == 0 else (9 + 2 + width) * in_channels
        total += 2 * width
        in_channels = width
    return total + (in_channels + 1) * classes


def scaled_widths(multiplier, base_widths=BASE_WIDTHS):
    """Return base_widths times a multiplier, rounded to multiples of 8 (NumPy's rounding), >= 8."""
    widths = 8 * np.maximum(1, np.round(np.asarray(base_widths) * multiplier / 8))
    return tuple(int(width) for width in widths)


def parse_configuration(text):
    """Return the configuration, a tuple of 14 positive ints, that a text names.

    Accepted: "(16, 32, …)", "[16, 32, …]", "16,32,…", "MOBILENET", "0.5xMOBILENET".
    Raises UserError for anything else.
    """
    scaled = re.fullmatch(r"\s*(?:(\d+(?:\.\d*)?|\.\d+)\s*[x×*]\s*)?MOBILENET\s*", text, re.I)
    if scaled:
        multiplier = float(scaled[1] or 1)
        if multiplier <= 0:
            raise UserError(f"configuration {text!r}: the multiplier must be greater than 0")
        return scaled_widths(multiplier)
    body = text.strip()
    if (body[:1], body[-1:]) in {("(", ")"), ("[", "]")}:
        body = body[1:-1]
    numbers = [part.strip() for part in body.rstrip(", ").split(",")]
    if not all(re.fullmatch(r"\d+", number) for number in numbers):
        raise UserError(
            f"configuration {text!r} is not a list of widths such as "
            '"(16, 32, …)", "16,32,…", "MOBILENET" or "0.5xMOBILENET"'
        )
    return check_configuration([int(number) for number in numbers])


def check_configuration(widths):
    """Return widths as a tuple of 14 positive ints, or raise UserError."""
    if len(widths) != len(BASE_WIDTHS):
        raise UserError(
            f"configuration has {len(widths)} widths, MobileNet-v1 has {len(BASE_WIDTHS)} layers"
        )
    for layer, width in enumerate(widths, start=1):
        if width <= 0:
            raise UserError(f"width {width} of layer {layer} must be greater than 0")
    return tuple(widths)


def check_within(configuration, greatest):
    """Return a configuration as a tuple, or raise UserError if a width is above the greatest."""
    configuration = check_configuration(configuration)
    for layer, (width, limit) in enumerate(zip(configuration, greatest, strict=True), start=1):
        if width > limit:
            raise UserError(f"width {width} of layer {layer} is above the net's, {limit}")
    return configuration
