"""gluon-cv's ImageNet recipe in PyTorch: optimiser, targets and losses, as MXNet computes them."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F

from models.pytorch.arrays import load_parameters, load_weights
from models.pytorch.plain import PlainNet
from models.pytorch.sgd import NesterovSGD
from models.recipe import SUPERNET, learning_rates
from utils.errors import UserError


def make_optimiser(net, schedule, steps):
    """Return the NesterovSGD of a network for a Schedule, with epochs of `steps` steps."""
    spared = [p for p in net.parameters() if schedule.no_wd and p.ndim == 1]  # biases and BatchNorm
    decayed = [p for p in net.parameters() if not (schedule.no_wd and p.ndim == 1)]
    groups = [{"params": decayed, "wd": schedule.wd}]
    if spared:
        groups.append({"params": spared, "wd": 0.0})
    return NesterovSGD(groups, learning_rates(schedule, steps), schedule.momentum)


@dataclass(frozen=True)
class Objective:
    """The training loss: cross entropy with smoothed, mixed or a teacher's targets, as configured.

    objective(net, images, labels, share) -> losses (B,), where each image is `share` of itself plus
    1 - share of the image at the same position from the batch's end.
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


def make_objective(targets, network, device, supernet=None):
    """Return the Objective of Targets; supernet: TrainedWeights of its widest network."""
    return Objective(
        network.classes,
        targets.smoothing,
        load_teacher(targets, network, device, supernet) if targets.teacher else None,
        targets.temperature,
        targets.hard_weight,
    )


def load_teacher(targets, network, device, supernet=None):
    """Return the teacher, a supernet or from a .params file; UserError if it cannot be loaded."""
    if targets.teacher != SUPERNET and not targets.teacher.endswith(".params"):
        raise UserError(
            f"teacher {targets.teacher} is not a .params file: the names of gluon-cv's networks "
            "need --framework mxnet"
        )
    teacher = PlainNet(network, targets.teacher_configuration).eval()
    if targets.teacher == SUPERNET:
        load_weights(teacher, supernet)
    else:
        load_parameters(teacher, targets.teacher)
    return teacher.to(device, memory_format=torch.channels_last)
