"""What image folders and RecordIO files share: how an image becomes a network's input."""

from dataclasses import dataclass

import numpy as np

from utils.errors import UserError
from utils.images.broken import BROKEN, BrokenImage
from utils.images.files import read_image
from utils.images.transforms import (
    centre_crop,
    normalised,
    pca_noise,
    preprocessing,
    training_crop,
)

LEAST_CROP = 0.01  # with less, images would be made larger a hundred times


@dataclass(frozen=True)
class Recipe:
    """How an image becomes a network's input."""

    input_size: int
    crop_ratio: float = 0.875  # validation: side of the centre crop / shorter side before it
    colour_jitter: float = 0.0  # training: greatest change of brightness, contrast, saturation
    lighting: float = 0.0  # training: standard deviation of the PCA noise

    def __post_init__(self):
        if not LEAST_CROP <= self.crop_ratio <= 1:
            raise UserError(f"crop ratio {self.crop_ratio} must be {LEAST_CROP} to 1")


class ImageDataset:
    """Images with labels; dataset[(epoch, index)] -> (float32 (3, H, W), int label).

    With augments, an image is cropped, flipped and recoloured at random, drawn from
    default_rng((seed, epoch, index)); otherwise it is resized and its centre cropped. An image
    that cannot be read is black, and its label is BROKEN.
    A subclass says where an image is, and opens it as a path or a file.
    """

    def __init__(self, labels, classes, recipe, seed, augments):
        self.labels = labels
        self.classes = classes
        self.recipe = recipe
        self.seed = seed
        self.augments = augments

    def __len__(self):
        return len(self.labels)

    @property
    def preprocessing(self):
        """Return how a validation image becomes an input."""
        return preprocessing(self.recipe.input_size, self.recipe.crop_ratio)

    def where(self, index):
        """Return where an image is, as text for messages."""
        raise NotImplementedError

    def open(self, index):
        """Return the path of an image's file, or an open file; BrokenImage if there is none."""
        raise NotImplementedError

    def why_broken(self, index):
        """Return why an image cannot be read, as text for messages."""
        try:
            read_image(self.open(index))
        except BrokenImage as error:
            return str(error)
        return "it can be read again"

    def __getitem__(self, key):
        epoch, index = key
        side = self.recipe.input_size
        try:
            image = read_image(self.open(index))
        except BrokenImage:
            return np.zeros((3, side, side), dtype=np.float32), BROKEN
        label = int(self.labels[index])
        if not self.augments:
            return normalised(centre_crop(image, self.recipe)), label
        rng = np.random.default_rng((self.seed, epoch, index))
        image = training_crop(image, self.recipe, rng)
        return normalised(image, pca_noise(self.recipe.lighting, rng)), label
