"""Writing a trained network as an ONNX file, checked with ONNX Runtime."""

from models.onnx_graph import OPSET, serialize
from pipeline.final.checked_file import texts_of, write_checked
from utils.errors import UserError


def export_onnx(path, weights, preprocessing, about, images, logits):
    """Write FoldedWeights as an ONNX file for any batch size, and check it.

    preprocessing: how an image becomes an input, utils.images.transforms.preprocessing
    about: further metadata of the file: {key: what JSON can hold}
    images, logits, the result and UserError: as in write_checked
    """
    texts = texts_of(preprocessing, {"opset": OPSET, **about})
    model = serialize(weights, None, preprocessing["input_size"], texts)
    return write_checked(path, model, "ONNX Runtime", _run, images, logits)


def check_onnxruntime():
    """Raise UserError if what export_onnx needs at the end of a training cannot be imported."""
    try:
        import onnxruntime  # noqa: F401
    except ImportError as error:
        raise UserError(f"the check of ONNX files needs onnxruntime ({error})") from None


def _run(path, images):
    import onnxruntime  # here: it takes a while, and only trainings need it

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return session.run(["logits"], {"images": images})[0]
