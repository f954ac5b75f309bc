"""Batches of a dataset as MXNet arrays, read by worker processes."""

import contextlib
import functools
import io
import multiprocessing.pool
import threading
from types import SimpleNamespace

from models.gluon.runtime import mx
from utils.images.batches import check_workers, lost_worker
from utils.images.broken import good_images
from utils.interrupts import held_interrupts
from utils.processes import become_worker

PATIENCE_S = 2  # for processes to end

dataloader = mx.gluon.data.dataloader
_initialise = dataloader._worker_initializer


def _initialise_worker(*args):
    become_worker()
    _initialise(*args)


dataloader._worker_initializer = _initialise_worker
# It would ignore SIGINT while workers start, and lose an interrupt; held_interrupts loses none.
dataloader.signal = SimpleNamespace(SIGINT=None, SIG_IGN=None, signal=lambda *_: None)


def batches(dataset, keys, workers, timeout_s=120, *, fill=True):
    """Yield (images, labels), MXNet arrays on the CPU, for each list of a dataset's keys.

    dataset: dataset[key] -> (float32 image (3, H, W), int label), as in utils.images.batches
    keys:    lists of keys; batches come in this order, whatever the number of workers
    workers: worker processes; 0 reads in this process
    fill:    whether another image replaces a broken one; otherwise its row is left out
    Raises what the dataset raises, from a worker, too; UserError if a worker dies or does not
    answer within timeout_s; what utils.images.broken.good_images raises. No worker outlives the
    generator.
    """
    read = _read(dataset, keys, workers, timeout_s)
    with contextlib.closing(read):
        yield from good_images(read, keys, dataset, fill, mx.nd.NDArray.asnumpy)


def _read(dataset, keys, workers, timeout_s):
    check_workers(workers)
    with held_interrupts():
        loader = dataloader.DataLoader(
            dataset, batch_sampler=keys, num_workers=workers, timeout=timeout_s
        )
    pool = loader._worker_pool  # None without workers
    if pool:
        pool.terminate = functools.partial(_terminate, pool)  # the loader calls it on errors
    try:
        iterator = iter(loader)
        while True:
            # MXNet prints a paragraph about a time-out before it raises one.
            with contextlib.redirect_stdout(io.StringIO()):
                batch = next(iterator, None)
            if batch is None:
                return
            yield tuple(batch)
    except (multiprocessing.TimeoutError, ConnectionError, EOFError):
        raise lost_worker(workers, timeout_s) from None
    finally:
        if pool:
            with held_interrupts():
                pool.terminate()


def _terminate(pool):
    """End a pool's processes, even if one was killed while it held the pool's lock."""
    if pool._state == multiprocessing.pool.TERMINATE:
        return
    terminating = threading.Thread(target=type(pool).terminate, args=[pool], daemon=True)
    terminating.start()
    terminating.join(PATIENCE_S)
    if terminating.is_alive():  # it waits for that lock for ever
        for process in pool._pool:
            process.kill()
            process.join(PATIENCE_S)
