"""What PyTorch's reader does beside what both do: its random numbers, threads and errors."""

import pytest
import torch

from models.pytorch.batches import batches
from tests.helpers.numbered_images import KEYS, Numbers


def test_images_and_labels_have_the_types_of_the_losses():
    (images, labels), *_ = batches(Numbers(), KEYS, 0)
    assert (images.dtype, labels.dtype) == (torch.float32, torch.int64)


def test_the_loader_leaves_the_network_s_random_numbers_alone():
    """Oracle: the state of PyTorch's generator, with a reader that has been started."""
    before = torch.random.get_rng_state()
    list(batches(Numbers(), KEYS[:1], 0))
    assert torch.equal(torch.random.get_rng_state(), before)


def test_a_worker_computes_with_one_thread():
    """Oracle: PyTorch's own count, as the label of the image that a worker makes."""

    class Threads(Numbers):
        def __getitem__(self, key):
            return super().__getitem__(key)[0], torch.get_num_threads()

    ((_, labels),) = batches(Threads(), KEYS[:1], workers=1)
    assert labels.tolist() == [1] * 4


def defect():
    raise RuntimeError("shapes disagree")


def test_a_defect_of_the_dataset_is_no_lost_worker():
    """Oracle: the dataset's own exception."""
    with pytest.raises(RuntimeError, match="shapes disagree"):
        list(batches(Numbers(defect), KEYS, 1))
