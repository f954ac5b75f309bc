"""Write RecordIO files, which are read faster from slow disks, from the images of a folder.

    python -m utils.write_records /imagenet /imagenet/imagenet

writes /imagenet/imagenet_train.rec, .idx and /imagenet/imagenet_val.rec, .idx from the class
folders in /imagenet/train and /imagenet/val. The images' files are stored as they are; with
--resize N their shorter side becomes N pixels first. Labels number the class folders by their
sorted names, which are kept in _train.classes.json and _val.classes.json. Broken images are left
out, each with a warning.
"""

if __name__ == "__main__":  # before the imports that take seconds
    from utils.startup import prepare

    prepare()

import io
from pathlib import Path

from utils.atomic_files import atomic_write
from utils.command_line import Parser, positive
from utils.errors import UserError, exits_with_one_line
from utils.images.broken import BrokenImage
from utils.images.dataset import Recipe
from utils.images.files import read_image
from utils.images.folder import open_image_folder
from utils.images.record_classes import names_path, write_names
from utils.images.recordio import image_record
from utils.progress import progress_bar, warn

JPEG_SIDE = 65_500  # pixels that libjpeg writes at most


@exits_with_one_line
def main(arguments=None):
    """Write the RecordIO files of an image folder's train/ and val/."""
    parser = Parser(prog="python -m utils.write_records", description=__doc__)
    parser.add_argument("folder", help="image folder with train/ and val/ class folders")
    parser.add_argument("prefix", help="path of the files without _train.rec, _val.rec")
    parser.add_argument(
        "--resize", type=positive, help="pixels of the shorter side (without it, as it is)"
    )
    parser.add_argument("--quality", type=positive, default=95, help="of JPEGs that were resized")
    options = parser.parse_args(arguments)
    if options.prefix.endswith("/"):
        parser.error(f"prefix {options.prefix} is a folder: the files' names begin with the prefix")
    train, val = open_image_folder(options.folder, Recipe(input_size=1), seed=0)
    for name, dataset in (("train", train), ("val", val)):
        prefix = f"{options.prefix}_{name}"
        # First: a kill then leaves none, not the wrong ones.
        names_path(f"{prefix}.rec").unlink(missing_ok=True)
        write_records(dataset, prefix, options.resize, options.quality)
        write_names(f"{prefix}.rec", dataset.classes)


def write_records(dataset, prefix, resize=None, quality=95):
    """Write prefix.rec and prefix.idx from an ImageFolder, each whole or not at all.

    resize: pixels of the shorter side of the stored JPEGs; None stores the files as they are
    Raises UserError if there is no good image, OSError if the disk is full.
    """
    broken, offset, index = 0, 0, []
    bar = progress_bar(range(len(dataset)), desc=f"writing {prefix}.rec", unit="image")
    with atomic_write(f"{prefix}.rec") as records:
        for number in bar:
            path = dataset.path(number)
            try:
                content = _encoded(path, resize, quality)
                record = image_record(content, float(dataset.labels[number]), number)
            except (BrokenImage, ValueError) as error:
                warn(f"{path} is left out: {error}")
                broken += 1
                continue
            records.write(record)
            index.append(f"{number}\t{offset}\n")
            offset += len(record)
        if not index:
            raise UserError(f"{dataset.root}: none of {broken} images can be read")
        records.flush()  # a full disk must be noticed before anything is replaced
        # Whatever happens until the new index stands, the old one is not of these records.
        Path(f"{prefix}.idx").unlink(missing_ok=True)
    with atomic_write(f"{prefix}.idx", "w") as file:
        file.writelines(index)
    if broken:
        warn(f"{prefix}.rec lacks {broken} broken images")


def _encoded(path, resize, quality):
    image = read_image(path)
    if resize is None:
        return path.read_bytes()
    scale = resize / min(image.size)
    width, height = (max(resize, round(side * scale)) for side in image.size)
    if max(width, height) > JPEG_SIDE:
        raise BrokenImage(
            f"resized it would have {width} × {height} pixels, a JPEG has at most {JPEG_SIDE:,} a "
            "side"
        )
    stored = io.BytesIO()
    image.resize((width, height)).save(stored, "JPEG", quality=quality)
    return stored.getvalue()


if __name__ == "__main__":
    main()
