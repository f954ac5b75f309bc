"""A small image folder in which every image is known by its gray level."""

from PIL import Image


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
