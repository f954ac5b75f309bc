"""A small network of ResNet-18's kind, as a user would write it."""

from models.description import Description
from models.operations import Add, Classify, Convolve, MaxPool, Width


def network(classes):
    """Return a block that adds to what it reads, and one with a shortcut."""
    stem, stage = Width("the stem", 16), Width("stage 2", 24)
    within, between = Width("block 1, convolution 1", 16), Width("block 2, convolution 1", 16)
    operations = (
        Convolve("the stem", 3, stem, kernel_size=7, stride=2),
        MaxPool("pooling"),
        Convolve("block 1, convolution 1", stem, within),
        Convolve("block 1, convolution 2", within, stem, linear=True),
        Add("block 1", to="pooling"),
        Convolve("block 2, convolution 1", stem, between, stride=2),
        Convolve("block 2, convolution 2", between, stage, linear=True),
        Convolve("shortcut", stem, stage, kernel_size=1, stride=2, linear=True, of="block 1"),
        Add("block 2", to="block 2, convolution 2"),
        Classify(stage, classes),
    )
    return Description("Basic", operations)
