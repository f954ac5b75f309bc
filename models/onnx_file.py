"""ONNX files of image classifiers: what they compute, read from the graph and its metadata."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import msgspec
import numpy as np
import onnx

from models.onnx_cost import Values, count_macs, count_parameters, precision
from utils.devices.workload import IMAGE_CHANNELS
from utils.json_types import Positive
from utils.user_error import UserError, first_line


@dataclass(frozen=True)
class OnnxFile:
    """A file with one input, images (B, 3, H, H), and one output, logits (B, classes).

    dtype: NumPy's, of the images
    configuration, network: the widths and the network's name from the file's metadata, None where
        it lacks them
    batch_size: None if the file takes any
    """

    path: str
    model: onnx.ModelProto
    input_size: int
    classes: int
    dtype: np.dtype
    batch_size: int | None
    configuration: tuple[int, ...] | None
    network: str | None

    @classmethod
    def load(cls, path):
        """Return the OnnxFile at a path, or raise UserError that says what is wrong with it."""
        if not Path(path).is_file():
            raise UserError(f"{path} is not a file")
        try:
            model = onnx.load(path)
            onnx.checker.check_model(model)
        except MemoryError:
            raise
        # Whatever protobuf's decoder and the checker raise for bytes that are not a model, and for
        # weights in other files that are missing.
        except Exception as error:
            raise UserError(f"{path} is not an ONNX model ({first_line(error)})") from None
        inputs, outputs = _inputs(model), list(model.graph.output)
        shapes = [_dimensions(value) for value in inputs]
        match shapes:
            case [[batch_size, channels, height, width]] if (
                channels == IMAGE_CHANNELS and height == width > 0
            ):
                values = Values(_with_batch(model, batch_size or 1))
                shapes_out = [values.shape(value.name) for value in outputs]
                if [len(shape or ()) for shape in shapes_out] == [2]:
                    dtype = _images_dtype(path, inputs[0])
                    classes = shapes_out[0][1]
                    sizes = height, classes, dtype, batch_size or None
                    return cls(str(path), model, *sizes, *_told(model))
        raise UserError(
            f"{path}: expected images of shape (batch, {IMAGE_CHANNELS}, H, H) and logits of shape "
            f"(batch, classes), found inputs {_shapes(inputs)} and outputs {_shapes(outputs)}"
        )

    def onnx(self, batch_size, rng=None):
        """Return the bytes of the model for one batch size; UserError if it is fixed to another."""
        if self.batch_size not in {None, batch_size}:
            raise UserError(
                f"{self.path} is for batches of {self.batch_size}: give "
                f"--batch-size {self.batch_size}"
            )
        return _with_batch(self.model, batch_size).SerializeToString()

    def bytes(self, batch_size):
        """Return roughly the memory it takes on a device: as models.network.Network estimates."""
        largest = self._values.largest() / (self.batch_size or 1)
        return int(4 * (2 * self.parameters + 3 * batch_size * 2 * largest))

    @cached_property
    def _values(self):
        return Values(_with_batch(self.model, self.batch_size or 1))

    @property
    def macs(self):
        """The multiply-accumulate operations for one image; None if unknown."""
        total = count_macs(self.model, self._values)
        return None if total is None else total // (self.batch_size or 1)

    @property
    def parameters(self):
        """The number of parameters; see models.onnx_cost.count_parameters."""
        return count_parameters(self.model)

    @property
    def precision(self):
        """The types of the factors in its products: "fp32", "int8", "fp32 + int8"."""
        return precision(self.model, self._values)


def _inputs(model):
    """Return the inputs of a model; old files list the weights among them."""
    constants = {tensor.name for tensor in model.graph.initializer}
    return [value for value in model.graph.input if value.name not in constants]


def _with_batch(model, batch_size):
    fixed = onnx.ModelProto()
    fixed.CopyFrom(model)
    for value in (*_inputs(fixed), *fixed.graph.output):
        for first in value.type.tensor_type.shape.dim[:1]:
            first.dim_value = batch_size
    return fixed


def _dimensions(value):
    """Return the shape of a value, 0 where it is open."""
    return [d.dim_value for d in value.type.tensor_type.shape.dim]


def _shapes(values):
    """Return shapes as text, open sizes by their names."""
    shapes = [
        ", ".join(str(d.dim_value or d.dim_param or "?") for d in value.type.tensor_type.shape.dim)
        for value in values
    ]
    return f"[{', '.join(f'[{shape}]' for shape in shapes)}]"


def _images_dtype(path, value):
    """Return the NumPy type of the images, or raise UserError if it is not numeric."""
    element_type = value.type.tensor_type.elem_type
    dtype = onnx.helper.tensor_dtype_to_np_dtype(element_type)
    if dtype.kind not in "fiu":
        name = onnx.TensorProto.DataType.Name(element_type)
        raise UserError(f"{path}: its images are of type {name}, of which none can be made here")
    return dtype


def _told(model):
    """Return (widths, the network's name) from a file's metadata, None for what they lack."""
    texts = {entry.key: entry.value for entry in model.metadata_props}
    told = []
    for key, kind in (("configuration", tuple[Positive, ...]), ("network", str)):
        try:
            told.append(msgspec.json.decode(texts[key], type=kind))
        except (KeyError, msgspec.MsgspecError):
            told.append(None)
    return told
