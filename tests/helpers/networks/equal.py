"""A small network with a convolution between equal widths, as a user would write it."""

from models.description import Description
from models.operations import Add, Classify, Convolve, Width


def network(classes):
    """Return a block whose one convolution is between equal widths."""
    stem, last = Width("the stem", 8), Width("the last convolution", 16)
    operations = (
        Convolve("the stem", 3, stem, stride=2),
        Convolve("the block's", stem, stem, linear=True),
        Add("the block", to="the stem"),
        Convolve("the last convolution", stem, last, stride=2),
        Classify(last, classes),
    )
    return Description("Equal", operations)
