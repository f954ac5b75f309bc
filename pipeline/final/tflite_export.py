"""Writing a trained network as a file for LiteRT, checked with LiteRT."""

from pipeline.final.checked_file import texts_of, write_checked
from utils.devices import REQUIREMENTS
from utils.errors import UserError


def export_tflite(path, weights, preprocessing, about, images, logits):
    """Write FoldedWeights as a LiteRT file for batches of 1, which may be resized, and check it.

    preprocessing: as in pipeline.final.onnx_export.export_onnx; the file says that its images are
        NHWC
    about: further metadata of the file: {key: what JSON can hold}
    images, logits, the result and UserError: as in write_checked
    """
    from models.tflite_graph import serialize  # here: LiteRT is optional

    texts = texts_of({**preprocessing, "layout": "NHWC"}, about)
    model = serialize(weights, None, preprocessing["input_size"], texts)
    return write_checked(path, model, "LiteRT", _run, images, logits)


def check_litert():
    """Raise UserError if what export_tflite needs at the end of a training cannot be imported."""
    try:
        import ai_edge_litert.interpreter  # noqa: F401
    except ImportError as error:
        how = f"pip install -r {REQUIREMENTS['litert']}"
        raise UserError(f"--export tflite needs ai_edge_litert ({error}): {how}") from None


def _run(path, images):
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(str(path))
    (details,) = interpreter.get_input_details()
    images = images.transpose(0, 2, 3, 1)
    interpreter.resize_tensor_input(details["index"], images.shape)
    interpreter.allocate_tensors()
    interpreter.set_tensor(details["index"], images)
    interpreter.invoke()
    return interpreter.get_tensor(interpreter.get_output_details()[0]["index"])
