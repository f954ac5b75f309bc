"""The cost of an ONNX graph, and the precision it multiplies in, also where it is quantised."""

from math import prod

import onnx
from onnx import TensorProto

# The positions of a product's factors among its inputs: activations, weights.
CONVOLUTIONS = {"Conv": (0, 1), "ConvInteger": (0, 1), "QLinearConv": (0, 3)}
MATRIX_PRODUCTS = {
    "Gemm": (0, 1),
    "MatMul": (0, 1),
    "MatMulInteger": (0, 1),
    "QLinearMatMul": (0, 3),
}
PRODUCTS = CONVOLUTIONS | MATRIX_PRODUCTS
# Their products are not counted here.
UNCOUNTED = {"Attention", "ConvTranspose", "DeformConv", "Einsum", "GRU", "LSTM", "RNN"}
UNCOUNTED |= {"If", "Loop", "Scan"}
OF_ONNX = {"", "ai.onnx"}
PRECISIONS = {"FLOAT": "fp32", "FLOAT16": "fp16", "DOUBLE": "fp64", "BFLOAT16": "bf16"}
MOVES = {"Flatten", "Identity", "Reshape", "Squeeze", "Transpose", "Unsqueeze"}  # change no number


class Values:
    """The shapes and the element types of all values of a model, as far as they can be inferred."""

    def __init__(self, model):
        try:
            inferred = onnx.shape_inference.infer_shapes(model, data_prop=True)
        # Inference raises different errors for graphs that contradict themselves.
        except Exception:
            inferred = model
        graph = inferred.graph
        self._types = {
            value.name: value.type.tensor_type
            for value in (*graph.input, *graph.value_info, *graph.output)
        }
        self._constants = {tensor.name: tensor for tensor in graph.initializer}

    def shape(self, name):
        """Return the shape of a value, a tuple of ints, or None if it is not known."""
        if name in self._constants:
            return tuple(self._constants[name].dims)
        if name not in self._types or not self._types[name].HasField("shape"):
            return None
        dims = self._types[name].shape.dim
        return tuple(d.dim_value for d in dims) if all(d.dim_value > 0 for d in dims) else None

    def largest(self):
        """Return the size of the largest value whose shape is known, in numbers, at least 1."""
        return max((prod(self.shape(name) or ()) for name in self._types), default=1)

    def element_type(self, name):
        """Return the TensorProto data type of a value, UNDEFINED if it is not known."""
        if name in self._constants:
            return self._constants[name].data_type
        return self._types[name].elem_type if name in self._types else TensorProto.UNDEFINED


def count_macs(model, values):
    """Return the multiply-accumulate operations of convolutions and matrix products, or None.

    None if an operator or a shape is unknown. values: the Values of the same model
    """
    total = 0
    for node in model.graph.node:
        if node.domain not in OF_ONNX or node.op_type in UNCOUNTED:
            return None
        if node.op_type not in PRODUCTS:
            continue
        left, right = (values.shape(node.input[i]) for i in PRODUCTS[node.op_type])
        output = values.shape(node.output[0])
        if not left or not right or output is None:
            return None
        if node.op_type in CONVOLUTIONS:
            total += prod(output) * prod(right[1:])  # products per number of the output
        else:
            transposed = any(a.name == "transA" and a.i for a in node.attribute)
            total += prod(output) * (left[0] if transposed else left[-1])
    return total


def count_parameters(model):
    """Return how many numbers the constants hold, without shapes and axes (64-bit integers).

    A folded BatchNorm counts one per channel; quantised networks also hold scales
    and zero points.
    """
    nodes = (node for node in model.graph.node if node.op_type == "Constant")
    constants = [a.t for node in nodes for a in node.attribute if a.name == "value"]
    return sum(
        prod(tensor.dims)
        for tensor in (*model.graph.initializer, *constants)
        if tensor.data_type != TensorProto.INT64
    )


def precision(model, values):
    """Return the types of the factors in convolutions and matrix products: "int8", "fp16 + fp32".

    A factor that is dequantised just before counts as its quantised type, which is what runtimes
    multiply. Signed and unsigned are not told apart.
    """
    producers = {name: node for node in model.graph.node for name in node.output}

    def origin(name):
        while name in producers:
            node = producers[name]
            if node.op_type == "DequantizeLinear":
                return node.input[0]
            if node.op_type not in MOVES:
                break
            name = node.input[0]
        return name

    types = {
        values.element_type(origin(node.input[i]))
        for node in model.graph.node
        if node.op_type in PRODUCTS and node.domain in OF_ONNX
        for i in PRODUCTS[node.op_type]
    } or {values.element_type(value.name) for value in model.graph.input}
    types -= {TensorProto.UNDEFINED}
    return " + ".join(sorted({_name(element_type) for element_type in types})) or "unknown"


def _name(element_type):
    name = TensorProto.DataType.Name(element_type)
    return PRECISIONS.get(name) or name.lower().removeprefix("u")
