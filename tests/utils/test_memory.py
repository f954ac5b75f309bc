"""Lack of memory, told by the options to lower."""

import errno
import os

import numpy as np
import pytest
import torch

from utils import memory
from utils.errors import UserError
from utils.memory import check_images_fit, memory_limit, naming_what_needs_memory

OPTIONS = ("--batch-size", "--window", "-j")


def torch_allocates():
    torch.empty(2**50)


def numpy_allocates():
    np.ones(2**50)


def mxnet_allocates():
    raise RuntimeError(
        "Traceback (most recent call last):\nMXNetError: Failed to allocate CPU Memory"
    )


def gpu_allocates():
    raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB")


def system_forks():
    raise OSError(errno.ENOMEM, os.strerror(errno.ENOMEM))


ALLOCATE = (torch_allocates, numpy_allocates, mxnet_allocates, gpu_allocates, system_forks)


@pytest.mark.parametrize("allocate", ALLOCATE)
def test_lack_of_memory_names_the_options(allocate):
    """Oracle: the frameworks' own exceptions, or their text where it needs another machine."""
    with pytest.raises(UserError, match=r"lower --batch-size, --window or -j$") as raised:
        naming_what_needs_memory(*OPTIONS)(allocate)()
    assert "Traceback" not in str(raised.value)


@pytest.mark.parametrize("error", [RuntimeError("shapes disagree"), OSError(errno.ENOSPC, "full")])
def test_other_errors_stay_what_they_are(error):
    with pytest.raises(type(error)) as raised, naming_what_needs_memory(*OPTIONS):
        raise error
    assert raised.value is error


def test_batches_beyond_the_memory_are_refused(monkeypatch):
    """Oracle: 10 images of 3 × 100 × 100 floats of 4 bytes are 1,200,000 bytes."""
    monkeypatch.setattr(memory, "memory_limit", lambda: 1_200_000)
    check_images_fit(10, 100, "--batch-size")
    with pytest.raises(UserError, match=r"11 images of 100×100 pixels .* lower --batch-size$"):
        check_images_fit(11, 100, "--batch-size")


def test_a_limit_of_the_process_counts(monkeypatch):
    """Oracle: a limit that is set by hand, as by ulimit -v."""
    present = memory_limit()
    assert present > 2**28
    monkeypatch.setattr(memory.resource, "getrlimit", lambda _: (2**28, 2**28))
    assert memory_limit() == 2**28
