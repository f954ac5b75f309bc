"""RecordIO files written from image folders and read by MXNet."""

import resource
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from utils.data import open_dataset
from utils.errors import UserError
from utils.image_folder import Recipe, open_image_folder
from utils.image_transforms import IMAGENET_MEAN, IMAGENET_STD
from utils.mxnet_recordio import main, open_records, write_records
from utils.mxnet_runtime import mx
from utils.recordio import read_labels


def write_folder(root, images=(5, 4), size=(48, 40), suffix="png"):
    """Write train/ and val/ with classes dark and light; no two images are of the same gray."""
    for half, count in zip(("train", "val"), images, strict=True):
        for c, name in enumerate(("dark", "light")):
            folder = root / half / name
            folder.mkdir(parents=True)
            for i in range(count):
                gray = 150 * c + 10 * i
                Image.new("RGB", size, (gray, gray, gray)).save(folder / f"{i}.{suffix}")
    return root


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Return the paths of the RecordIO files of a small folder: ((rec, idx), (rec, idx))."""
    root = tmp_path_factory.mktemp("images")
    main([str(write_folder(root)), str(root / "small")])
    return tuple(
        (f"{root}/small_{half}.rec", f"{root}/small_{half}.idx") for half in ("train", "val")
    )


def grays(images):
    """Return the gray levels, 0 to 255, in the middle of normalised images."""
    middle = images.asnumpy()[:, 0, 8, 8]
    return np.round((middle * IMAGENET_STD[0] + IMAGENET_MEAN[0]) * 255).astype(int).tolist()


def test_what_is_written_is_what_the_folder_holds(files, tmp_path):
    """Oracle: the folder; MXNet's own reader gives the files' bytes back."""
    train, _ = open_image_folder(write_folder(tmp_path / "images"), Recipe(16), seed=0)
    reader = mx.recordio.MXIndexedRecordIO(files[0][1], files[0][0], "r")
    assert len(reader.keys) == len(train) == 10
    for index in range(len(train)):
        header, content = mx.recordio.unpack(reader.read_idx(index))
        assert content == train.path(index).read_bytes()
        assert header.label == train.labels[index]


def test_validation_batches_hold_every_image_once_and_in_order(files):
    """Oracle: the grays that were written; the last batch is not filled up."""
    data = open_records(*files, Recipe(16), batch_size=3, threads=2, seed=0)
    assert (data.classes, data.steps, data.val_steps) == (2, 3, 3)
    for _ in range(2):
        seen = list(data.val_batches())
        assert [len(labels) for _, labels in seen] == [3, 3, 2]
        assert [g for x, _ in seen for g in grays(x)] == [0, 10, 20, 30, 150, 160, 170, 180]
        labels = np.concatenate([y.asnumpy() for _, y in seen])
        assert labels.tolist() == [0] * 4 + [1] * 4
        assert all(x.shape[1:] == (3, 16, 16) for x, _ in seen)


def test_validation_images_are_those_of_the_image_folder(tmp_path):
    """Oracle: the framework-free reader on the same files: same crop, scale and channel order."""
    root = tmp_path / "images"
    rng = np.random.default_rng(0)
    write_folder(root, images=(1, 2), size=(60, 48))
    for path in root.glob("*/*/*.png"):
        smooth = Image.fromarray(rng.integers(0, 256, (3, 4, 3), dtype=np.uint8))
        smooth.resize((60, 48), Image.Resampling.BICUBIC).save(path)
    main([str(root), str(tmp_path / "r")])
    _, val = open_dataset(root, 42, seed=0)  # 42 / 0.875 = 48: nothing is resized
    files = [(f"{tmp_path}/r_{half}.rec", f"{tmp_path}/r_{half}.idx") for half in ("train", "val")]
    data = open_records(*files, Recipe(42), batch_size=4, threads=1, seed=0)
    ((images, labels),) = data.val_batches()
    for index in range(4):
        assert labels[index].asscalar() == val.labels[index]
        assert np.abs(images[index].asnumpy() - val[(0, index)][0]).max() < 0.02


def test_training_is_shuffled_by_seed_and_epoch(files):
    """Oracle: equal arguments, equal batches; other ones, other orders; each image at most once."""

    def epoch_of(seed, epoch):
        data = open_records(*files, Recipe(16), batch_size=3, threads=2, seed=seed)
        return [(grays(x), y.asnumpy().tolist(), x.asnumpy()) for x, y in data.train_batches(epoch)]

    epochs = {key: epoch_of(*key) for key in ((0, 0), (0, 1), (1, 0))}
    orders = {key: [g for grays, _, _ in seen for g in grays] for key, seen in epochs.items()}
    assert all(len(set(order)) == 9 for order in orders.values())  # 3 full batches
    assert len({tuple(order) for order in orders.values()}) == 3
    assert all(order != sorted(order) for order in orders.values())
    again = epoch_of(0, 1)
    for (_, labels, images), (gray, other_labels, other) in zip(epochs[0, 1], again, strict=True):
        assert labels == other_labels == [float(g >= 150) for g in gray]
        assert np.array_equal(images, other)


def test_training_images_are_augmented_anew_in_every_epoch(tmp_path):
    """Oracle: the same noise image, cropped and coloured, is not twice the same."""
    root = write_folder(tmp_path / "images", images=(1, 1))
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    for path in root.glob("train/*/*.png"):
        Image.fromarray(noise).save(path)
    main([str(root), str(tmp_path / "r")])
    files = [(f"{tmp_path}/r_{half}.rec", f"{tmp_path}/r_{half}.idx") for half in ("train", "val")]
    recipe = Recipe(16, colour_jitter=0.4, lighting=0.1)
    data = open_records(*files, recipe, batch_size=2, threads=1, seed=0)
    images = [image for epoch in range(3) for x, _ in data.train_batches(epoch) for image in x]
    assert len({image.asnumpy().tobytes() for image in images}) == 6


def test_resize_stores_smaller_jpegs(tmp_path):
    """Oracle: the size of the stored images, and their gray."""
    train, _ = open_image_folder(write_folder(tmp_path / "images"), Recipe(16), seed=0)
    write_records(train, tmp_path / "r", resize=20)
    reader = mx.recordio.MXIndexedRecordIO(f"{tmp_path}/r.idx", f"{tmp_path}/r.rec", "r")
    _, image = mx.recordio.unpack_img(reader.read_idx(9))
    assert image.shape == (20, 24, 3)
    assert np.abs(image.astype(int) - 190).max() <= 2


def test_an_image_that_cannot_be_decoded_names_its_file(files, tmp_path):
    """Oracle: the path of the damaged file is in the message; the process goes on."""
    rec, idx = tmp_path / "bad.rec", files[0][1]
    content = bytearray(Path(files[0][0]).read_bytes())
    start = content.index(b"PNG", 500)
    content[start : start + 60] = bytes(60)
    rec.write_bytes(content)
    data = open_records((rec, idx), files[1], Recipe(16), batch_size=5, threads=1, seed=0)
    with pytest.raises(UserError, match=r"bad\.rec: an image cannot be decoded"):
        list(data.train_batches(0))


def test_a_broken_image_is_not_written(tmp_path, capsys):
    """Oracle: one line that names it, status 2, no file left behind."""
    root = write_folder(tmp_path / "images")
    broken = root / "train" / "light" / "3.png"
    broken.write_bytes(broken.read_bytes()[:50])
    with pytest.raises(SystemExit) as caught:
        main([str(root), str(tmp_path / "out" / "r")])
    assert caught.value.code == 2
    assert f"error: {broken}: not a readable image" in capsys.readouterr().err
    assert not list((tmp_path / "out").iterdir())


def test_a_full_disk_keeps_the_last_good_files(tmp_path):
    """Oracle: the bytes from before, when writing stops half-way, which MXNet does not notice."""
    train, _ = open_image_folder(write_folder(tmp_path / "images"), Recipe(16), seed=0)
    prefix = tmp_path / "out" / "r"
    write_records(train, prefix)
    before = {path.name: path.read_bytes() for path in prefix.parent.iterdir()}
    assert before.keys() == {"r.rec", "r.idx"}
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(before["r.rec"]) // 2, hard))
    try:
        with pytest.raises(UserError):
            write_records(train, prefix)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert {path.name: path.read_bytes() for path in prefix.parent.iterdir()} == before
    assert len(read_labels(f"{prefix}.rec", f"{prefix}.idx")) == 10
