"""Writing a trained network as an ONNX file, checked with ONNX Runtime."""

import json

import numpy as np

from models.onnx_graph import OPSET, serialize
from utils.errors import UserError
from utils.json_lines import atomic_write

TOLERANCE = 1e-3  # of the logits' size
CHECKED_IMAGES = 16


def export_onnx(path, weights, preprocessing, about, images, logits):
    """Write FoldedWeights as an ONNX file for any batch size, and check it.

    preprocessing: how an image becomes an input, utils.images.transforms.preprocessing
    about:  more of what the file is to tell: {key: what JSON can hold}
    images: real inputs, float32 array (B, 3, H, W), the first ones of which are checked
    logits: images -> array (B, classes), the framework's
    Returns the greatest difference of the two networks' logits relative to the greatest logit.
    Raises UserError, and leaves no file, if it is above TOLERANCE.
    """
    metadata = {"opset": OPSET, "input_size": preprocessing["input_size"], **about}
    metadata["preprocessing"] = preprocessing
    texts = {key: json.dumps(value) for key, value in metadata.items()}  # in ASCII, any name fits
    model = serialize(weights, None, preprocessing["input_size"], texts)
    with atomic_write(path) as file:
        file.write(model)
    images = images[:CHECKED_IMAGES]
    wanted = logits(images)
    difference = float(np.abs(_run(path, images) - wanted).max() / np.abs(wanted).max())
    if not difference <= TOLERANCE:
        path.unlink()
        raise UserError(
            f"{path}: ONNX Runtime's logits differ from the trained network's by {difference:.1e} "
            f"of their size, more than {TOLERANCE:.0e}; the file was removed"
        )
    return difference


def check_onnxruntime():
    """Raise UserError if what export_onnx needs at the end of a training cannot be imported."""
    try:
        import onnxruntime  # noqa: F401
    except ImportError as error:
        raise UserError(f"the check of ONNX files needs onnxruntime ({error})") from None


def _run(path, images):
    import onnxruntime  # here: it takes a while, and is for trainings only

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return session.run(["logits"], {"images": images})[0]
