"""Broken images are skipped, named once and counted, so that none ends a long training run.

A dataset gives an image that cannot be read the label BROKEN; where(index) says which one it is,
why_broken(index) what is wrong with it. All else happens in the training process, whatever
the number of workers.
"""

import numpy as np

from utils.errors import UserError
from utils.progress import warn, warn_from_any

BROKEN = -1  # label of an image that cannot be read


class BrokenImage(Exception):
    """An image that cannot be read; the message says why."""


def good_images(batches, keys, dataset, fill, to_numpy):
    """Yield the batches (images, labels) of keys without their broken images.

    fill:     whether the next good image of the batch replaces a broken one, so that every batch
              stays full, and the last good batch one without good images; otherwise rows of broken
              images are left out, and so is a batch without good ones
    to_numpy: turns a framework's labels into an array
    Warns of each broken image once and, when the batches end, of how many there were. Of processes
    that train together the first one does so; where batches are not filled, as of validation, all:
    each has the same share of the images every time.
    Raises UserError if a batch cannot be filled, as none before it had a good image.
    """
    broken, good, last = 0, 0, None
    tell = warn if fill else warn_from_any
    try:
        for of_batch, (images, labels) in zip(keys, batches, strict=True):
            is_good = to_numpy(labels) != BROKEN
            good += is_good.sum()
            if is_good.all():
                last = images, labels
                yield last
                continue
            for row in np.flatnonzero(~is_good):
                broken += 1
                _name_once(dataset, of_batch[row][1], tell)
            rows = np.flatnonzero(is_good)
            if len(rows):
                if fill:
                    following = np.searchsorted(rows, np.arange(len(labels)))
                    rows = rows[following % len(rows)]
                last = images[rows], labels[rows]
            elif not fill:
                continue
            elif last is None:
                raise UserError(f"none of the {len(labels)} images of a batch can be read")
            yield last
    finally:
        if broken:
            tell(f"broken images skipped: {broken} of {broken + good}")


def _name_once(dataset, index, tell):
    """Warn of a broken image unless it has been named before."""
    where = dataset.where(index)
    if where not in _named:
        _named.add(where)
        why = dataset.why_broken(index)
        tell(f"{where} is not a readable image and is skipped: {why}")


_named = set()  # where the broken images are that a warning has named
