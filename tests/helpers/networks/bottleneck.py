"""A small network of ResNet-50's kind, as a user would write it."""

from models.description import Description
from models.operations import Add, Classify, Convolve, Width


def network(classes):
    """Return two blocks that narrow, convolve and widen; the first has a shortcut."""
    stem, stage = Width("the stem", 16), Width("the stage", 32)
    parts = [Width(f"convolution {number}", 16) for number in range(1, 5)]
    operations = (
        Convolve("the stem", 3, stem, stride=2),
        Convolve("convolution 1", stem, parts[0], kernel_size=1),
        Convolve("convolution 2", parts[0], parts[1], stride=2),
        Convolve("block 1, wide", parts[1], stage, kernel_size=1, linear=True),
        Convolve("shortcut", stem, stage, kernel_size=1, stride=2, linear=True, of="the stem"),
        Add("block 1", to="block 1, wide"),
        Convolve("convolution 3", stage, parts[2], kernel_size=1),
        Convolve("convolution 4", parts[2], parts[3]),
        Convolve("block 2, wide", parts[3], stage, kernel_size=1, linear=True),
        Add("block 2", to="block 1"),
        Classify(stage, classes),
    )
    return Description("Bottleneck", operations)
