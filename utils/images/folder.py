"""Image folders: one folder of images per class, as ImageNet is usually laid out."""

import os
from pathlib import Path

import numpy as np

from utils.errors import UserError
from utils.images.dataset import ImageDataset
from utils.images.files import SUFFIXES
from utils.progress import progress_bar, warn_first


class ImageFolder(ImageDataset):
    """The images under root/CLASS/; the classes are the sorted names of root's folders.

    Raises UserError if root is missing, has no class folders, or if a class has no images.
    """

    def __init__(self, root, recipe, seed, augments):
        self.root = Path(root)
        classes = tuple(_class_folders(self.root))
        found = [_image_names(self.root / name) for name in _progress(classes, self.root)]
        names, others = zip(*found, strict=True)
        self._warn_of_others(classes, others)
        # Arrays, not lists: by counting references, worker processes would copy a million strings.
        labels = np.repeat(np.arange(len(names)), [len(of_class) for of_class in names])
        self._names = np.concatenate([np.array(of_class) for of_class in names])
        super().__init__(labels, classes, recipe, seed, augments)

    def _warn_of_others(self, classes, others):
        pairs = zip(classes, others, strict=True)
        left_out = [Path(name, file) for name, of_class in pairs for file in of_class]
        if left_out:
            warn_first(
                f"{self.root}: {left_out[0]} is left out: its name does not end like an image's "
                f"(one of {len(left_out)} left out)"
            )

    def path(self, index):
        """Return the path of an image."""
        return self.root / self.classes[self.labels[index]] / str(self._names[index])

    def where(self, index):
        """Return the path of an image as a string."""
        return str(self.path(index))

    def open(self, index):
        """Return the path of an image."""
        return self.path(index)


def open_image_folder(root, recipe, seed):
    """Return (train, val) from root/train and root/val, which must have the same classes."""
    root = Path(root).expanduser()
    if not root.is_dir():
        raise UserError(
            f"{root} is not a folder: data is digits, glyphs, a folder with train/ and val/, or "
            "the prefix of RecordIO files"
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


def _class_folders(root):
    if not root.is_dir():
        raise UserError(f"{root} is missing: expected one folder of images per class there")
    names = sorted(p.name for p in root.iterdir() if p.is_dir() and not p.name.startswith("."))
    if not names:
        raise UserError(f"{root} has no class folders: expected one folder of images per class")
    for name in names:
        try:
            name.encode()
        except UnicodeEncodeError:  # the export at the end of training could not store the name
            raise UserError(
                f"{root}: the name of the class folder {name!r} is not in UTF-8: rename it"
            ) from None
    return names


def _image_names(folder):
    """Return the names of a folder's images, and of all else in it that is not hidden."""
    images, others = [], []
    for name in sorted(os.listdir(folder)):
        if not name.startswith("."):
            (images if name.lower().endswith(SUFFIXES) else others).append(name)
    if not images:
        raise UserError(f"{folder} has no images (files ending in {', '.join(SUFFIXES)})")
    return images, others


def _progress(values, root):
    return progress_bar(values, desc=f"listing {root}", unit="class", delay=2, leave=False)
