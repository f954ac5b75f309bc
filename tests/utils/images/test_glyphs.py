"""The glyphs: classes, fonts, drawings, and the file that they are kept in."""

from pathlib import Path

import matplotlib
import numpy as np
import pytest

from utils.images import glyph_drawing, glyphs
from utils.images.glyphs import (
    CLASSES,
    TRAINING_FONTS,
    VALIDATION_FONTS,
    draw_glyphs,
    open_glyphs,
)
from utils.images.open_dataset import open_dataset

FONTS = Path(matplotlib.get_data_path()) / "fonts" / "ttf"


@pytest.fixture
def few(monkeypatch):
    """Fewer images and fonts, so that drawing takes a blink."""
    monkeypatch.setattr(glyphs, "TRAINING_FONTS", TRAINING_FONTS[:2])
    monkeypatch.setattr(glyphs, "VALIDATION_FONTS", VALIDATION_FONTS[:1])
    monkeypatch.setattr(glyphs, "TRAINING_IMAGES", 2 * len(CLASSES))
    monkeypatch.setattr(glyphs, "VALIDATION_IMAGES", len(CLASSES))


def glyph_of(character, font):
    return glyph_drawing.glyph(character, glyph_drawing.load_font(FONTS / f"{font}.ttf"))


def test_fonts_are_real_and_disjoint():
    """Oracle: the files of matplotlib."""
    assert not set(TRAINING_FONTS) & set(VALIDATION_FONTS)
    assert all((FONTS / f"{font}.ttf").is_file() for font in TRAINING_FONTS + VALIDATION_FONTS)
    assert len(set(CLASSES)) == len(CLASSES) == 49


@pytest.mark.parametrize("font", TRAINING_FONTS + VALIDATION_FONTS)
def test_classes_look_different_in_every_font(font):
    """Oracle: the overlap of ink, area of intersection / area of union, filled to one size.

    The most alike, E and F, reach 0.89; the letters that are left out for it, such as I and l,
    reach 1.
    """
    masks = np.array([glyph_of(c, font) > 127 for c in CLASSES])
    flat = masks.reshape(len(CLASSES), -1).astype(float)
    assert flat.sum(axis=1).min() > 0.04 * glyph_drawing.GLYPH_SIDE**2
    both = flat @ flat.T
    either = flat.sum(axis=1)[:, None] + flat.sum(axis=1) - both
    overlap = both / either - np.eye(len(CLASSES))
    assert overlap.max() < 0.9


def test_ink_fills_a_glyph_and_is_centred():
    """Oracle: the bounding box of the ink."""
    for character in CLASSES:
        ink = np.argwhere(glyph_of(character, "DejaVuSans") > 0)
        low, high = ink.min(axis=0), ink.max(axis=0)
        assert (high - low + 1).max() == glyph_drawing.GLYPH_SIDE
        assert np.abs(low + high - glyph_drawing.GLYPH_SIDE + 1).max() <= 1


def test_drawings_depend_on_the_seed_only():
    """Oracle: the same again, and another seed; the classes in turn, and of no two equal."""
    fonts = TRAINING_FONTS[:2]
    drawings, labels = draw_glyphs(fonts, 2 * len(CLASSES), 5, 32)
    again, _ = draw_glyphs(fonts, 2 * len(CLASSES), 5, 32)
    other, _ = draw_glyphs(fonts, 2 * len(CLASSES), 6, 32)
    assert drawings.shape == (98, 36, 36)
    assert drawings.dtype == np.uint8
    assert np.array_equal(drawings, again)
    assert not np.array_equal(drawings, other)
    assert np.array_equal(labels, [*range(49), *range(49)])
    assert len({drawing.tobytes() for drawing in drawings}) == 98
    assert drawings.reshape(98, -1).std(axis=1).min() > 10  # something is seen on each


def test_a_drawing_shows_its_glyph(monkeypatch):
    """Oracle: without clutter and noise, in place, the drawing correlates with the glyph itself."""
    for name in ("ROTATION", "SHEAR", "OFFSET", "GRADIENT", "NOISE"):
        monkeypatch.setattr(glyph_drawing, name, (0, 0))
    monkeypatch.setattr(glyph_drawing, "STROKES", (0, 0))
    monkeypatch.setattr(glyph_drawing, "NEIGHBOURS", (0, 0))
    for name in ("HEIGHT", "STRETCH"):
        monkeypatch.setattr(glyph_drawing, name, (1, 1))
    mask = glyph_of("R", "DejaVuSerif")
    drawing = glyph_drawing.draw(mask, [mask], 32, 0, np.random.default_rng(0))
    small = mask.reshape(32, 2, 32, 2).mean(axis=(1, 3))
    assert abs(np.corrcoef(drawing.ravel(), small.ravel())[0, 1]) > 0.99


def test_images_are_normalised_and_shifted_in_training(few, tmp_path):
    """Oracle: mean 0 and deviation 1 over the training images; a window of the drawing."""
    train, val = open_glyphs(32, 3, tmp_path)
    assert (len(train), len(val)) == (98, 49)
    image, label = val[(0, 7)]
    assert image.shape == (3, 32, 32)
    assert image.dtype == np.float32
    assert label == 7
    scaled = image[0] * val.std + val.mean
    assert np.allclose(scaled * 255, val.drawings[7, 2:34, 2:34], atol=1e-3)
    assert np.array_equal(image[0], image[2])
    shifted = {train[(epoch, 3)][0].tobytes() for epoch in range(40)}
    windows = {
        ((train.drawings[3, y : y + 32, x : x + 32] / 255 - train.mean) / train.std).round(3).sum()
        for y in range(5)
        for x in range(5)
    }
    assert 12 < len(shifted) <= len(windows) == 25
    assert train.preprocessing["divide_by"] == 255


def test_an_image_depends_on_seed_epoch_and_index_only(few, tmp_path):
    """Oracle: the same key from another dataset object, and another seed."""
    first, again, other = (open_glyphs(32, seed, tmp_path)[0] for seed in (3, 3, 4))
    keys = [(epoch, index) for epoch in (0, 1) for index in (0, 1, 2)]
    images = [first[key][0] for key in keys]
    assert all(np.array_equal(i, again[k][0]) for i, k in zip(images, keys, strict=True))
    assert not all(np.array_equal(i, other[k][0]) for i, k in zip(images, keys, strict=True))


def test_drawings_are_kept_and_redrawn_when_damaged_or_of_another_version(
    few, tmp_path, monkeypatch
):
    """Oracle: how often they are drawn, and the bytes of the file."""
    drawn = []
    monkeypatch.setattr(glyphs, "draw_glyphs", lambda *a: drawn.append(a) or draw_glyphs(*a))
    first, _ = open_glyphs(16, 0, tmp_path)
    path = tmp_path / "glyphs-16.npz"
    content = path.read_bytes()
    assert [a[0] for a in drawn] == [TRAINING_FONTS[:2], VALIDATION_FONTS[:1]]
    same, _ = open_glyphs(16, 0, tmp_path)
    assert len(drawn) == 2
    assert np.array_equal(same.drawings, first.drawings)
    broken = bytearray(content)
    broken[len(broken) // 2] ^= 0xFF  # a flipped byte, which zip's checksum tells
    for damaged in (content[: len(content) // 2], b"", bytes(broken)):
        path.write_bytes(damaged)
        again, _ = open_glyphs(16, 0, tmp_path)
        assert np.array_equal(again.drawings, first.drawings)
        assert path.read_bytes() == content
    assert len(drawn) == 8
    monkeypatch.setattr(glyphs, "VERSION", glyphs.VERSION + 1)
    open_glyphs(16, 0, tmp_path)
    assert len(drawn) == 10


def test_a_folder_that_cannot_be_written_is_only_warned_of(few, tmp_path, capsys):
    """Oracle: a file stands where the folder should be."""
    (tmp_path / "output").write_text("")
    train, _ = open_glyphs(16, 0, tmp_path / "output")
    assert len(train) == 98
    assert "warning: the glyphs cannot be kept" in capsys.readouterr().err


def test_glyphs_are_opened_by_their_name(few, tmp_path, monkeypatch):
    """Oracle: open_glyphs; every size draws its own, with a margin of a sixteenth."""
    monkeypatch.setattr(glyphs, "FOLDER", tmp_path)
    for size, drawn in ((15, 15), (32, 36), (64, 72)):
        train, val = open_dataset("glyphs", size, seed=0)
        assert train.drawings.shape[1:] == (drawn, drawn)
        assert val[(0, 0)][0].shape == (3, size, size)
    assert train.classes == val.classes == CLASSES
