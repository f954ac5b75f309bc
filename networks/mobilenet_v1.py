"""MobileNet-v1: a 3×3 convolution, then depthwise separable ones.

Source: Howard et al. 2017; variables as in Berman et al. 2020 (AOWS).
"""

from models.description import Description
from models.operations import Classify, Convolve, Width

BASE_WIDTHS = (32, 64, 128, 128, 256, 256, 512, 512, 512, 512, 512, 512, 1024, 1024)
STRIDES = (2, 1, 2, 1, 2, 1, 2, 1, 1, 1, 1, 1, 2, 1)


def network(classes, base_widths=BASE_WIDTHS, strides=STRIDES):
    """Return MobileNet-v1 for a number of classes; each layer has its own width."""
    operations, inputs = [], 3
    for number, (base, stride) in enumerate(zip(base_widths, strides, strict=True), start=1):
        name = f"layer {number}"
        width = Width(name, base)
        operations.append(Convolve(name, inputs, width, stride=stride, dw=number > 1))
        inputs = width
    return Description("MobileNet-v1", (*operations, Classify(inputs, classes)))
