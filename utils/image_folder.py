"""Image folders: one folder of images per class, as ImageNet is usually laid out."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageFile
from tqdm import tqdm

from utils.errors import UserError
from utils.image_transforms import centre_crop, normalised, preprocessing, training_crop

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".ppm", ".tif", ".tiff", ".webp")


@dataclass(frozen=True)
class Recipe:
    """How an image becomes a network's input."""

    input_size: int
    crop_ratio: float = 0.875  # validation: side of the centre crop / shorter side before it
    colour_jitter: float = 0.0  # training: greatest change of brightness, contrast, saturation
    lighting: float = 0.0  # training: standard deviation of the PCA noise

    def __post_init__(self):
        if not 0 < self.crop_ratio <= 1:
            raise UserError(f"crop ratio {self.crop_ratio} must be greater than 0 and at most 1")


class ImageFolder:
    """The images under root/CLASS/; dataset[(epoch, index)] -> (float32 (3, H, W), int label).

    Classes are the sorted names of root's folders. With augments, an image is cropped, flipped
    and recoloured at random, drawn from default_rng((seed, epoch, index)); without, it is resized
    and its centre cropped.
    Raises UserError if root is missing, has no class folders, a class has no images, or, when it
    is read, an image is broken.
    """

    def __init__(self, root, recipe, seed, augments):
        self.root = Path(root)
        self.recipe = recipe
        self.seed = seed
        self.augments = augments
        self.classes = tuple(_class_folders(self.root))
        names = [_image_names(self.root / name) for name in _progress(self.classes, self.root)]
        # Arrays, not lists: worker processes would copy a million Python strings by counting
        # references to them.
        self.labels = np.repeat(np.arange(len(names)), [len(of_class) for of_class in names])
        self._names = np.concatenate([np.array(of_class) for of_class in names])

    def __len__(self):
        return len(self.labels)

    @property
    def preprocessing(self):
        """Return how a validation image becomes an input."""
        return preprocessing(self.recipe.input_size, self.recipe.crop_ratio)

    def path(self, index):
        """Return the path of an image."""
        return self.root / self.classes[self.labels[index]] / str(self._names[index])

    def __getitem__(self, key):
        epoch, index = key
        image = read_image(self.path(index))
        if self.augments:
            rng = np.random.default_rng((self.seed, epoch, index))
            array = training_crop(image, self.recipe, rng)
        else:
            array = centre_crop(image, self.recipe)
        return normalised(array), int(self.labels[index])


def open_image_folder(root, recipe, seed):
    """Return (train, val) from root/train and root/val, which must have the same classes."""
    root = Path(root).expanduser()
    if not root.is_dir():
        raise UserError(
            f"{root} is not a folder: data is 'digits' or a folder with train/ and val/"
        )
    train = ImageFolder(root / "train", recipe, seed, augments=True)
    val = ImageFolder(root / "val", recipe, seed, augments=False)
    for having, lacking in ((train, val), (val, train)):
        missing = sorted(set(having.classes) - set(lacking.classes))
        if missing:
            raise UserError(
                f"{lacking.root} lacks {len(missing)} of the classes of {having.root}: "
                + ", ".join(missing[:3])
                + (", …" if len(missing) > 3 else "")
            )
    return train, val


def read_image(path):
    """Return the RGB image of a file, or raise UserError that names it."""
    ImageFile.LOAD_TRUNCATED_IMAGES = False  # gluoncv sets it for the whole process
    try:
        with Image.open(path) as image:
            return image.convert("RGB")
    # Pillow's decoders raise SyntaxError and ValueError, too, for damaged files.
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise UserError(f"{path}: not a readable image ({error})") from None


def _class_folders(root):
    if not root.is_dir():
        raise UserError(f"{root} is missing: expected one folder of images per class there")
    names = sorted(p.name for p in root.iterdir() if p.is_dir() and not p.name.startswith("."))
    if not names:
        raise UserError(f"{root} has no class folders: expected one folder of images per class")
    return names


def _image_names(folder):
    names = sorted(
        path.name
        for path in folder.iterdir()
        if path.suffix.lower() in IMAGE_SUFFIXES and not path.name.startswith(".")
    )
    if not names:
        raise UserError(f"{folder} has no images (files ending in {', '.join(IMAGE_SUFFIXES)})")
    return names


def _progress(values, root):
    return tqdm(values, desc=f"listing {root}", unit="class", delay=2, leave=False)
