"""The order in which an epoch visits the images of a data set, in batches, without a framework.

A dataset has `classes` (names), `len(dataset)` and `dataset[(epoch, index)]`, a float32 image
(3, H, W) and an int label; `preprocessing` says how an image becomes such an array. The key alone
decides what is drawn, so that the images depend neither on the number of worker processes nor on
where a run was resumed. utils.images.broken handles broken images, and only there does a
batch depend on others: one without a good image is replaced by the last good one.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from utils.errors import UserError

REESTIMATION_IMAGES = 512  # training images that BatchNorm statistics are re-estimated on


@dataclass(frozen=True)
class DatasetBatches:
    """The batches of a training and a validation dataset, as train_final.py asks for them.

    batch_size: images in a batch of this process
    read:  a framework's function: models.gluon.batches.batches or models.pytorch.batches.batches
    rank, world_size: this process's number among those that train together, and how many there
           are; each takes its share of the same shuffled images. Validation batches are the same
           in all of them.
    """

    train: object
    val: object
    batch_size: int
    workers: int
    seed: int
    read: Callable
    rank: int = 0
    world_size: int = 1

    @property
    def classes(self):
        """Return the number of classes."""
        return len(self.train.classes)

    @property
    def class_names(self):
        """Return the names of the classes."""
        return self.train.classes

    @property
    def preprocessing(self):
        """Return how a validation image becomes a network's input."""
        return self.val.preprocessing

    @property
    def steps(self):
        """Return the number of training batches in an epoch, each full in all processes."""
        return len(self.train) // (self.batch_size * self.world_size)

    @property
    def val_steps(self):
        """Return the number of validation batches."""
        return -(-len(self.val) // self.batch_size)

    def train_batches(self, epoch):
        """Yield an epoch's (images, labels), shuffled by (seed, epoch); full batches only."""
        keys = epoch_batches(len(self.train), self.batch_size * self.world_size, self.seed, epoch)
        start = self.rank * self.batch_size
        keys = [batch[start : start + self.batch_size] for batch in keys]
        return self.read(self.train, keys, self.workers)

    def statistics_batches(self):
        """Yield training images for BatchNorm statistics, the same ones in every process."""
        keys = statistics_keys(len(self.train), self.batch_size, self.seed)
        return (images for images, _ in self.read(self.train, keys, self.workers))

    def val_batches(self):
        """Yield (images, labels) of all readable validation images, in order."""
        keys = validation_batches(len(self.val), self.batch_size)
        return self.read(self.val, keys, self.workers, fill=False)


def epoch_batches(size, batch_size, seed, epoch):
    """Return an epoch's full batches, lists of keys (epoch, index), shuffled by (seed, epoch).

    Raises UserError if there is none.
    """
    order = np.random.default_rng((seed, epoch)).permutation(size)
    return _split(order, batch_size, epoch)[: full_batches(size, batch_size)]


def statistics_keys(size, batch_size, seed):
    """Return whole batches of keys that BatchNorm statistics are re-estimated on.

    size: the number of training images
    """
    batch_size = min(batch_size, size)
    keys = epoch_batches(size, batch_size, seed, epoch=0)
    return keys[: -(-REESTIMATION_IMAGES // batch_size)]


def full_batches(size, batch_size):
    """Return how many full batches `size` training images make; UserError if none."""
    if size < batch_size:
        raise UserError(
            f"{size} training images do not fill a batch of {batch_size}: choose a smaller batch"
        )
    return size // batch_size


def validation_batches(size, batch_size):
    """Return the batches, lists of keys (0, index), that visit every image once and in order."""
    return _split(range(size), batch_size, epoch=0)


def _split(order, batch_size, epoch):
    if batch_size < 1:
        raise UserError(f"batch size {batch_size} must be at least 1")
    keys = [(epoch, int(index)) for index in order]
    return [keys[start : start + batch_size] for start in range(0, len(keys), batch_size)]


def check_workers(workers):
    """Raise UserError if a number of worker processes is negative."""
    if workers < 0:
        raise UserError(f"the number of worker processes is {workers}: it must be at least 0")


def lost_worker(workers, timeout_s):
    """Return the UserError for a worker process that no longer answers."""

    return UserError(
        f"a data worker was killed or has read nothing for {timeout_s} s "
        f"({workers} workers; fewer need less memory)"
    )
