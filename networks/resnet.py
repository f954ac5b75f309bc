"""ResNet-18 and ResNet-50: one width per stage, and one per layer within a block.

Strides are in the 3×3 convolutions, as usual since 2016.
Source: He et al. 2015.
"""

from models.description import Description
from models.operations import Add, Classify, Convolve, MaxPool, Width

BASES = (64, 128, 256, 512)  # of the 3×3 convolutions of the four stages
BLOCKS = {18: (2, 2, 2, 2), 50: (3, 4, 6, 3)}


def resnet18(classes):
    """Return ResNet-18 for a number of classes: blocks of two 3×3 convolutions."""
    return resnet(classes, 18, kernels=(3, 3), growth=1)


def resnet50(classes):
    """Return ResNet-50 for a number of classes: bottleneck blocks, 1×1, 3×3, 1×1."""
    return resnet(classes, 50, kernels=(1, 3, 1), growth=4)


def resnet(classes, depth, kernels, growth):
    """Return a ResNet whose blocks have these kernels, the last one `growth` times as wide."""
    inputs = Width("the stem", 64)
    operations = [Convolve("the stem", 3, inputs, kernel_size=7, stride=2), MaxPool("pooling")]
    for stage, (base, blocks) in enumerate(zip(BASES, BLOCKS[depth], strict=True), start=1):
        width = Width(f"stage {stage}", growth * base)
        if stage == 1 and growth == 1:
            width = inputs  # the first block adds to what it reads
        for block in range(1, blocks + 1):
            stride = 2 if stage > 1 and block == 1 else 1
            name = f"stage {stage}, block {block}"
            operations += residual(name, operations[-1].name, inputs, width, base, kernels, stride)
            inputs = width
    return Description(f"ResNet-{depth}", [*operations, Classify(inputs, classes)])


def residual(name, before, inputs, width, base, kernels, stride):
    """Return the operations of a block, with a shortcut where it changes the width.

    before: the operation whose result it reads
    """
    operations, channels = [], inputs
    strided = kernels.index(3)
    for index, kernel_size in enumerate(kernels):
        is_last = index == len(kernels) - 1
        part = f"{name}, convolution {index + 1}"
        outputs = width if is_last else Width(part, base)
        step = stride if index == strided else 1
        operations.append(Convolve(part, channels, outputs, kernel_size, step, linear=is_last))
        channels = outputs
    if inputs == width:
        return [*operations, Add(name, to=before)]
    shortcut = Convolve(f"{name}, shortcut", inputs, width, 1, stride, linear=True, of=before)
    return [*operations, shortcut, Add(name, to=operations[-1].name)]
