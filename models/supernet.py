"""The part of a slimmable network's training that is the same in all frameworks."""

from dataclasses import dataclass
from functools import partial

import numpy as np

from utils.errors import UserError
from utils.images.batches import (
    epoch_batches,
    full_batches,
    statistics_keys,
    validation_batches,
)
from utils.processes import ALONE
from utils.progress import progress_bar


@dataclass(frozen=True)
class TrainingSchedule:
    """SGD with momentum, and the schedule of its learning rate."""

    epochs: int
    batch_size: int  # over all devices and processes
    lr: float  # initial, per 256 images of a batch
    lr_schedule: str  # constant, cosine or linear; the latter two end at 0
    momentum: float
    wd: float
    seed: int  # of weights, data order and widths
    # 0: every image has its own. Else the number of equal parts of a batch, each of which shares
    # one and passes through the network cut out for it (PyTorch).
    configurations_per_batch: int = 0

    @property
    def images_per_pass(self):
        """How many images pass together through the random widths, and share BatchNorm there."""
        return self.batch_size // max(1, self.configurations_per_batch)

    @property
    def images_per_configuration(self):
        """How many successive images of a batch share a configuration."""
        return max(1, self.batch_size // (self.configurations_per_batch or self.batch_size))

    def learning_rate(self, progress):
        """Return the learning rate after `progress` epochs."""
        share = progress / self.epochs
        course = {
            "constant": 1.0,
            "cosine": (1 + np.cos(np.pi * share)) / 2,
            "linear": 1 - share,
        }
        return self.lr * self.batch_size / 256 * float(course[self.lr_schedule])


@dataclass(frozen=True)
class SandwichLosses:
    """The losses of one training step over a batch of B images; arrays of shape (B,)."""

    full: np.ndarray  # hard cross entropies of the full-width pass
    random: np.ndarray  # hard cross entropies of the pass with random widths
    soft_smallest: np.ndarray  # soft cross entropies against the full-width pass: least widths
    soft_random: np.ndarray  # … and random widths


@dataclass(frozen=True)
class Evaluation:
    """How a sub-network does on some images."""

    accuracy: float  # 0 to 1
    loss: float  # mean cross entropy with the labels


class Supernet:
    """A slimmable network with SGD: one sandwich step at a time.

    Where processes train together, each takes its share of every batch, a run of its images; all
    arguments and results are the whole batch's, except images and labels.
    A framework adds: step, to_arrays, load_arrays, load_weights, device; cut_out, reestimated,
    judged, summed, to_numpy.
    """

    def __init__(self, schedule, read, workers, processes=ALONE):
        """
        schedule:  a TrainingSchedule
        read:      the framework's function that makes batches of a dataset
        workers:   processes that read images, per process that trains
        processes: those that train together
        """
        self._batch_size, self._seed = schedule.batch_size, schedule.seed
        self._read = partial(read, workers=workers)
        self.rank, self.world_size = processes

    def steps(self, train):
        """Return the number of steps of an epoch; UserError if there are too few images for one."""
        return full_batches(len(train), self._batch_size)

    def batches(self, train, epoch, first=0):
        """Yield this process's (images, labels) of an epoch, shuffled by the seed and the epoch.

        first: the number of batches to skip at the beginning
        """
        keys = epoch_batches(len(train), self._batch_size, self._seed, epoch)
        return self._read(train, [self.share(batch) for batch in keys[first:]])

    def share(self, rows):
        """Return this process's share of the rows of a whole batch."""
        size = len(rows) // self.world_size
        return rows[self.rank * size : (self.rank + 1) * size]

    def accuracies(self, configurations, train, val):
        """Return the validation accuracies of sub-networks, 0 to 1 each, as `evaluate` does."""
        return [each.accuracy for each in self.evaluate(configurations, train, val)]

    def evaluate(self, configurations, train, images):
        """Return the Evaluations of sub-networks on a dataset.

        Each sub-network is cut out of the weights, and its BatchNorm statistics are re-estimated
        on training images. Processes that train together share the images. Broken images are not
        counted.
        """
        nets = [self._sub_network(configuration, train) for configuration in configurations]
        sums, seen = np.zeros((len(nets), 2)), 0  # correct ones, losses
        keys = validation_batches(len(images), self._batch_size)[self.rank :: self.world_size]
        read = self._read(images, keys, fill=False)
        for batch, labels in progress_bar(read, "validation", len(keys), leave=False):
            seen += len(labels)
            sums += self.judged(nets, batch, labels)
        seen, *sums = self.summed([float(seen), *sums.ravel().tolist()])
        if not seen:
            raise UserError(f"none of {len(images)} images can be read")
        return [Evaluation(*row) for row in (np.reshape(sums, (-1, 2)) / seen).tolist()]

    def _sub_network(self, configuration, train):
        return self.reestimated(self.cut_out(configuration), self._statistics_batches(train))

    def _statistics_batches(self, train):
        """Yield batches of the training images that statistics are taken of."""
        keys = statistics_keys(len(train), self._batch_size, self._seed)
        read = progress_bar(self._read(train, keys), "statistics", len(keys), leave=False)
        return (images for images, _ in read)

    def statistics_images(self, train):
        """Yield batches of training images, arrays (B, 3, H, W), the same in all processes."""
        return map(self.to_numpy, self._statistics_batches(train))

    def summed(self, numbers):
        """Return a list of numbers, each summed over all processes."""
        return numbers
