"""The variables of a latency table: layers on their maps, with their channels."""

from dataclasses import asdict, dataclass


@dataclass(frozen=True, order=True)
class LayerType:
    """A layer without its channels; in_size is the (height, width) of its input map."""

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


def layer_types(network, input_size):
    """Return the layer types of a Description's convolutional layers and, last, its classifier.

    in_size halves by floor division at stride 2, the convention of latency table files; it never
    falls below 1. (The real maps round up; the two agree where input_size is a multiple of 32.)
    """
    reductions = {}
    for step in network.convolutions:
        reductions.setdefault(step.layer, step.reduction)  # of a dw layer's first convolution
    sides = [max(1, input_size // reduction) for reduction in reductions.values()]
    # Global pooling: its window is the whole last map, which leaves one pixel.
    return tuple(
        LayerType((side, side), layer.kernel_size, layer.stride, layer.dw, layer.bias)
        for layer, side in zip(network.layers, [*sides, 1], strict=True)
    )
