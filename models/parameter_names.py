"""What files of trained networks call their arrays: our own nets, torchvision's and timm's.

The names follow from the order and the kinds of a network's operations.
"""

from dataclasses import dataclass
from itertools import chain

from models.operations import Step

TORCH_NORM = ("weight", "bias", "running_mean", "running_var")
GLUON_NORM = ("gamma", "beta", "running_mean", "running_var")
COUNTER = "num_batches_tracked"  # of PyTorch, for an average that is not used here


@dataclass(frozen=True)
class Block:
    """A residual block, inverted or not: its convolutions, the last of them without activation."""

    stage: int  # from 1; blocks of one stage write one Width
    number: int  # within the stage, from 0
    convolutions: tuple[Step, ...]
    has_shortcut: bool  # a convolution beside them


def layouts(network):
    """Return {title: names} of a network's arrays, in the order of TrainedWeights.arrays."""
    ours = {"ours in PyTorch": _our_torch(network), "ours in MXNet": _our_gluon(network)}
    blocks, head = _blocks(network)
    found = sum(len(block.convolutions) + block.has_shortcut for block in blocks) + len(head)
    if not blocks or 1 + found != len(network.convolutions):
        return ours
    is_inverted = any(step.depthwise for block in blocks for step in block.convolutions)
    if not is_inverted and not head:
        return ours | {"torchvision's and timm's ResNets": _resnet(blocks)}
    if not is_inverted or len(head) != 1 or any(block.has_shortcut for block in blocks):
        return ours
    return ours | {
        "torchvision's MobileNet-v2": _torchvision_mobilenet(blocks),
        "timm's MobileNet-v2": _timm_mobilenet(blocks),
    }


def _names(pairs, classifier, norm=TORCH_NORM):
    """Return the names of arrays from those of modules: (convolution, BatchNorm) pairs."""
    names = [[f"{conv}.weight", *(f"{bn}.{part}" for part in norm)] for conv, bn in pairs]
    return [*chain(*names), f"{classifier}.weight", f"{classifier}.bias"]


def _our_torch(network):
    prefixes = []
    layers = [step.layer for step in network.convolutions]
    for step in network.convolutions:
        part = ("depthwise." if step.depthwise else "pointwise.") * (layers.count(step.layer) > 1)
        prefixes.append(f"features.{step.layer}.{part}")
    return _names([(f"{prefix}conv", f"{prefix}bn") for prefix in prefixes], "classifier")


def _our_gluon(network):
    prefixes = [f"features.{step.index}" for step in network.convolutions]
    pairs = [(f"{prefix}.convolution", f"{prefix}.norm") for prefix in prefixes]
    return _names(pairs, "classifier", GLUON_NORM)


def _blocks(network):
    """Return (Blocks, convolutions after the last one); the first convolution is the stem.

    A block ends with a convolution without activation; one that follows and does not read the step
    before it is the block's shortcut.
    """
    groups, shortcuts, before = [[]], set(), network.steps[0].name
    for step in network.steps[1:]:
        if step.kind == "convolve":
            if len(groups) > 1 and not groups[-1] and before not in step.sources:
                shortcuts.add(len(groups) - 2)
            else:
                groups[-1].append(step)
                if not step.active:
                    groups.append([])
        before = step.name
    *groups, head = groups
    blocks, outputs, stage, number = [], None, 0, 0
    for index, group in enumerate(groups):
        is_next = group[-1].outputs != outputs
        stage, number = (stage + 1, 0) if is_next else (stage, number + 1)
        outputs = group[-1].outputs
        blocks.append(Block(stage, number, tuple(group), index in shortcuts))
    return blocks, head


def _resnet(blocks):
    pairs = [("conv1", "bn1")]
    for block in blocks:
        prefix = f"layer{block.stage}.{block.number}"
        for number, _ in enumerate(block.convolutions, start=1):
            pairs.append((f"{prefix}.conv{number}", f"{prefix}.bn{number}"))
        if block.has_shortcut:
            pairs.append((f"{prefix}.downsample.0", f"{prefix}.downsample.1"))
    return _names(pairs, "fc")


def _torchvision_mobilenet(blocks):
    pairs = [("features.0.0", "features.0.1")]
    for number, block in enumerate(blocks, start=1):
        prefix, last = f"features.{number}.conv", len(block.convolutions) - 1
        pairs += [(f"{prefix}.{i}.0", f"{prefix}.{i}.1") for i in range(last)]
        pairs.append((f"{prefix}.{last}", f"{prefix}.{last + 1}"))
    head = f"features.{len(blocks) + 1}"
    return _names([*pairs, (f"{head}.0", f"{head}.1")], "classifier.1")


def _timm_mobilenet(blocks):
    pairs = [("conv_stem", "bn1")]
    for block in blocks:
        prefix = f"blocks.{block.stage - 1}.{block.number}"
        expands = len(block.convolutions) > 2
        convolutions = ("conv_pw", "conv_dw", "conv_pwl") if expands else ("conv_dw", "conv_pw")
        for number, name in enumerate(convolutions, start=1):
            pairs.append((f"{prefix}.{name}", f"{prefix}.bn{number}"))
    return _names([*pairs, ("conv_head", "bn2")], "classifier")
