"""Small hand-made ONNX classifiers: a convolution, pooling and a matrix product."""

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

SHAPE = ("N", 3, 32, 32)
MACS = 8 * 16 * 16 * 27 + 8 * 10  # of one image: 8 channels of 16×16 numbers, then 10 classes
PARAMETERS = 8 * 27 + 8 * 10


def classifier(
    element_type=TensorProto.FLOAT,
    *,
    shape=SHAPE,
    opset=17,
    constant_nodes=False,
    reshape=None,
    domain=None,
):
    """Return a model of images (N, 3, 32, 32) and logits (N, 10).

    element_type: of the images; integers are cast to float, and halves stay
    constant_nodes: whether the weights are nodes; reshape: a fixed shape instead of Flatten
    domain: of an operator that nobody knows, in front of the matrix product
    """
    half = element_type == TensorProto.FLOAT16
    rng = np.random.default_rng(0)
    weights = [
        numpy_helper.from_array(rng.standard_normal(s).astype("f2" if half else "f4"), name)
        for name, s in (("kernel", (8, 3, 3, 3)), ("matrix", (8, 10)))
    ]
    nodes = []
    if constant_nodes:
        nodes = [helper.make_node("Constant", [], [w.name], value=w) for w in weights]
        weights = []
    value = "images"
    if not half and element_type != TensorProto.FLOAT:
        nodes.append(helper.make_node("Cast", [value], ["cast"], to=TensorProto.FLOAT))
        value = "cast"
    nodes += [
        helper.make_node("Conv", [value, "kernel"], ["map"], strides=[2, 2], pads=[1, 1, 1, 1]),
        helper.make_node("GlobalAveragePool", ["map"], ["pooled"]),
    ]
    if reshape:
        weights.append(numpy_helper.from_array(np.array(reshape, np.int64), "shape"))
        nodes.append(helper.make_node("Reshape", ["pooled", "shape"], ["features"]))
    else:
        nodes.append(helper.make_node("Flatten", ["pooled"], ["features"]))
    features, opsets = "features", [helper.make_opsetid("", opset)]
    if domain:
        nodes.append(helper.make_node("Unheard", ["features"], ["others"], domain=domain))
        features = "others"
        opsets.append(helper.make_opsetid(domain, 1))
    nodes.append(helper.make_node("MatMul", [features, "matrix"], ["logits"]))
    images = helper.make_tensor_value_info("images", element_type, shape)
    kind = TensorProto.FLOAT16 if half else TensorProto.FLOAT
    logits = helper.make_tensor_value_info("logits", kind, ["N", 10])
    graph = helper.make_graph(nodes, "classifier", [images], [logits], weights)
    return helper.make_model(graph, opset_imports=opsets, ir_version=8)


def quantised():
    """Return the classifier as quantisers write it: int8 numbers, dequantised before products."""
    model = classifier()
    graph = model.graph
    one = numpy_helper.from_array(np.float32(0.1), "scale")
    zero = numpy_helper.from_array(np.int8(0), "zero")
    weights = [
        numpy_helper.from_array(np.ones(w.dims, np.int8), f"{w.name}_int8")
        for w in graph.initializer
    ]
    images = helper.make_node("QuantizeLinear", ["images", "scale", "zero"], ["images_int8"])
    features = helper.make_node("QuantizeLinear", ["features", "scale", "zero"], ["features_int8"])
    dequantised = {
        name: helper.make_node("DequantizeLinear", [f"{name}_int8", "scale", "zero"], [f"{name}_f"])
        for name in ("images", "kernel", "features", "matrix")
    }
    convolution, pool, flatten, product = graph.node
    for node in (convolution, product):
        node.input[:] = [f"{name}_f" for name in node.input]
    nodes = [
        images,
        dequantised["images"],
        dequantised["kernel"],
        convolution,
        pool,
        flatten,
        features,
        dequantised["features"],
        dequantised["matrix"],
        product,
    ]
    new = helper.make_graph(nodes, "int8", graph.input, graph.output, [*weights, one, zero])
    return helper.make_model(new, opset_imports=model.opset_import, ir_version=8)


def integer_products():
    """Return the classifier in integers: QLinearConv, then MatMulInteger."""
    scale = numpy_helper.from_array(np.float32(0.1), "scale")
    zero = numpy_helper.from_array(np.uint8(0), "zero")
    kernel = numpy_helper.from_array(np.ones((8, 3, 3, 3), np.int8), "kernel")
    kernel_zero = numpy_helper.from_array(np.int8(0), "kernel_zero")
    matrix = numpy_helper.from_array(np.ones((8, 10), np.uint8), "matrix")
    quantised = ["images", "scale", "zero", "kernel", "scale", "kernel_zero", "scale", "zero"]
    nodes = [
        helper.make_node("QLinearConv", quantised, ["map"], strides=[2, 2], pads=[1, 1, 1, 1]),
        helper.make_node("DequantizeLinear", ["map", "scale", "zero"], ["map_f"]),
        helper.make_node("GlobalAveragePool", ["map_f"], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["features"]),
        helper.make_node("QuantizeLinear", ["features", "scale", "zero"], ["features_int8"]),
        helper.make_node("MatMulInteger", ["features_int8", "matrix"], ["sums"]),
        helper.make_node("Cast", ["sums"], ["logits"], to=TensorProto.FLOAT),
    ]
    images = helper.make_tensor_value_info("images", TensorProto.UINT8, SHAPE)
    logits = helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["N", 10])
    constants = [scale, zero, kernel, kernel_zero, matrix]
    graph = helper.make_graph(nodes, "integers", [images], [logits], constants)
    opset = helper.make_opsetid("", 17)
    return helper.make_model(graph, opset_imports=[opset], ir_version=8)


def saved(model, path):
    """Save a model; return its path as text."""
    onnx.save(model, str(path))
    return str(path)
