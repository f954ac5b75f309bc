"""The part of gluon-cv's ImageNet recipe that needs no framework: learning rates and mixup."""

import math
from dataclasses import dataclass

SUPERNET = "supernet"  # as a teacher: the widest network of the one that training starts from
SMOOTHING = 0.1  # of the labels, spread over all classes


@dataclass(frozen=True)
class Schedule:
    """SGD with Nesterov momentum: a warm-up, then the decay of one of the modes."""

    num_epochs: int
    lr: float  # after the warm-up
    momentum: float
    wd: float
    no_wd: bool  # none for biases and BatchNorm
    lr_mode: str  # step, poly, cosine, linear or constant
    lr_decay: float  # factor of each step of the mode step
    lr_decay_period: int  # epochs between steps; 0: steps after lr_decay_epoch
    lr_decay_epoch: tuple[int, ...]
    warmup_lr: float  # at the start
    warmup_epochs: int
    average: float | None = None  # decay of averaged weights; None: they are not averaged


@dataclass(frozen=True)
class Targets:
    """What the loss compares the logits with."""

    mixup: bool
    mixup_alpha: float  # of the Beta distribution
    mixup_off_epoch: int  # last epochs without mixup
    label_smoothing: bool
    teacher: str | None  # a .params file, the name of a network of gluon-cv, or SUPERNET
    teacher_configuration: tuple[int, ...]  # of a file's network, or a supernet's widest
    temperature: float  # of the teacher's softmax
    hard_weight: float  # of the labels against the teacher, 0 to 1

    @property
    def smoothing(self):
        """The share of the labels that is spread over all classes."""
        return SMOOTHING if self.label_smoothing else 0.0


@dataclass(frozen=True)
class LearningRates:
    """The learning rate of each update: a linear warm-up, then a decay.

    mode:    what follows the warm-up: step, poly, cosine, linear or constant
    warmup:  updates of the warm-up, which goes from warmup_lr to lr
    updates: updates in all; later ones keep the last rate
    steps:   for the mode step: updates from which another factor of `decay` applies
    Called with the number of an update, from 1 on: MXNet's optimisers count before they ask.
    Source: LRSequential of two LRScheduler of gluon-cv 0.8.0, which divide by zero for one update.
    """

    mode: str
    lr: float
    warmup_lr: float
    warmup: int
    updates: int
    steps: tuple[int, ...]
    decay: float

    def __call__(self, update):
        update = min(update, self.updates - 1)
        if update < self.warmup:
            return self.warmup_lr + (self.lr - self.warmup_lr) * _share(update, self.warmup)
        left = 1 - _share(update - self.warmup, self.updates - self.warmup)
        match self.mode:
            case "constant":
                factor = 1.0
            case "linear":
                factor = left
            case "poly":
                factor = left**2
            case "cosine":
                factor = (1 - math.cos(math.pi * left)) / 2
            case "step":
                factor = self.decay ** sum(step <= update for step in self.steps)
        return self.lr * factor


def _share(update, updates):
    """Return the share of a stage that is done at one of its updates, numbered from 0."""
    return update / (updates - 1) if updates > 1 else 0.0


def learning_rates(schedule, steps):
    """Return the LearningRates of a Schedule, in epochs of `steps` updates."""
    if schedule.lr_decay_period:
        decays = range(schedule.lr_decay_period, schedule.num_epochs, schedule.lr_decay_period)
    else:
        decays = schedule.lr_decay_epoch
    return LearningRates(
        schedule.lr_mode,
        schedule.lr,
        schedule.warmup_lr,
        schedule.warmup_epochs * steps,
        schedule.num_epochs * steps,
        tuple(epoch * steps for epoch in decays),
        schedule.lr_decay,
    )


def averaging_share(decay, updates):
    """Return the share of the newest weights in their exponential average after an update.

    The average starts at the initial weights. So that a short training forgets them too, the decay
    is (1 + updates) / (10 + updates) at first: the average spans a tenth of what has been trained,
    until it spans 1 / (1 - decay) updates.
    Source: ExponentialMovingAverage of TensorFlow, with num_updates.
    """
    return 1 - min(decay, (1 + updates) / (10 + updates))


def mixup_share(targets, epochs_left, rng):
    """Return a batch's share of each image in its mixture, 1 where nothing is mixed.

    epochs_left: including the batch's own
    """
    if not targets.mixup or epochs_left <= targets.mixup_off_epoch:
        return 1.0
    return float(rng.beta(targets.mixup_alpha, targets.mixup_alpha))
