"""RecordIO files: written from image folders, read as batches by MXNet's ImageRecordIter.

    python -m utils.mxnet_recordio /imagenet /imagenet/imagenet

writes /imagenet/imagenet_train.rec, .idx and /imagenet/imagenet_val.rec, .idx from the class
folders in /imagenet/train and /imagenet/val. The images' files are stored as they are; with
--resize N their shorter side becomes N pixels first. Labels are the ranks of the sorted names of
the class folders.
"""

import argparse
import io
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tqdm import tqdm

from utils.errors import UserError, exits_with_one_line
from utils.image_folder import Recipe, open_image_folder, read_image
from utils.image_transforms import (
    CROP_AREA,
    CROP_RATIO,
    IMAGENET_MEAN,
    IMAGENET_STD,
    preprocessing,
)
from utils.mxnet_runtime import mx
from utils.recordio import read_labels


@dataclass(frozen=True)
class RecordBatches:
    """The batches of a training and a validation RecordIO file, as train_final.py asks for them."""

    train: tuple[str, str]  # paths of the records and of their index
    val: tuple[str, str]
    recipe: Recipe
    batch_size: int
    threads: int
    seed: int
    train_size: int
    val_size: int
    classes: int

    @property
    def class_names(self):
        """Return names of the classes: their numbers, for the files hold no others."""
        return tuple(map(str, range(self.classes)))

    @property
    def preprocessing(self):
        """Return how a validation image becomes a network's input."""
        return preprocessing(self.recipe.input_size, self.recipe.crop_ratio)

    @property
    def steps(self):
        """Return the number of training batches of an epoch, full ones only."""
        return self.train_size // self.batch_size

    @property
    def val_steps(self):
        """Return the number of validation batches."""
        return -(-self.val_size // self.batch_size)

    def train_batches(self, epoch):
        """Yield an epoch's (images, labels), shuffled and augmented by (seed, epoch)."""
        drawn = np.random.default_rng((self.seed, epoch)).integers(2**31, size=2)
        shuffling, augmenting = (int(number) for number in drawn)
        recipe = self.recipe
        # Differs from gluon-cv: one reader per epoch, seeded, so that a resumed run sees what an
        # uninterrupted one would have seen.
        reader = self._read(
            self.train,
            shuffle=True,
            seed=shuffling,
            seed_aug=augmenting,
            rand_mirror=True,
            random_resized_crop=True,
            min_random_area=CROP_AREA[0],
            max_random_area=CROP_AREA[1],
            min_aspect_ratio=CROP_RATIO[0],
            max_aspect_ratio=CROP_RATIO[1],
            brightness=recipe.colour_jitter,
            contrast=recipe.colour_jitter,
            saturation=recipe.colour_jitter,
            pca_noise=recipe.lighting,
        )
        for _, batch in zip(range(self.steps), reader, strict=False):
            yield batch.data[0], batch.label[0]

    def val_batches(self):
        """Yield (images, labels) of every validation image, in order."""
        resize = int(np.ceil(self.recipe.input_size / self.recipe.crop_ratio))
        for batch in self._read(self.val, shuffle=False, resize=resize):
            # Differs from gluon-cv: images that only fill up the last batch are not counted again.
            size = self.batch_size - batch.pad
            yield batch.data[0][:size], batch.label[0][:size]

    def _read(self, files, **options):
        side = self.recipe.input_size
        # Differs from gluon-cv: the mean and deviation of its own image folders, where its
        # RecordIO reader has slightly other ones.
        means = {f"mean_{c}": 255 * m for c, m in zip("rgb", IMAGENET_MEAN, strict=True)}
        stds = {f"std_{c}": 255 * s for c, s in zip("rgb", IMAGENET_STD, strict=True)}
        try:
            yield from mx.io.ImageRecordIter(
                path_imgrec=files[0],
                path_imgidx=files[1],
                preprocess_threads=max(1, self.threads),
                batch_size=self.batch_size,
                data_shape=(3, side, side),
                verbose=False,
                **means,
                **stds,
                **options,
            )
        except mx.base.MXNetError as error:
            reason = str(error).strip().splitlines()[-1]
            raise UserError(f"{files[0]}: an image cannot be decoded ({reason})") from None


def open_records(train, val, recipe, batch_size, threads, seed):
    """Return the RecordBatches of two checked pairs (records, index) of paths.

    The number of classes is the greatest label + 1.
    Raises UserError for files that are missing, cut or damaged.
    """
    train = tuple(str(Path(path).expanduser()) for path in train)
    val = tuple(str(Path(path).expanduser()) for path in val)
    train_labels, val_labels = read_labels(*train), read_labels(*val)
    return RecordBatches(
        train,
        val,
        recipe,
        batch_size,
        threads,
        seed,
        train_size=len(train_labels),
        val_size=len(val_labels),
        classes=int(max(train_labels.max(), val_labels.max())) + 1,
    )


def write_records(dataset, prefix, resize=None, quality=95):
    """Write prefix.rec and prefix.idx from an ImageFolder, whole or not at all.

    resize: pixels of the shorter side of the stored JPEGs; None stores the files as they are
    Raises UserError that names an image that is broken, OSError if the disk is full.
    """
    paths = {suffix: Path(f"{prefix}.{suffix}") for suffix in ("rec", "idx")}
    partial = {s: path.with_name(f".{path.name}.partial") for s, path in paths.items()}
    paths["rec"].parent.mkdir(parents=True, exist_ok=True)
    try:
        writer = mx.recordio.MXIndexedRecordIO(str(partial["idx"]), str(partial["rec"]), "w")
        for index in tqdm(range(len(dataset)), desc=f"writing {paths['rec']}", unit="image"):
            header = mx.recordio.IRHeader(0, float(dataset.labels[index]), index, 0)
            content = _encoded(dataset.path(index), resize, quality)
            writer.write_idx(index, mx.recordio.pack(header, content))
        writer.close()
        read_labels(partial["rec"], partial["idx"])  # a full disk goes unnoticed until here
        for suffix, path in paths.items():
            os.replace(partial[suffix], path)
    except mx.base.MXNetError as error:
        raise UserError(f"{paths['rec']} cannot be written ({error})") from None
    finally:
        for path in partial.values():
            path.unlink(missing_ok=True)


def _encoded(path, resize, quality):
    image = read_image(path)
    if resize is None:
        return path.read_bytes()
    scale = resize / min(image.size)
    size = [max(resize, round(side * scale)) for side in image.size]
    stored = io.BytesIO()
    image.resize(size).save(stored, "JPEG", quality=quality)
    return stored.getvalue()


@exits_with_one_line
def main(arguments=None):
    """Write the RecordIO files of an image folder's train/ and val/."""
    parser = argparse.ArgumentParser(
        prog="python -m utils.mxnet_recordio",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("folder", help="image folder with train/ and val/ class folders")
    parser.add_argument("prefix", help="path of the files without _train.rec, _val.rec")
    parser.add_argument("--resize", type=int, help="pixels of the shorter side; default: as it is")
    parser.add_argument("--quality", type=int, default=95, help="of JPEGs that were resized (95)")
    options = parser.parse_args(arguments)
    train, val = open_image_folder(options.folder, Recipe(input_size=1), seed=0)
    for name, dataset in (("train", train), ("val", val)):
        write_records(dataset, f"{options.prefix}_{name}", options.resize, options.quality)


if __name__ == "__main__":
    main()
