"""ONNX files of image classifiers: what they compute, read from the graph and its metadata."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx

from models.mobilenet_v1 import IMAGE_CHANNELS, check_configuration
from utils.errors import UserError


@dataclass(frozen=True)
class OnnxFile:
    """A file with one input, images (B, 3, H, H), and one output, logits (B, classes).

    configuration: the widths that the file's metadata tell, None if they tell none
    batch_size: None if any fits
    """

    path: str
    model: onnx.ModelProto
    input_size: int
    classes: int
    batch_size: int | None
    configuration: tuple[int, ...] | None

    @classmethod
    def load(cls, path):
        """Return the OnnxFile of a path, or raise UserError that says why it is none."""
        if not Path(path).is_file():
            raise UserError(f"{path} is not a file")
        try:
            model = onnx.load(path)
            onnx.checker.check_model(model)
        # Whatever protobuf's decoder and the checker raise for bytes that are no model.
        except Exception as error:
            reason = (str(error).splitlines() or [type(error).__name__])[0]
            raise UserError(f"{path} is no ONNX model ({reason})") from None
        constants = {tensor.name for tensor in model.graph.initializer}
        inputs = [value for value in model.graph.input if value.name not in constants]
        shapes = [[d.dim_value for d in value.type.tensor_type.shape.dim] for value in inputs]
        sizes = _shapes(model, batch_size=shapes[0][0] or 1) if len(shapes) == 1 else {}
        outputs = [sizes.get(value.name, ()) for value in model.graph.output]
        match shapes, outputs:
            case [[[batch_size, channels, height, width]], [(_, classes)]] if (
                channels == IMAGE_CHANNELS and height == width > 0 and classes > 0
            ):
                return cls(str(path), model, height, classes, batch_size or None, _widths(model))
        raise UserError(
            f"{path}: expected images of shape (batch, {IMAGE_CHANNELS}, H, H) and logits of shape "
            f"(batch, classes), found inputs {shapes} and outputs {outputs}"
        )

    def serialized(self, batch_size):
        """Return the bytes of the model for one batch size; UserError if it has another one."""
        if self.batch_size not in {None, batch_size}:
            raise UserError(
                f"{self.path} is for batches of {self.batch_size}: give "
                f"--batch-size {self.batch_size}"
            )
        return _with_batch(self.model, batch_size).SerializeToString()

    @property
    def macs(self):
        """The multiply-accumulate operations of one image in convolutions and matrix products."""
        batch_size = self.batch_size or 1
        shapes = _shapes(self.model, batch_size)
        constants = {tensor.name: tuple(tensor.dims) for tensor in self.model.graph.initializer}
        total = 0
        for node in self.model.graph.node:
            if node.op_type in {"Conv", "Gemm", "MatMul"} and node.input[1] in constants:
                kernel, outputs = constants[node.input[1]], np.prod(shapes[node.output[0]])
                if node.op_type == "Conv":
                    total += outputs * np.prod(kernel[1:])  # products of each number of the output
                else:
                    total += outputs * np.prod(kernel) // shapes[node.output[0]][-1]
        return int(total) // batch_size

    @property
    def parameters(self):
        """The number of parameters; BatchNorm, where it was folded in, counts one per channel."""
        return int(sum(np.prod(t.dims, dtype=int) for t in self.model.graph.initializer))


def _with_batch(model, batch_size):
    fixed = onnx.ModelProto()
    fixed.CopyFrom(model)
    for value in (*fixed.graph.input, *fixed.graph.output):
        value.type.tensor_type.shape.dim[0].dim_value = batch_size
    return fixed


def _shapes(model, batch_size):
    """Return {name: shape} of all values of a graph."""
    graph = onnx.shape_inference.infer_shapes(_with_batch(model, batch_size)).graph
    return {
        value.name: tuple(d.dim_value for d in value.type.tensor_type.shape.dim)
        for value in (*graph.input, *graph.value_info, *graph.output)
    }


def _widths(model):
    texts = {entry.key: entry.value for entry in model.metadata_props}
    try:
        return check_configuration(json.loads(texts["configuration"]))
    except (KeyError, ValueError, TypeError):
        return None
