"""Batches of a dataset as PyTorch tensors, read by worker processes."""

import contextlib
import signal
import threading

import numpy as np
import torch
from torch.utils.data import DataLoader

from utils.errors import UserError
from utils.images.batches import check_workers, lost_worker
from utils.images.broken import good_images
from utils.interrupts import held_interrupts
from utils.processes import become_worker


def batches(dataset, keys, workers, pin_memory=False, timeout_s=120, *, fill=True):
    """Yield (images float32 (B, 3, H, W), labels int64 (B,)) for each list of a dataset's keys.

    dataset:    dataset[key] -> (float32 image (3, H, W), int label), as in utils.images.batches
    keys:       lists of keys; batches come in this order, whatever the number of workers
    workers:    worker processes of one thread each; 0 reads in this process
    pin_memory: whether the tensors lie in memory that a GPU can copy from on its own
    fill:       whether another image replaces a broken one; otherwise its row is left out
    Raises what the dataset raises, from a worker, too; UserError if a worker dies or does not
    answer within timeout_s; what utils.images.broken.good_images raises. No worker outlives the
    generator.
    """
    read = _read(dataset, keys, workers, pin_memory, timeout_s)
    with contextlib.closing(read):
        yield from good_images(read, keys, dataset, fill, torch.Tensor.numpy)


def _read(dataset, keys, workers, pin_memory, timeout_s):
    check_workers(workers)
    loader = DataLoader(
        _WholeBatches(dataset),
        sampler=keys,
        batch_size=None,  # an item is a batch already
        collate_fn=_as_it_is,
        num_workers=workers,
        pin_memory=pin_memory,
        timeout=timeout_s if workers else 0,
        generator=torch.Generator(),  # the loader would draw from the network's random numbers
        worker_init_fn=_become_worker,
    )
    iterator = _start(loader)
    try:
        while (batch := _next(iterator, workers, timeout_s)) is not None:
            if isinstance(batch, Exception):
                raise batch
            yield tuple(batch)
    finally:
        if workers:
            with held_interrupts():
                iterator._shutdown_workers()


def _next(iterator, workers, timeout_s):
    """Return the next batch, None after the last; UserError if its worker is lost."""
    try:
        return next(iterator, None)
    except (ConnectionError, EOFError):  # a dead worker took a batch's memory along
        pass
    except RuntimeError as error:
        if not str(error).startswith("DataLoader"):  # the loader's own: "DataLoader timed out"
            raise
    raise lost_worker(workers, timeout_s)


class _WholeBatches:
    """A dataset whose items are whole batches, or the error that kept one from being read.

    This is for errors that are reported in one line: PyTorch would raise a worker's error with the
    worker's traceback as its message.
    """

    def __init__(self, dataset):
        self._dataset = dataset

    def __getitem__(self, keys):
        try:
            images, labels = zip(*(self._dataset[key] for key in keys), strict=True)
            return torch.from_numpy(np.stack(images)), torch.tensor(labels)
        except (UserError, OSError, MemoryError) as error:
            return error


def _as_it_is(batch):
    return batch


def _start(loader):
    """Return the loader's iterator, with its workers started.

    With the first worker PyTorch installs a handler that raises a dead worker's error wherever this
    process is, even in the middle of a training step. It is removed again: the reader notices a
    dead worker by itself.
    """
    handler = signal.getsignal(signal.SIGCHLD)
    with held_interrupts():
        iterator = iter(loader)
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGCHLD, handler)
    return iterator


def _become_worker(number):
    del number
    become_worker()
