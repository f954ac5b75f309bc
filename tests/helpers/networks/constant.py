"""A small network in which one layer's number of channels is fixed, as a user would write it."""

from models.description import Description
from models.operations import Classify, Convolve, Width


def network(classes):
    """Return three convolutions, the second of which always has 16 channels."""
    first, last = Width("the stem", 8), Width("the last convolution", 24)
    operations = (
        Convolve("the stem", 3, first, stride=2),
        Convolve("the fixed convolution", first, 16),
        Convolve("the last convolution", 16, last, dw=True),
        Classify(last, classes),
    )
    return Description("Constant", operations)
