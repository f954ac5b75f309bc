"""train_nas.py --framework pytorch on few digits in double precision, as a command.

Batch statistics amplify what single precision rounds until a ReLU differs, and with it the
training: only so can runs that sum in another order be compared after some epochs. Convolutions in
double precision are slow, so there are no more images than these comparisons need.
"""

import contextlib
import dataclasses
import sys

import torch

import models.pytorch.supernet
import train_nas
from tests.helpers.gloo_threads import refuse_gloo_threads

TRAINING_IMAGES = 384


@contextlib.contextmanager
def double_precision():
    """Let train_nas.py compute in double precision, on few training digits, in the block."""
    read, usual = models.pytorch.supernet.batches, torch.get_default_dtype()
    open_data = train_nas.open_data

    def batches(*arguments, **options):
        return ((images.double(), labels) for images, labels in read(*arguments, **options))

    def few(*arguments):
        train, val = open_data(*arguments)
        scans, labels = train.scans[:TRAINING_IMAGES], train.labels[:TRAINING_IMAGES]
        return dataclasses.replace(train, scans=scans, labels=labels), val

    models.pytorch.supernet.batches, train_nas.open_data = batches, few
    torch.set_default_dtype(torch.float64)
    try:
        yield
    finally:
        models.pytorch.supernet.batches, train_nas.open_data = read, open_data
        torch.set_default_dtype(usual)


if __name__ == "__main__":
    with double_precision():
        train_nas.main(sys.argv[1:])
    refuse_gloo_threads()
