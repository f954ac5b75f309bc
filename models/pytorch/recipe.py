"""gluon-cv's ImageNet recipe in PyTorch: optimiser, targets and losses, as MXNet computes them."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F

from models.pytorch.arrays import load_parameters
from models.pytorch.mobilenet_v1 import MobileNetV1
from models.pytorch.sgd import NesterovSGD
from models.recipe import SMOOTHING
from utils.errors import UserError


def make_optimiser(net, options, rates):
    """Return the NesterovSGD of a network."""
    spared = [p for p in net.parameters() if options.no_wd and p.ndim == 1]  # biases and BatchNorm
    decayed = [p for p in net.parameters() if not (options.no_wd and p.ndim == 1)]
    groups = [{"params": decayed, "wd": options.wd}]
    if spared:
        groups.append({"params": spared, "wd": 0.0})
    return NesterovSGD(groups, rates, options.momentum)


@dataclass(frozen=True)
class Objective:
    """The training loss: cross entropy with smoothed, mixed or a teacher's targets, as asked for.

    objective(net, images, labels, share) -> losses (B,), where each image is `share` of itself and
    1 - share of the image at the same place from the batch's end.
    """

    classes: int
    smoothing: float
    teacher: object  # a network, or None
    temperature: float
    hard_weight: float

    def __call__(self, net, images, labels, share):
        """Return the losses (B,) of images (B, 3, H, W) and labels (B,)."""
        off = self.smoothing / self.classes
        targets = F.one_hot(labels, self.classes) * (1 - self.smoothing) + off
        if share < 1:
            images, targets = (share * x + (1 - share) * x.flip(0) for x in (images, targets))
        logits = net(images).float()
        losses = F.cross_entropy(logits, targets, reduction="none")
        if self.teacher is None:
            return losses
        with torch.no_grad():
            taught = (self.teacher(images).float() / self.temperature).softmax(1)
        soft = F.cross_entropy(logits / self.temperature, taught, reduction="none")
        soft = self.temperature**2 * soft
        return self.hard_weight * losses + (1 - self.hard_weight) * soft


def make_objective(options, classes, device):
    """Return the Objective that the options ask for."""
    return Objective(
        classes,
        SMOOTHING if options.label_smoothing else 0.0,
        load_teacher(options, classes, device) if options.teacher else None,
        options.temperature,
        options.hard_weight,
    )


def load_teacher(options, classes, device):
    """Return the network to distil, from a .params file; UserError if it cannot be had."""
    if not options.teacher.endswith(".params"):
        raise UserError(
            f"teacher {options.teacher} is no .params file: the names of gluon-cv's networks need "
            "--framework mxnet"
        )
    teacher = MobileNetV1(options.teacher_configuration, classes).eval()
    load_parameters(teacher, options.teacher)
    return teacher.to(device, memory_format=torch.channels_last)
