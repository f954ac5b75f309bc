"""MobileNet-v2: inverted residuals, each with its own expansion; one width per stage.

Source: Sandler et al. 2018.
"""

from models.description import Description
from models.operations import Add, Classify, Convolve, Width

EXPANSION = 6
STAGES = ((24, 2, 2), (32, 3, 2), (64, 4, 2), (96, 3, 1), (160, 3, 2), (320, 1, 1))  # c, n, s


def network(classes):
    """Return MobileNet-v2 for a number of classes."""
    stem, inputs, head = Width("the stem", 32), Width("stage 1", 16), Width("the head", 1280)
    operations = [
        Convolve("the stem", 3, stem, stride=2),
        Convolve("stage 1", stem, inputs, dw=True, linear=True),
    ]
    for stage, (base, blocks, stride) in enumerate(STAGES, start=2):
        outputs = Width(f"stage {stage}", base)
        for block in range(1, blocks + 1):
            name, before = f"stage {stage}, block {block}", operations[-1].name
            expansion = Width(f"{name}, expansion", EXPANSION * inputs.base)
            operations += [
                Convolve(f"{name}, expansion", inputs, expansion, kernel_size=1),
                Convolve(
                    f"{name}, projection",
                    expansion,
                    outputs,
                    stride=stride if block == 1 else 1,
                    dw=True,
                    linear=True,
                ),
            ]
            if block > 1:
                operations.append(Add(name, to=before, linear=True))
            inputs = outputs
    operations += [Convolve("the head", inputs, head, kernel_size=1), Classify(head, classes)]
    return Description("MobileNet-v2", operations, activation="relu6")
