"""train_nas.py --framework pytorch with all of the training in double precision, as a command.

Batch statistics amplify what single precision rounds until a ReLU differs, and with it the
training: only so can runs that sum in another order be compared after some epochs.
"""

import sys

import torch

import models.pytorch.supernet
import train_nas


def main():
    torch.set_default_dtype(torch.float64)
    read = models.pytorch.supernet.batches

    def batches(*arguments, **options):
        return ((images.double(), labels) for images, labels in read(*arguments, **options))

    models.pytorch.supernet.batches = batches
    train_nas.main(sys.argv[1:])


if __name__ == "__main__":
    main()
