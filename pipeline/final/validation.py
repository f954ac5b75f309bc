"""The validation after an epoch of train_final.py: the first process validates, the others wait."""

import time
from typing import NamedTuple

import numpy as np

from utils.errors import UserError
from utils.progress import progress_bar

HEARTBEAT_S = 60  # between two signs of life of the process that validates


class Scores(NamedTuple):
    """How a network does on the validation images."""

    loss: float  # mean cross entropy with the labels
    top1: float  # accuracy, 0 to 1
    top5: float


def validate(training, data):
    """Return the Scores of the last weights, and of the averaged ones if there are any: a list.

    Statistics are from the images of all processes; those of averaged weights are re-estimated.
    """
    training.average_statistics()
    kinds = (False, True) if training.averages else (False,)
    measured = np.zeros((len(kinds), len(Scores._fields)))
    if training.rank == 0:
        batches = others_waiting(training, _val_batches(training, data))
        shares = [
            [training.evaluate(images, labels, averaged) for averaged in kinds]
            for images, labels in batches
        ]
        if not shares:
            raise UserError("none of the validation images can be read")
        measured = [_scores(of_kind) for of_kind in zip(*shares, strict=True)]
    else:
        wait_for_first(training)
    summed = [[training.sum_over_processes(float(x)) for x in row] for row in measured]
    return [Scores(*row) for row in summed]


def _val_batches(training, data):
    """Yield the validation batches, once the averaged weights are ready for them."""
    if training.averages:
        training.reestimate_average(data.statistics_batches())
    yield from bar_of_first(training, data.val_batches(), "validation", data.val_steps)


def _scores(shares):
    """Return Scores, given each batch's (cross entropies, places of the labels' logits)."""
    losses, places = map(np.concatenate, zip(*shares, strict=True))
    # 1: no other class has as great a logit
    return Scores(losses.mean(), (places <= 1).mean(), (places <= 5).mean())


def bar_of_first(training, batches, title, total):
    """Return a bar over batches, shown by the first process only."""
    others = training.rank > 0
    return progress_bar(batches, title, total, leave=False, unit="batch", disable=others)


def others_waiting(training, batches):
    """Yield batches in the first process, while the others are in wait_for_first.

    Now and then it tells them that it is alive; they give up on a process that stays silent.
    """
    heard = time.monotonic()
    for batch in batches:
        yield batch
        if time.monotonic() - heard > HEARTBEAT_S:
            training.sum_over_processes(0.0)
            heard = time.monotonic()
    training.sum_over_processes(1.0)


def wait_for_first(training):
    """Wait until the first process has come to the end of its batches."""
    while not training.sum_over_processes(0.0):
        pass
