"""Files of a trained network to deploy: what they state, and the check against what was trained."""

import json

import numpy as np

from utils.atomic_files import atomic_write
from utils.errors import UserError

TOLERANCE = 1e-3  # of the logits' size
CHECKED_IMAGES = 16


def texts_of(preprocessing, about):
    """Return the metadata of a file, {key: JSON}: what about holds, and how to make an input.

    preprocessing: how an image becomes an input, utils.images.transforms.preprocessing
    """
    metadata = {"input_size": preprocessing["input_size"], **about, "preprocessing": preprocessing}
    return {key: json.dumps(value) for key, value in metadata.items()}  # in ASCII, any name fits


def write_checked(path, model, runtime, run, images, logits):
    """Write the bytes of a model to a file, and check it with the runtime that is to run it.

    runtime: its name; run: (path, images) -> its logits, array (B, classes)
    images:  real inputs, float32 array (B, 3, H, W); the first ones are used for the check
    logits:  images -> array (B, classes), the framework's
    Returns the greatest difference of the two networks' logits relative to the greatest logit.
    Raises UserError, and leaves no file, if it is above TOLERANCE.
    """
    with atomic_write(path) as file:
        file.write(model)
    images = images[:CHECKED_IMAGES]
    wanted = logits(images)
    difference = float(np.abs(run(path, images) - wanted).max() / np.abs(wanted).max())
    if not difference <= TOLERANCE:
        path.unlink()
        raise UserError(
            f"{path}: {runtime}'s logits differ from the trained network's by {difference:.1e} "
            f"of their size, more than {TOLERANCE:.0e}; the file was removed"
        )
    return difference
