"""Opening a data set by its name: built-in images, an image folder, RecordIO files."""

from pathlib import Path

from utils.errors import UserError
from utils.images.dataset import Recipe
from utils.images.digits import open_digits
from utils.images.folder import open_image_folder
from utils.images.glyphs import open_glyphs
from utils.images.recordio_images import open_records
from utils.progress import warn_first

EMBEDDED = {"digits": open_digits, "glyphs": open_glyphs}


def open_dataset(data, input_size, seed, **recipe):
    """Return (train, val): built-in images, those of a folder or of RecordIO files.

    data:   'digits'; 'glyphs'; a folder with train/ and val/, each with a folder of images per
            class; or the prefix of the files that utils.write_records writes
    recipe: fields of utils.images.dataset.Recipe other than input_size, for images
    Raises UserError for a folder or files that cannot be trained on.
    """
    if input_size < 1:
        raise UserError(f"input size {input_size} must be at least 1")
    if str(data) in EMBEDDED:
        _warn_of_folder(data, f"the embedded {data}", f"./{data}")
        return EMBEDDED[str(data)](input_size, seed)
    recipe = Recipe(input_size, **recipe)
    halves = [[f"{data}_{half}.{kind}" for kind in ("rec", "idx")] for half in ("train", "val")]
    if any(Path(path).expanduser().exists() for files in halves for path in files):
        _warn_of_folder(data, f"{halves[0][0]} and {halves[1][0]}", f"{data}/")
        return open_records(*halves, recipe, seed)
    return open_image_folder(data, recipe, seed)


def _warn_of_folder(data, is_read, instead):
    """If an image folder has the same name, say what is read instead and how to name the folder."""

    if Path(data, "train").expanduser().is_dir():
        warn_first(f"reading {is_read}; for the image folder {data} write {instead}")
