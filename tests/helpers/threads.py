"""Processes with as many threads as this one: with others sums are rounded otherwise."""

import importlib.util
import os

import torch


def same_threads(framework):
    """Return the environment of such a process; PyTorch has one thread here from now on.

    MXNet sets PyTorch's threads to one when it is imported, which may come at any time.
    """
    if framework == "mxnet":
        importlib.util.find_spec("mxnet")  # conftest.py skips the test where it is not installed
        return dict(os.environ)
    torch.set_num_threads(1)
    return os.environ | {"OMP_NUM_THREADS": "1"}
