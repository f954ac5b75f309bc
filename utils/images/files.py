"""The one place where image files are opened, and only by Pillow's decoders of pixels.

Pillow recognises a file by its content, whatever its name, and some of its formats start programs:
PostScript is handed to Ghostscript. Files from strangers must not get that far.

"""

import numpy as np
from PIL import Image, ImageFile, UnidentifiedImageError

from utils.images.broken import BrokenImage

FORMATS = ("BMP", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP")
SUFFIXES = (
    ".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".bmp", ".gif", ".ppm", ".pgm", ".pbm", ".tif",
    ".tiff", ".webp",
)  # fmt: skip
BITS_PER_SAMPLE, PHOTOMETRIC, BLACK_IS_ZERO = 258, 262, 1  # of TIFF


def read_image(file):
    """Return the RGB image in a path or an open file; BrokenImage, with the reason, if none is.

    16-bit pixels keep their high byte, as in MXNet's reader; transparency is dropped.
    """
    ImageFile.LOAD_TRUNCATED_IMAGES = False  # gluoncv sets it for the whole process
    try:
        with Image.open(file, formats=FORMATS) as image:
            return _with_8_bits(image).convert("RGB")
    except UnidentifiedImageError:
        raise BrokenImage(f"cannot identify it as one of {', '.join(FORMATS)}") from None
    # Decoders do not document what damaged files raise; none of it may end a training.
    except Exception as error:
        raise BrokenImage(str(error) or type(error).__name__) from None


def _with_8_bits(image):
    """Return an image whose grays range from 0 to 255; ValueError if its white is unknown."""
    if image.mode not in ("F", "I", "I;16", "I;16B"):
        return image
    known = image.mode != "F"
    if image.format == "TIFF":  # "I" and "I;16" may have 12 or 32 bits, signs and negatives too
        tags = image.tag_v2
        bits, photometric = tags.get(BITS_PER_SAMPLE), tags.get(PHOTOMETRIC)
        known = image.mode.startswith("I;") and (bits, photometric) == ((16,), BLACK_IS_ZERO)
    if not known:
        raise ValueError("its white is not known: pixels must have 8 bits, or 16 without a sign")
    return Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
