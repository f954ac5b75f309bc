"""Broken images are skipped, named once and counted, in both frameworks alike."""

import numpy as np
import pytest

from models.gluon import batches as mxnet_data
from models.pytorch import batches as torch_data
from tests.helpers.numbered_images import KEYS, Numbers, children
from utils.errors import UserError
from utils.images.broken import BROKEN
from utils.processes import TORCHRUN, silent_unless_first


class PartlyBroken(Numbers):
    """Numbered images of which some are broken."""

    def __init__(self, broken, name):
        super().__init__()
        self.broken, self.name = broken, name

    def where(self, index):
        return f"{self.name}, image {index},"

    def why_broken(self, index):
        return "it was cut"

    def __getitem__(self, key):
        image, label = super().__getitem__(key)
        return (np.zeros_like(image), BROKEN) if key[1] in self.broken else (image, label)


@pytest.fixture(params=["mxnet", "torch"])
def read(request):
    """Return a function that reads whole batches as two arrays, through a framework."""
    batches = {"mxnet": mxnet_data.batches, "torch": torch_data.batches}[request.param]
    to_numpy = {"mxnet": lambda array: array.asnumpy(), "torch": lambda tensor: tensor.numpy()}
    array = to_numpy[request.param]

    def read(*arguments, **options):
        return [(array(x), array(y)) for x, y in batches(*arguments, **options)]

    return read


@pytest.mark.parametrize("workers", [0, 2])
def test_the_next_good_image_takes_a_broken_ones_place(read, workers, tmp_path, capsys):
    """Oracle: by hand; 5 and 6 are followed by 7, 39 by the batch's first, 36."""
    dataset = PartlyBroken({0, 5, 6, 39}, tmp_path)
    seen = read(dataset, KEYS, workers)
    labels = [of_batch.tolist() for _, of_batch in seen]
    assert labels[:3] == [[1, 1, 2, 3], [4, 7, 7, 7], [8, 9, 10, 11]]
    assert labels[9] == [36, 37, 38, 36]
    for images, of_batch in seen:
        assert images.shape == (4, 3, 2, 2)
        assert images.dtype == np.float32
        assert of_batch.dtype == np.int64
        assert np.all(images == of_batch.reshape(4, 1, 1, 1))
    again = read(dataset, KEYS, workers)
    assert [of_batch.tolist() for _, of_batch in again] == labels
    warnings = capsys.readouterr().err
    for index in dataset.broken:  # once, although they were read twice
        assert (
            warnings.count(
                f"{tmp_path}, image {index}, is not a readable image and is skipped: it was cut"
            )
            == 1
        )
    assert warnings.count("warning: broken images skipped: 4 of 40") == 2


@pytest.mark.parametrize("workers", [0, 2])
def test_validation_leaves_broken_images_out(read, workers, tmp_path, capsys):
    """Oracle: the good images in order; a batch of broken ones does not come at all."""
    broken = {0, 5, 6, *range(12, 16), 39}
    seen = read(PartlyBroken(broken, tmp_path), KEYS, workers, fill=False)
    assert len(seen) == 9
    labels = np.concatenate([of_batch for _, of_batch in seen])
    assert labels.tolist() == [index for index in range(40) if index not in broken]
    images = np.concatenate([images for images, _ in seen])
    assert np.all(images == labels.reshape(-1, 1, 1, 1))
    assert "warning: broken images skipped: 8 of 40" in capsys.readouterr().err


@pytest.mark.parametrize("workers", [0, 2])
def test_the_last_good_batch_takes_the_place_of_one_without_good_images(read, workers, tmp_path):
    """Oracle: by hand: the fourth batch, 12 to 15, is the third again, where 8 is broken too."""
    broken = PartlyBroken({8, *range(12, 16)}, tmp_path)
    labels = [of_batch.tolist() for _, of_batch in read(broken, KEYS, workers)]
    assert labels[1:5] == [[4, 5, 6, 7], [9, 9, 10, 11], [9, 9, 10, 11], [16, 17, 18, 19]]
    assert len(labels) == 10


@pytest.mark.parametrize("workers", [0, 2])
def test_without_good_images_there_is_an_error(read, workers, tmp_path):
    """Oracle: their number is in the message, and no worker stays; validation has no batch."""
    broken = PartlyBroken(set(range(4)), tmp_path)
    with pytest.raises(UserError, match="none of the 4 images of a batch can be read"):
        read(broken, KEYS, workers)
    assert read(PartlyBroken(set(range(40)), tmp_path), KEYS, workers, fill=False) == []
    assert not children()


@pytest.mark.parametrize("workers", [0, 2])
def test_no_batches_are_no_error(read, workers, tmp_path):
    """Oracle: by hand: a process may have no share of a small validation set."""
    assert read(PartlyBroken({1}, tmp_path), [], workers, fill=False) == []


def test_processes_that_print_nothing_name_their_broken_images(tmp_path, monkeypatch, capfd):
    """Validation gives each process the same share every time: no other one sees these."""
    for name in TORCHRUN:
        monkeypatch.setenv(name, "2" if name == "WORLD_SIZE" else "1")
    with silent_unless_first():
        print("silent")
        list(torch_data.batches(PartlyBroken({5}, tmp_path), KEYS, 0, fill=False))
    printed = capfd.readouterr()
    assert f"{tmp_path}, image 5, is not a readable image" in printed.err
    assert "broken images skipped: 1 of 40" in printed.err
    assert not printed.out
