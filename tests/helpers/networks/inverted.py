"""A small network of MobileNet-v2's kind, as a user would write it."""

from models.description import Description
from models.operations import Add, Classify, Convolve, Width


def network(classes):
    """Return a stem, a block that changes the width, and one that adds to what it reads."""
    stem, first, second = Width("the stem", 8), Width("stage 1", 16), Width("stage 2", 16)
    wide, wider = Width("block 1, expansion", 24), Width("block 2, expansion", 32)
    operations = (
        Convolve("the stem", 3, stem, stride=2),
        Convolve("stage 1", stem, first, dw=True, linear=True),
        Convolve("block 1, expansion", first, wide, kernel_size=1),
        Convolve("block 1", wide, second, stride=2, dw=True, linear=True),
        Convolve("block 2, expansion", second, wider, kernel_size=1),
        Convolve("block 2, projection", wider, second, dw=True, linear=True),
        Add("block 2", to="block 1", linear=True),
        Classify(second, classes),
    )
    return Description("Inverted", operations, activation="relu6")
