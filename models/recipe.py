"""gluon-cv's ImageNet recipe as far as it needs no framework: learning rates and mixtures."""

import math
from dataclasses import dataclass

SMOOTHING = 0.1  # of the labels, spread over all classes


@dataclass(frozen=True)
class LearningRates:
    """The learning rate of each update: a linear warm-up, then a decay.

    mode:    what follows the warm-up: step, poly, cosine, linear or constant
    warmup:  updates of the warm-up, which goes from warmup_lr to lr
    updates: updates in all; later ones keep the last rate
    steps:   updates from which on one more factor of `decay` counts, for the mode step
    Called with the number of an update, from 1 on: MXNet's optimisers count before they ask.
    Source: LRSequential of two LRScheduler of gluon-cv 0.8.0, which divide by zero at one update.
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
    """Return which share of a stage lies behind its update, the first of which is number 0."""
    return update / (updates - 1) if updates > 1 else 0.0


def learning_rates(options, steps):
    """Return the LearningRates that the options ask for, in epochs of `steps` updates."""
    if options.lr_decay_period:
        decays = range(options.lr_decay_period, options.num_epochs, options.lr_decay_period)
    else:
        decays = options.lr_decay_epoch
    return LearningRates(
        options.lr_mode,
        options.lr,
        options.warmup_lr,
        options.warmup_epochs * steps,
        options.num_epochs * steps,
        tuple(epoch * steps for epoch in decays),
        options.lr_decay,
    )


def mixup_share(options, epoch, rng):
    """Return a batch's share of each image in its mixture, 1 where nothing is mixed."""
    if not options.mixup or epoch >= options.num_epochs - options.mixup_off_epoch:
        return 1.0
    return float(rng.beta(options.mixup_alpha, options.mixup_alpha))
