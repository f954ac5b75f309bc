"""From a PIL image to a network's input: crops, flips, colours, normalisation.

Source: the ImageNet recipe of Szegedy et al. 2015 (crops) and Krizhevsky et al. 2012 (PCA noise),
as gluon-cv uses it.
"""

import math

import numpy as np
from PIL import Image, ImageEnhance, ImageOps

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
CROP_AREA = (0.08, 1.0)  # share of the image
CROP_RATIO = (3 / 4, 4 / 3)  # width / height
LONGEST_RATIO = 32  # of an image's sides; longer images are cropped before they are resized
# Principal components of ImageNet's colours, scaled to 0..1: eigenvalues, and vectors as columns.
COLOUR_EIGENVALUES = np.array([55.46, 4.794, 1.148]) / 255
COLOUR_EIGENVECTORS = np.array(
    [[-0.5675, 0.7192, 0.4009], [-0.5808, -0.0045, -0.8140], [-0.5836, -0.6948, 0.4203]]
)
# What validation does, for the metadata of a deployed network; examples/classify.py does the same.
STEPS = (
    "RGB of 8 bits, of 16-bit pixels the high byte, transparency dropped, not turned by EXIF",
    "an image longer than longest_ratio times its shorter side is cropped to that, in its centre",
    "the shorter side is resized to resize_shorter_side, the longer one in proportion, rounded "
    "down, by Pillow's BILINEAR",
    "the centre of input_size x input_size is cropped; offsets are rounded down",
    "(pixel / divide_by - mean) / std for each colour, float32",
)


def training_crop(image, recipe, rng):
    """Return a random crop, resized, randomly flipped, with jittered colours."""
    side = recipe.input_size
    box = random_box(image.size, rng)
    image = image.resize((side, side), Image.Resampling.BILINEAR, box=box)
    if rng.random() < 0.5:
        image = ImageOps.mirror(image)
    return jitter_colours(image, recipe.colour_jitter, rng)


def random_box(size, rng):
    """Return a box (left, top, right, bottom) of random area and shape in an image of this size.

    An area and a ratio are drawn up to ten times; if no box fits, the largest centred box with an
    allowed ratio is returned.
    """
    width, height = size
    for _ in range(10):
        area = width * height * rng.uniform(*CROP_AREA)
        ratio = math.exp(rng.uniform(*np.log(CROP_RATIO)))
        box_width, box_height = round(math.sqrt(area * ratio)), round(math.sqrt(area / ratio))
        if 0 < box_width <= width and 0 < box_height <= height:
            left = int(rng.integers(width - box_width + 1))
            top = int(rng.integers(height - box_height + 1))
            return left, top, left + box_width, top + box_height
    box_width = min(width, max(1, round(height * CROP_RATIO[1])))
    box_height = min(height, max(1, round(width / CROP_RATIO[0])))
    left, top = (width - box_width) // 2, (height - box_height) // 2
    return left, top, left + box_width, top + box_height


def jitter_colours(image, strength, rng):
    """Return the image with brightness, contrast, saturation times U(1 - strength, 1 + strength).

    The three changes are made in random order.
    """
    if not strength:
        return image
    enhancers = (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color)
    for which in rng.permutation(len(enhancers)):
        factor = max(0.0, rng.uniform(1 - strength, 1 + strength))
        image = enhancers[which](image).enhance(factor)
    return image


def pca_noise(deviation, rng):
    """Return a random change of the three colours along ImageNet's principal components.

    deviation: standard deviation of the strengths; colours range from 0 to 1
    """
    if not deviation:
        return np.zeros(3)
    return COLOUR_EIGENVECTORS @ (rng.normal(0, deviation, 3) * COLOUR_EIGENVALUES)


def centre_crop(image, recipe):
    """Return the centre of an image after resizing its shorter side as the recipe says.

    Sizes and offsets are rounded down, as in gluon-cv. `preprocessing` says the same in words.
    """
    longest = LONGEST_RATIO * min(image.size)
    image = _centre(image, [min(length, longest) for length in image.size])
    shorter = resized_side(recipe.input_size, recipe.crop_ratio)
    size = [length * shorter // min(image.size) for length in image.size]
    image = image.resize(size, Image.Resampling.BILINEAR)
    return _centre(image, (recipe.input_size, recipe.input_size))


def resized_side(input_size, crop_ratio):
    """Return the length in pixels that an image's shorter side is resized to."""
    return math.ceil(input_size / crop_ratio)


def _centre(image, size):
    left, top = ((whole - part) // 2 for whole, part in zip(image.size, size, strict=True))
    return image.crop((left, top, left + size[0], top + size[1]))


def normalised(image, shift=(0, 0, 0)):
    """Return an RGB image as a contiguous float32 (3, H, W), scaled as usual for ImageNet.

    shift: added to the three colours, which range from 0 to 1
    """
    pixels = np.asarray(image)
    array = np.empty((3, *pixels.shape[:2]), dtype=np.float32)
    # Channel by channel, in place: this takes a quarter of the time of arithmetic on (H, W, 3).
    for c, (mean, std) in enumerate(zip(IMAGENET_MEAN, IMAGENET_STD, strict=True)):
        np.multiply(pixels[..., c], np.float32(1 / (255 * std)), out=array[c])
        array[c] += np.float32((shift[c] - mean) / std)
    return array


def preprocessing(input_size, crop_ratio=1.0, greatest=255, mean=IMAGENET_MEAN, std=IMAGENET_STD):
    """Return how an image becomes an input, for the metadata of a deployed network.

    crop_ratio: as in utils.images.dataset.Recipe; 1 for square images that are not cropped
    greatest:   the value of a white pixel; pixels are divided by it before normalisation

    """
    return {
        "colour_order": "RGB",
        "layout": "NCHW",
        "input_size": input_size,
        "crop_ratio": crop_ratio,
        "longest_ratio": LONGEST_RATIO,
        "resize_shorter_side": resized_side(input_size, crop_ratio),
        "crop": "centre",
        "interpolation": "bilinear, antialiased",
        "divide_by": greatest,
        "mean": list(mean),
        "std": list(std),
        "steps": list(STEPS),
    }
