"""A network with its weights as a graph for LiteRT, the bytes of a .tflite file, written directly.

Maps are NHWC, as LiteRT's kernels read them. PyTorch and ONNX pad by half of the kernel on each
side; LiteRT's SAME pads less at the start where the stride is 2 and the side even: there the
padding is an operator of its own, which XNNPACK fuses with a convolution after it.
"""

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

from models.operations import IMAGES
from utils.devices.workload import IMAGE_CHANNELS

IDENTIFIER, VERSION = b"TFL3", 3  # of the file format
ALIGNMENT = 16  # of data in the file, bytes
STRUCTURE = 1 << 20  # all that is not data takes less, bytes
TYPES = {"float32": schema.TensorType.FLOAT32, "int32": schema.TensorType.INT32}


def serialize(weights, batch_size, input_size, metadata=None):
    """Return the bytes of the float32 LiteRT model of FoldedWeights.

    Input "images" of shape (batch_size, input_size, input_size, 3), output "logits" of shape
    (batch_size, classes). With a batch_size of None it is 1, and the input may be resized.
    metadata: {key: text} to store in the file, each in the metadata buffer of this name
    """
    graph = Graph(weights, batch_size, input_size)
    logits = weights.network.run(graph.images, graph)
    model = schema.ModelT(
        version=VERSION,
        operatorCodes=[schema.OperatorCodeT(kind, builtinCode=kind) for kind in graph.kinds],
        subgraphs=[schema.SubGraphT(graph.tensors, [graph.images], [logits], graph.operators)],
        description=weights.network.title,
        metadata=[
            schema.MetadataT(key, graph.buffer(np.frombuffer(text.encode(), np.uint8)))
            for key, text in (metadata or {}).items()
        ],
        buffers=graph.buffers,
    )
    builder = flatbuffers.Builder(STRUCTURE + sum(len(each.data) for each in graph.buffers[1:]))
    builder.Finish(model.Pack(builder), IDENTIFIER)
    return bytes(builder.Output())


class Graph:
    """Adds operators for each step; results are numbers of tensors.

    images: the number of the tensor of the images
    kinds:  the BuiltinOperators that occur
    """

    def __init__(self, weights, batch_size, input_size):
        self._weights = weights
        self._batch_size = batch_size
        self._not_negative = {step.name for step in weights.network.steps if step.active}
        self.tensors, self.operators, self.kinds = [], [], []
        self.buffers = [schema.BufferT()]  # the empty one, of all that is computed
        self.images = self._result(IMAGES, (input_size, input_size, IMAGE_CHANNELS))

    def convolve(self, step, value):
        """Add a convolution, with its activation."""
        layer, index = self._weights.convolutions[step.index], step.index
        value, shape, window = self._window(step, value)
        window["fusedActivationFunction"] = self._activation(step)
        if step.depthwise:
            kind, axes = schema.BuiltinOperator.DEPTHWISE_CONV_2D, (1, 2, 3, 0)
            options = schema.DepthwiseConv2DOptionsT(**window, depthMultiplier=1)
        else:
            kind, axes = schema.BuiltinOperator.CONV_2D, (0, 2, 3, 1)
            options = schema.Conv2DOptionsT(**window)
        arrays = [
            self._constant(f"kernel{index}", layer.kernel.transpose(axes)),
            self._constant(f"bias{index}", layer.bias),
        ]
        return self._add(kind, [value, *arrays], step.name, (*shape, len(layer.bias)), options)

    def add(self, step, value, other):
        """Add an addition, with its activation."""
        options = schema.AddOptionsT(fusedActivationFunction=self._activation(step))
        kind, shape = schema.BuiltinOperator.ADD, self._shape(value)
        return self._add(kind, [value, other], step.name, shape, options)

    def pool(self, step, value):
        """Add a max pooling."""
        channels = self._shape(value)[-1]
        # Zeros do not change the maximum of what an activation made; XNNPACK has no other padding.
        padding = 0 if step.sources[0] in self._not_negative else -np.inf
        value, shape, window = self._window(step, value, padding)
        size = {"filterHeight": step.kernel_size, "filterWidth": step.kernel_size}
        options = schema.Pool2DOptionsT(**window, **size)
        kind = schema.BuiltinOperator.MAX_POOL_2D
        return self._add(kind, [value], step.name, (*shape, channels), options)

    def classify(self, step, value):
        """Add the classifier."""
        axes = self._constant("height and width", np.array([1, 2], np.int32))
        kind, options = schema.BuiltinOperator.MEAN, schema.ReducerOptionsT()
        value = self._add(kind, [value, axes], "pooled", self._shape(value)[-1:], options)
        arrays = [
            self._constant("classifier_weight", self._weights.classifier_weight),
            self._constant("classifier_bias", self._weights.classifier_bias),
        ]
        kind, options = schema.BuiltinOperator.FULLY_CONNECTED, schema.FullyConnectedOptionsT()
        return self._add(kind, [value, *arrays], "logits", (self._weights.classes,), options)

    def buffer(self, array):
        """Add data; return the number of their buffer."""
        self.buffers.append(Aligned(array.reshape(-1).view(np.uint8)))
        return len(self.buffers) - 1

    def _window(self, step, value, padding=0):
        """Return (value, perhaps padded, (height, width) of the result, options of the windows)."""
        side, *_ = self._shape(value)
        before, result = step.kernel_size // 2, -(-side // step.stride)
        same = max(step.kernel_size + (result - 1) * step.stride - side, 0)  # on both sides
        if same != 2 * before:
            value = self._padded(value, before, padding)
        kind = schema.Padding.SAME if same == 2 * before else schema.Padding.VALID
        strides = {"strideH": step.stride, "strideW": step.stride}
        return value, (result, result), {"padding": kind, **strides}

    def _padded(self, value, margin, padding):
        """Add the padding of a map on all four sides by a number."""
        height, width, channels = self._shape(value)
        shape = (height + 2 * margin, width + 2 * margin, channels)
        margins = np.array([[0, 0], [margin] * 2, [margin] * 2, [0, 0]], np.int32)
        name = f"{self.tensors[value].name}, padded"
        inputs = [value, self._constant(f"margins of {name}", margins)]
        if not padding:
            kind, options = schema.BuiltinOperator.PAD, schema.PadOptionsT()
            return self._add(kind, inputs, name, shape, options)
        inputs.append(self._constant(f"padding of {name}", np.float32([padding])))
        return self._add(schema.BuiltinOperator.PADV2, inputs, name, shape, schema.PadV2OptionsT())

    def _activation(self, step):
        kinds = schema.ActivationFunctionType
        if not step.active:
            return kinds.NONE
        return kinds.RELU if self._weights.network.activation == "relu" else kinds.RELU6

    def _add(self, kind, inputs, name, shape, options):
        """Add an operator; return its result, of a shape without the batch."""
        if kind not in self.kinds:
            self.kinds.append(kind)
        options_type = type(options).__name__.removesuffix("T")
        result = self._result(name, shape)
        operator = schema.OperatorT(
            opcodeIndex=self.kinds.index(kind),
            inputs=inputs,
            outputs=[result],
            builtinOptionsType=getattr(schema.BuiltinOptions, options_type),
            builtinOptions=options,
        )
        self.operators.append(operator)
        return result

    def _result(self, name, shape):
        """Add the tensor of something computed; shape: without the batch."""
        tensor = schema.TensorT((self._batch_size or 1, *shape), name=name, hasRank=True)
        if self._batch_size is None:
            tensor.shapeSignature = (-1, *shape)
        return self._tensor(tensor)

    def _constant(self, name, array):
        kind, buffer = TYPES[array.dtype.name], self.buffer(array)
        return self._tensor(schema.TensorT(array.shape, kind, buffer, name, hasRank=True))

    def _tensor(self, tensor):
        self.tensors.append(tensor)
        return len(self.tensors) - 1

    def _shape(self, value):
        """Return the shape of a result without the batch."""
        return self.tensors[value].shape[1:]


class Aligned(schema.BufferT):
    """A buffer whose data begin where the file format wants them; the schema's own ignores it."""

    def Pack(self, builder):
        builder.Prep(ALIGNMENT, len(self.data))
        return super().Pack(builder)
