"""The order of an epoch, and the digits."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from pipeline.search.sub_networks import RandomPart
from tests.helpers.gray_images import write_folder
from utils.errors import UserError
from utils.images.batches import DatasetBatches, epoch_batches, full_batches, validation_batches
from utils.images.open_dataset import open_dataset
from utils.write_records import main as write_records

# A part of a dataset


def test_a_random_part_has_different_images_of_its_dataset():
    """Oracle: the digits themselves."""
    train, _ = open_dataset("digits", 8, 0)
    part = RandomPart(train, 30, np.random.default_rng(0))
    order = np.random.default_rng(0).permutation(len(train))
    assert len(part) == 30
    for index in (0, 7, 29):
        image, label = part[2, index]
        expected = train[2, order[index]]
        np.testing.assert_array_equal(image, expected[0])
        assert label == expected[1]


# The order of an epoch


@given(st.integers(1, 60), st.integers(1, 20), st.integers(0, 5))
def test_an_epoch_visits_every_image_at_most_once(size, batch_size, epoch):
    """Oracle: the set of all indices, and the arithmetic of full batches."""
    if size < batch_size:
        with pytest.raises(UserError, match="do not fill a batch"):
            epoch_batches(size, batch_size, 0, epoch)
        return
    batches = epoch_batches(size, batch_size, 0, epoch)
    keys = [key for batch in batches for key in batch]
    assert {e for e, _ in keys} == {epoch}
    indices = [index for _, index in keys]
    assert len(set(indices)) == len(indices)
    assert set(indices) <= set(range(size))
    assert len(indices) == size // batch_size * batch_size
    assert all(len(batch) == batch_size for batch in batches)


def test_an_epoch_is_shuffled_by_seed_and_epoch():
    """Oracle: equal arguments give equal orders, other ones other orders; none is the sorted."""
    orders = [epoch_batches(100, 100, seed, epoch)[0] for seed in (0, 1) for epoch in (0, 1)]
    indices = [tuple(index for _, index in order) for order in orders]
    assert len({*indices, tuple(range(100))}) == 5
    assert epoch_batches(100, 100, 1, 1)[0] == orders[3]


def test_validation_is_in_order_and_whole():
    """Oracle: by hand."""
    assert validation_batches(5, 2) == [[(0, 0), (0, 1)], [(0, 2), (0, 3)], [(0, 4)]]


def test_empty_batches_are_refused():
    """Oracle: the contract of the arguments."""
    for batches in (lambda: epoch_batches(5, 0, 0, 0), lambda: validation_batches(5, 0)):
        with pytest.raises(UserError, match="batch size 0"):
            batches()


def test_full_batches_are_counted_and_none_is_refused():
    """Oracle: by hand; both numbers are in the message."""
    assert [full_batches(size, 5) for size in (5, 9, 10)] == [1, 1, 2]
    with pytest.raises(UserError, match="60 training images do not fill a batch of 512: choose"):
        full_batches(60, 512)


# Data of the same name


def test_a_folder_named_as_embedded_data_is_told_of(tmp_path, monkeypatch, capsys):
    """Oracle: the numbers of images of the digits and of the folder."""
    write_folder(tmp_path / "digits")
    monkeypatch.chdir(tmp_path)
    assert len(open_dataset("digits", 8, 0)[0]) == 1437
    said = "warning: reading the embedded digits; for the image folder digits write ./digits\n"
    assert capsys.readouterr().err == said
    assert len(open_dataset("./digits", 8, 0)[0]) == 10
    assert not capsys.readouterr().err


def test_a_folder_beside_records_of_its_name_is_told_of(tmp_path, capsys):
    """Oracle: the folder has an image that was written after the records."""
    root = write_folder(tmp_path / "imgs")
    write_records([str(root), str(root)])
    (root / "train" / "dark" / "new.png").write_bytes(
        (root / "train" / "dark" / "0.png").read_bytes()
    )
    capsys.readouterr()
    assert len(open_dataset(str(root), 8, 0)[0]) == 10
    warning = capsys.readouterr().err
    assert f"reading {root}_train.rec and {root}_val.rec; for the image folder" in warning
    assert f"{root} write {root}/\n" in warning
    assert len(open_dataset(f"{root}/", 8, 0)[0]) == 11
    assert not capsys.readouterr().err


# The digits


def test_digits_have_the_same_stratified_halves_for_every_seed():
    """Oracle: 1,797 scans, a fifth of every class for validation, no scan in both halves."""
    train, val = open_dataset("digits", 16, seed=0)
    other, other_val = open_dataset("digits", 16, seed=7)
    assert (len(train), len(val)) == (1437, 360)
    assert train.classes == tuple("0123456789")
    assert np.array_equal(train.scans, other.scans)
    assert np.array_equal(val.scans, other_val.scans)
    counts = np.bincount(val.labels), np.bincount(np.r_[train.labels, val.labels])
    assert np.all(np.abs(counts[0] - 0.2 * counts[1]) <= 1)
    both = {scan.tobytes() for scan in train.scans} & {scan.tobytes() for scan in val.scans}
    assert not both


def test_digits_are_normalised_three_channel_images():
    """Oracle: mean 0 and deviation about 1 over the scans at their own size."""
    _, val = open_dataset("digits", 8, seed=0)
    images = np.stack([val[(0, index)][0] for index in range(len(val))])
    assert images.shape == (360, 3, 8, 8)
    assert images.dtype == np.float32
    assert np.array_equal(images[:, 0], images[:, 2])
    assert abs(images.mean()) < 0.02
    assert abs(images.std() - 1) < 0.02
    assert isinstance(val[(0, 0)][1], int)
    # At 8 pixels nothing is resampled: the scan itself comes back.
    scan = images[5, 0] * val.std + val.mean
    assert np.allclose(scan * 16, val.scans[5], atol=1e-4)


def test_digits_shift_but_do_not_flip():
    """Oracle: a shifted image, found by sliding the unshifted one over black."""
    train, _ = open_dataset("digits", 32, seed=3)
    still = type(train)(**{**vars(train), "augments": False})
    black = (0 - train.mean) / train.std
    shifts = set()
    for epoch in range(20):
        image, whole = train[(epoch, 11)][0][0], still[(epoch, 11)][0][0]
        padded = np.pad(whole, 4, constant_values=black)
        found = [
            (down, right)
            for down in range(9)
            for right in range(9)
            if np.allclose(padded[down : down + 32, right : right + 32], image, atol=1e-5)
        ]
        assert found
        shifts.add(found[0])
    assert len(shifts) > 10


def test_an_image_depends_on_seed_epoch_and_index_only():
    """Oracle: the same key twice, in another order, from another dataset object."""
    first, _ = open_dataset("digits", 32, seed=3)
    again, _ = open_dataset("digits", 32, seed=3)
    other, _ = open_dataset("digits", 32, seed=4)
    keys = [(epoch, index) for epoch in (0, 1) for index in (0, 1, 2)]
    images = {key: first[key][0] for key in keys}
    assert all(np.array_equal(images[key], again[key][0]) for key in reversed(keys))
    assert not all(np.array_equal(images[key], other[key][0]) for key in keys)


def test_ranks_share_each_batch():
    """Oracle: the batches of one process, cut in two; full batches of both only."""

    class Sized:
        classes = ("a",)

        def __len__(self):
            return 22

    def read(dataset, keys, workers, fill=True):
        return keys

    whole = DatasetBatches(Sized(), Sized(), 6, 0, 1, read)
    halves = [
        DatasetBatches(Sized(), Sized(), 3, 0, 1, read, rank, world_size=2) for rank in (0, 1)
    ]
    assert [half.steps for half in halves] == [whole.steps] * 2 == [3, 3]
    first, second = (half.train_batches(epoch=4) for half in halves)
    assert [a + b for a, b in zip(first, second, strict=True)] == whole.train_batches(epoch=4)
    assert halves[0].val_batches() == halves[1].val_batches()


def test_statistics_are_from_the_same_few_training_images():
    """Oracle: by hand: whole batches of 512 images or a few more, or all; in every process."""

    def numbers(size, batch_size, rank=0):
        sized = type("Sized", (), {"classes": ("a",), "__len__": lambda self: size})()

        def read(dataset, keys, workers):
            assert dataset is sized
            return [(batch, None) for batch in keys]

        return list(
            DatasetBatches(sized, None, batch_size, 0, 1, read, rank, 2).statistics_batches()
        )

    assert [len(batch) for batch in numbers(5000, 100)] == [100] * 6
    assert [len(batch) for batch in numbers(5000, 128)] == [128] * 4
    assert [len(batch) for batch in numbers(5000, 257)] == [257] * 2
    assert [len(batch) for batch in numbers(5000, 600)] == [600]
    assert [len(batch) for batch in numbers(50, 100)] == [50]
    assert numbers(5000, 100, rank=1) == numbers(5000, 100)
    assert len({key for batch in numbers(5000, 100) for key in batch}) == 600


def test_what_a_dataset_says_of_its_preprocessing_is_what_it_does(tmp_path):
    """Oracle: images made from the files by Pillow and these words alone."""
    for half in ("train", "val"):
        (tmp_path / half / "a").mkdir(parents=True)
        ramp = np.linspace(0, 255, 90)[None, :, None] * np.array([1, 0.5, 0.2])
        pixels = np.broadcast_to(ramp, (60, 90, 3)).astype(np.uint8)
        Image.fromarray(pixels).save(tmp_path / half / "a" / "1.png")
    _, val = open_dataset(tmp_path, 32, seed=0, crop_ratio=0.8)
    said = val.preprocessing
    side = said["resize_shorter_side"]
    image = Image.open(val.path(0)).convert(said["colour_order"])
    image = image.resize((side * 90 // 60, side), Image.Resampling.BILINEAR)
    left, top = (image.width - 32) // 2, (image.height - 32) // 2
    array = np.asarray(image.crop((left, top, left + 32, top + 32)), np.float32)
    array = (array / said["divide_by"] - said["mean"]) / said["std"]
    np.testing.assert_allclose(val[(0, 0)][0], array.transpose(2, 0, 1), atol=0.03)

    _, digits = open_dataset("digits", 8, seed=0)
    said = digits.preprocessing
    scan = digits.scans[5] / said["divide_by"]
    array = [(scan - m) / s for m, s in zip(said["mean"], said["std"], strict=True)]
    np.testing.assert_allclose(array, digits[(0, 5)][0], atol=1e-5)
