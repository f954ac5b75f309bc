"""Image folders and what their images become."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from utils.data import open_dataset
from utils.errors import UserError
from utils.image_folder import Recipe, read_image
from utils.image_transforms import (
    CROP_AREA,
    CROP_RATIO,
    IMAGENET_MEAN,
    IMAGENET_STD,
    centre_crop,
    normalised,
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


def test_images_of_every_mode_become_rgb(tmp_path):
    """Oracle: a middle gray is the same in every mode that Pillow writes."""
    for mode, colour in (("L", 100), ("RGBA", (100, 100, 100, 50)), ("P", 100), ("1", 1)):
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
    cropped = centre_crop(image, Recipe(input_size=70, crop_ratio=0.875))  # shorter side: 80
    # 70 of 80 rows are kept, so 175 of the 300 columns, from 62.5 on.
    wanted = np.interp(62.5 + (np.arange(70) + 0.5) * 2.5 - 0.5, np.arange(300), x[0]) / 255
    assert cropped.shape == (70, 70, 3)
    assert np.allclose(cropped[10, :, 0], wanted, atol=1.5 / 255)


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
    slopes = [
        np.sign(np.diff(training_crop(image, plain, np.random.default_rng(s))[8, :, 0]).sum())
        for s in range(200)
    ]
    assert set(slopes) == {-1, 1}
    assert 70 < slopes.count(1) < 130
    gray = Image.new("RGB", (64, 64), (128, 128, 128))
    assert np.allclose(training_crop(gray, plain, np.random.default_rng(0)), 128 / 255)
    jittered = Recipe(input_size=16, colour_jitter=0.4)
    levels = [training_crop(gray, jittered, np.random.default_rng(s)).mean() for s in range(100)]
    assert 0.6 * 0.6 * 0.5 < min(levels) < 0.4
    assert 0.6 < max(levels) <= 1
    lit = training_crop(gray, Recipe(input_size=16, lighting=0.1), np.random.default_rng(0))
    assert np.ptp(lit, axis=(0, 1)).max() < 1e-6  # the same shift of colour everywhere
    assert np.ptp(lit[0, 0]) > 1e-4  # which differs between the channels


def test_normalised_is_channels_first_and_contiguous():
    """Oracle: by hand."""
    array = np.tile(np.float32(IMAGENET_MEAN) + np.float32(IMAGENET_STD), (2, 5, 1))
    image = normalised(array)
    assert image.shape == (3, 2, 5)
    assert image.dtype == np.float32
    assert image.flags["C_CONTIGUOUS"]
    assert np.allclose(image, 1, atol=1e-6)


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


def _remove(folder):
    for path in folder.iterdir():
        path.unlink()
    folder.rmdir()


@pytest.mark.parametrize("damage", ["text", "cut", "empty", "folder"])
def test_a_broken_image_is_named(tmp_path, damage):
    """Oracle: the path of the damaged file is in the message."""
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
    with pytest.raises(UserError, match=f"{path}: not a readable image"):
        train[(0, index)]


def test_wrong_sizes_are_refused(tmp_path):
    """Oracle: the value is in the message."""
    with pytest.raises(UserError, match="input size 0"):
        open_dataset("digits", 0, seed=0)
    with pytest.raises(UserError, match=r"crop ratio 1\.5"):
        open_dataset(image_folder(tmp_path), 16, seed=0, crop_ratio=1.5)
