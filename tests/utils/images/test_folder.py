"""Image folders and what their images become."""

import os

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from models.pytorch.batches import batches
from utils.errors import UserError
from utils.images.broken import BROKEN, BrokenImage
from utils.images.dataset import Recipe, read_image
from utils.images.files import FORMATS
from utils.images.open_dataset import open_dataset
from utils.images.transforms import (
    CROP_AREA,
    CROP_RATIO,
    IMAGENET_MEAN,
    IMAGENET_STD,
    centre_crop,
    normalised,
    pca_noise,
    random_box,
    training_crop,
)


def image_folder(root, classes=("cat", "dog"), images=3, size=(40, 30)):
    """Write a small image folder with train/ and val/, every image of its own plain colour."""
    for half in ("train", "val"):
        for c, name in enumerate(classes):
            folder = root / half / name
            folder.mkdir(parents=True)
            for i in range(images):
                Image.new("RGB", size, (60 * c, 20 * i, 200)).save(folder / f"{i}.png")
    return root


def test_image_folder_reads_sorted_classes_and_ignores_other_files(tmp_path):
    """Oracle: the folders that were written."""
    root = image_folder(tmp_path, classes=("zebra", "ant"))
    (root / "train" / ".hidden").mkdir()
    (root / "train" / "ant" / "notes.txt").write_text("no image")
    train, val = open_dataset(root, 16, seed=0)
    assert train.classes == val.classes == ("ant", "zebra")
    assert train.labels.tolist() == [0, 0, 0, 1, 1, 1]
    assert [train.path(i).name for i in range(6)] == ["0.png", "1.png", "2.png"] * 2
    image, label = val[(0, 4)]
    # "zebra" was written as class 0: colour (0, 20, 200)
    colour = (np.array([0, 20, 200]) / 255 - IMAGENET_MEAN) / IMAGENET_STD
    assert label == 1
    assert image.shape == (3, 16, 16)
    assert np.allclose(image, colour[:, None, None], atol=1e-5)


def test_files_that_are_left_out_are_warned_of_once(tmp_path, capsys):
    """Oracle: by hand; hidden files are not told of."""
    root = image_folder(tmp_path)
    for name in ("a.heic", "b", ".hidden"):
        (root / "train" / "cat" / name).write_bytes(b"")
    (root / "train" / "cat" / "c.JFIF").write_bytes((root / "train" / "cat" / "0.png").read_bytes())
    train, _ = open_dataset(root, 16, seed=0)
    assert "c.JFIF" in [train.path(i).name for i in range(len(train))]
    (line,) = capsys.readouterr().err.splitlines()
    assert "train: cat/a.heic is left out" in line
    assert line.endswith("(one of 2 left out)")


def test_every_format_that_is_read_is_found(tmp_path):
    """Oracle: one file of each; GIFs were read, but only under other names."""
    for half in ("train", "val"):
        (tmp_path / half / "one").mkdir(parents=True)
        for kind in FORMATS:
            Image.new("RGB", (8, 8)).save(tmp_path / half / "one" / f"{kind}.{kind}", kind)
    train, _ = open_dataset(tmp_path, 8, seed=0)
    assert sorted(train.path(i).stem for i in range(len(train))) == sorted(FORMATS)
    assert all(train[(0, i)][1] == 0 for i in range(len(train)))


def test_images_of_every_mode_become_rgb(tmp_path):
    """Oracle: a middle gray is the same in every mode that Pillow writes."""
    for mode, colour in (
        ("L", 100),
        ("LA", (100, 50)),
        ("RGBA", (100, 100, 100, 50)),
        ("P", 100),
        ("1", 1),
    ):
        path = tmp_path / f"{mode}.png"
        image = Image.new(mode, (9, 9), colour)
        if mode == "P":
            image.putpalette([value for value in range(256) for _ in range(3)])
        image.save(path)
        wanted = 255 if mode == "1" else 100
        assert np.asarray(read_image(path)).reshape(-1, 3)[0].tolist() == [wanted] * 3


def test_centre_crop_is_the_middle_of_the_resized_image():
    """Oracle: a gradient, whose value is its position; resize by input_size / crop_ratio."""
    x = np.tile(np.linspace(0, 255, 300), (200, 1)).astype(np.uint8)
    image = Image.fromarray(np.stack([x, x, x], axis=2))
    recipe = Recipe(input_size=70, crop_ratio=0.875)  # shorter side: 80
    cropped = np.asarray(centre_crop(image, recipe))
    # 70 of 80 rows are kept, so 175 of the 300 columns, from 62.5 on.
    wanted = np.interp(62.5 + (np.arange(70) + 0.5) * 2.5 - 0.5, np.arange(300), x[0])
    assert cropped.shape == (70, 70, 3)
    assert np.allclose(cropped[10, :, 0], wanted, atol=1.5)


@settings(max_examples=60)
@given(st.integers(1, 500), st.integers(1, 500), st.integers(0, 2**32))
def test_random_boxes_lie_in_the_image(width, height, seed):
    """Oracle: the borders of the image."""
    left, top, right, bottom = random_box((width, height), np.random.default_rng(seed))
    assert 0 <= left < right <= width
    assert 0 <= top < bottom <= height


def test_random_boxes_have_the_asked_areas_and_ratios():
    """Oracle: the ranges of the recipe, whose ends are nearly reached by 2,000 draws."""
    rng = np.random.default_rng(0)
    boxes = np.array([random_box((800, 800), rng) for _ in range(2000)])
    widths, heights = boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1]
    areas, ratios = widths * heights / 800**2, widths / heights
    for values, (low, high) in ((areas, CROP_AREA), (ratios, CROP_RATIO)):
        assert np.all((values > low * 0.98) & (values < high * 1.02))
        assert values.min() < low * 1.1
        assert values.max() > high * 0.9


def test_training_crops_are_flipped_half_of_the_time_and_recoloured():
    """Oracle: in a gradient from left to right, the sign of the slope tells a flip."""
    x = np.tile(np.linspace(0, 255, 64), (64, 1)).astype(np.uint8)
    image = Image.fromarray(np.stack([x, x, x], axis=2))
    plain = Recipe(input_size=16)
    slopes = []
    for seed in range(200):
        crop = np.asarray(training_crop(image, plain, np.random.default_rng(seed)), dtype=int)
        slopes.append(np.sign(np.diff(crop[8, :, 0]).sum()))
    assert set(slopes) == {-1, 1}
    assert 70 < slopes.count(1) < 130
    gray = Image.new("RGB", (64, 64), (128, 128, 128))
    assert np.all(np.asarray(training_crop(gray, plain, np.random.default_rng(0))) == 128)
    jittered = Recipe(input_size=16, colour_jitter=0.4)
    crops = [training_crop(gray, jittered, np.random.default_rng(s)) for s in range(100)]
    levels = [np.asarray(crop).mean() / 255 for crop in crops]
    assert 0.6 * 0.6 * 0.5 < min(levels) < 0.4
    assert 0.6 < max(levels) <= 1


def test_pca_noise_follows_the_colours_of_imagenet():
    """Oracle: the sum of variances is that of the eigenvalues; no deviation, no noise."""
    rng = np.random.default_rng(0)
    draws = np.array([pca_noise(0.1, rng) for _ in range(5000)])
    variance = (0.1 * np.array([55.46, 4.794, 1.148]) / 255) ** 2
    assert abs(draws.mean()) < 0.001
    assert np.isclose(draws.var(axis=0).sum(), variance.sum(), rtol=0.05)
    assert np.array_equal(pca_noise(0.0, rng), [0, 0, 0])


def test_normalised_is_channels_first_and_contiguous():
    """Oracle: by hand."""
    pixels = np.random.default_rng(0).integers(0, 256, (2, 5, 3), dtype=np.uint8)
    image = normalised(pixels, shift=(0.1, 0, -0.2))
    wanted = (pixels / 255 + [0.1, 0, -0.2] - np.array(IMAGENET_MEAN)) / IMAGENET_STD
    assert image.shape == (3, 2, 5)
    assert image.dtype == np.float32
    assert image.flags["C_CONTIGUOUS"]
    assert np.allclose(image, wanted.transpose(2, 0, 1), atol=1e-6)


# Mistakes: each message names what is wrong


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda root: None, "nowhere is not a folder"),
        (lambda root: (root / "val").rename(root / "test"), "val is missing"),
        (lambda root: _remove(root / "train" / "dog"), "val.* |train lacks 1 .*: dog"),
        (lambda root: _remove(root / "val" / "dog"), "val lacks 1 of the classes .*train: dog"),
        (lambda root: [_remove(root / "val" / c) for c in ("cat", "dog")], "val has no class"),
        (lambda root: [p.unlink() for p in (root / "train/cat").iterdir()], "cat has no images"),
    ],
)
def test_unusable_folders_are_named(tmp_path, spoil, message):
    """Oracle: the name of what was taken away is in the message."""
    root = image_folder(tmp_path / "images")
    spoil(root)
    where = tmp_path / "nowhere" if "nowhere" in message else root
    with pytest.raises(UserError, match=message):
        open_dataset(where, 16, seed=0)


def test_class_folders_in_another_encoding_are_refused(tmp_path):
    """Oracle: the folder and its name, with the byte that is no UTF-8, are in the message."""
    root = image_folder(tmp_path / "images", classes=("cat",))
    for half in ("train", "val"):
        os.rename(root / half / "cat", os.fsencode(root / half) + b"/caf\xe9")
    with pytest.raises(UserError, match=r"train: the name of the class folder 'caf\\udce9' is not"):
        open_dataset(root, 16, seed=0)


def test_images_named_in_another_encoding_are_read_and_named(tmp_path, capsys):
    """Oracle: the image under its old name; a broken one's warning can be printed."""
    root = image_folder(tmp_path, classes=("cat",))
    _, val = open_dataset(root, 16, seed=0)
    wanted = val[0, 2][0]
    folder = os.fsencode(root / "val" / "cat")
    os.rename(folder + b"/2.png", folder + b"/x\xe9.png")
    os.truncate(folder + b"/1.png", 9)
    os.rename(folder + b"/1.png", folder + b"/y\xfc.png")
    _, val = open_dataset(root, 16, seed=0)
    keys = [[(0, 0), (0, 1), (0, 2)]]
    ((images, labels),) = batches(val, keys, 0, fill=False)
    assert labels.tolist() == [0, 0]
    assert np.array_equal(images[1], wanted)
    assert r"/val/cat/y\udcfc.png is not a readable image" in capsys.readouterr().err


def _remove(folder):
    for path in folder.iterdir():
        path.unlink()
    folder.rmdir()


@pytest.mark.parametrize("damage", ["text", "cut", "empty", "folder"])
def test_a_broken_image_is_black_and_has_no_label(tmp_path, damage):
    """Oracle: the kind of damage is in the exception; the path is told by its index."""
    root = image_folder(tmp_path, size=(300, 200))
    path = root / "train" / "dog" / "1.png"
    noise = np.random.default_rng(0).integers(0, 256, (200, 300, 3), dtype=np.uint8)
    Image.fromarray(noise).save(path)
    content = path.read_bytes()
    path.unlink()
    if damage == "folder":
        path.mkdir()
    else:
        cut = {"text": b"not an image", "cut": content[: len(content) // 2], "empty": b""}
        path.write_bytes(cut[damage])
    train, _ = open_dataset(root, 16, seed=0)
    index = [train.path(i) for i in range(len(train))].index(path)
    image, label = train[(0, index)]
    assert label == BROKEN
    assert image.shape == (3, 16, 16)
    assert image.dtype == np.float32
    assert not image.any()
    assert train.where(index) == str(path)
    with pytest.raises(BrokenImage, match=r"identify|truncated|directory"):
        read_image(path)


def test_wrong_sizes_are_refused(tmp_path):
    """Oracle: the value is in the message."""
    with pytest.raises(UserError, match="input size 0"):
        open_dataset("digits", 0, seed=0)
    folder = image_folder(tmp_path)
    for ratio in (1.5, 1e-9):
        with pytest.raises(UserError, match=f"crop ratio {ratio}"):
            open_dataset(folder, 16, seed=0, crop_ratio=ratio)
