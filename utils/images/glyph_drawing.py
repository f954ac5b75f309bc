"""Draws one character as a small gray image: moved, rotated, slanted, with clutter and noise.

A glyph is a square mask, float32 from 0 to 1; the ink fills its longer side. An image is uint8.
"""

import math

import numpy as np
from PIL import Image, ImageDraw, ImageFont

GLYPH_SIDE = 64
OVERSAMPLING = 2  # images are drawn larger by this factor, then reduced: smooth edges

# Ranges to draw from; lengths are shares of the image's side.
HEIGHT = (0.5, 0.85)  # of the glyph's longer side
STRETCH = (0.85, 1.15)  # of its width
ROTATION = (-20, 20)  # degrees
SHEAR = (-0.3, 0.3)
OFFSET = (-0.08, 0.08)  # of its centre from the image's
CONTRAST = (0.35, 0.9)  # by how much ink is lighter than the ground; 1 is white on black
GRADIENT = (0.0, 0.3)  # between the ground's ends
STROKES = (0, 3)  # lines through the image
NEIGHBOURS = (1, 2)  # other glyphs that reach into the image
NEIGHBOUR_OFFSET = (0.5, 0.7)
NOISE = (0.0, 0.1)  # standard deviation


def load_font(path):
    """Return a TrueType font at the size that glyphs are reduced from."""
    return ImageFont.truetype(str(path), 2 * GLYPH_SIDE)


def glyph(character, font):
    """Return the mask of a character, uint8 (GLYPH_SIDE, GLYPH_SIDE), its ink centred."""
    left, top, right, bottom = font.getbbox(character)
    ink = Image.new("L", (right - left, bottom - top))
    ImageDraw.Draw(ink).text((-left, -top), character, fill=255, font=font)
    ink = ink.crop(ink.getbbox())
    ink.thumbnail((GLYPH_SIDE, GLYPH_SIDE), Image.Resampling.BOX)
    mask = Image.new("L", (GLYPH_SIDE, GLYPH_SIDE))
    mask.paste(ink, ((GLYPH_SIDE - ink.width) // 2, (GLYPH_SIDE - ink.height) // 2))
    return np.asarray(mask)


def draw(wanted, others, side, margin, rng):
    """Return an image of a glyph, uint8 (side + 2 margin, side + 2 margin).

    wanted: the mask of the glyph; others: masks to draw neighbours from
    side:   of the image in pixels; the margin around it is background, for shifted crops
    """
    canvas = side + 2 * margin
    ground = _ground(canvas, rng)
    for _ in range(rng.integers(NEIGHBOURS[0], NEIGHBOURS[1] + 1)):
        angle, distance = rng.uniform(0, 2 * np.pi), rng.uniform(*NEIGHBOUR_OFFSET)
        centre = distance * np.array((np.cos(angle), np.sin(angle)))
        mask = _placed(others[rng.integers(len(others))], centre, side, canvas, rng)
        ground += rng.uniform(*CONTRAST) * mask
    for _ in range(rng.integers(STROKES[0], STROKES[1] + 1)):
        ground += rng.uniform(-0.5, 0.5) * _stroke(side, canvas, rng)
    mask = _placed(wanted, rng.uniform(*OFFSET, 2), side, canvas, rng)
    # The ink is opaque, so that clutter does not shine through.
    image = ground * (1 - mask) + (ground.mean() + rng.uniform(*CONTRAST)) * mask
    image += rng.normal(0, rng.uniform(*NOISE), image.shape)
    low, high = min(0, image.min()), max(1, image.max())
    return np.uint8(np.round(255 * (image - low) / (high - low)))


def _ground(canvas, rng):
    """Return a background that brightens in a random direction."""
    angle, change = rng.uniform(0, 2 * np.pi), rng.uniform(*GRADIENT)
    along = np.linspace(-0.5, 0.5, canvas)
    slope = np.cos(angle) * along[None] + np.sin(angle) * along[:, None]
    return rng.uniform(0.3, 0.7) + change * slope


def _placed(mask, centre, side, canvas, rng):
    """Return a mask on the canvas, float (canvas, canvas): scaled, rotated, slanted, moved."""
    turn, shear = math.radians(rng.uniform(*ROTATION)), rng.uniform(*SHEAR)
    scale = OVERSAMPLING * side * rng.uniform(*HEIGHT) / GLYPH_SIDE
    cos, sin = math.cos(turn), math.sin(turn)
    forward = scale * np.array([[cos, -sin], [sin, cos]]) @ [[1, shear], [0, 1]]
    forward = forward @ np.diag((rng.uniform(*STRETCH), 1))
    target = OVERSAMPLING * (canvas / 2 + side * np.asarray(centre))
    back = np.linalg.inv(forward)  # Pillow asks where each pixel comes from
    move = GLYPH_SIDE / 2 - back @ target
    size = (OVERSAMPLING * canvas,) * 2
    matrix = (*back[0], move[0], *back[1], move[1])
    placed = Image.fromarray(mask).transform(
        size, Image.Transform.AFFINE, matrix, Image.Resampling.BILINEAR
    )
    return np.asarray(placed.reduce(OVERSAMPLING), dtype=np.float32) / 255


def _stroke(side, canvas, rng):
    """Return a line across the canvas, float (canvas, canvas) from 0 to 1."""

    large = OVERSAMPLING * canvas
    image = Image.new("L", (large, large))
    ends = [tuple(end) for end in rng.uniform(-0.1 * large, 1.1 * large, (2, 2))]
    width = max(1, round(OVERSAMPLING * side * rng.uniform(0.02, 0.07)))
    ImageDraw.Draw(image).line(ends, fill=255, width=width)
    return np.asarray(image.reduce(OVERSAMPLING), dtype=np.float32) / 255
