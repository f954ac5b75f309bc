"""MobileNet-v1 with one width per layer as an ONNX graph, written directly, BatchNorm folded in.

The topology is fixed, so no exporter is needed; that makes the graph some hundred times faster.
"""

from dataclasses import dataclass

import numpy as np
from onnx import TensorProto, helper

from models.mobilenet_v1 import IMAGE_CHANNELS, STRIDES

OPSET = 17  # read by every onnxruntime and OpenVINO since 2022
IR_VERSION = 8
FLOATS = {"fp32": (TensorProto.FLOAT, np.float32), "fp16": (TensorProto.FLOAT16, np.float16)}


@dataclass(frozen=True)
class Convolution:
    """A convolution with its BatchNorm folded in: what a deployed layer is."""

    kernel: np.ndarray  # (out_channels, in_channels / groups, height, width)
    bias: np.ndarray  # (out_channels,)
    stride: int
    groups: int


@dataclass(frozen=True)
class Weights:
    """The arrays of one network: 27 convolutions, in order, and the classifier."""

    convolutions: tuple[Convolution, ...]
    classifier_weight: np.ndarray  # (classes, last width)
    classifier_bias: np.ndarray  # (classes,)


def random_weights(configuration, classes, rng):
    """Return random float32 Weights whose activations neither grow nor vanish with depth.

    The kernels are slices of one pool of random numbers: the values do not matter to a runtime,
    as long as they are neither constant nor denormal, and drawing millions of them takes time.
    """
    inputs = (IMAGE_CHANNELS, *configuration)
    largest = max(
        9 * IMAGE_CHANNELS * configuration[0],
        *(a * b for a, b in zip(inputs, (*configuration, classes), strict=True)),
    )
    pool = rng.standard_normal(largest, dtype=np.float32)

    def draw(out_channels, in_channels, size):
        fan_in = in_channels * size * size
        values = pool[: out_channels * fan_in] * np.float32(np.sqrt(2 / fan_in))
        return values.reshape(out_channels, in_channels, size, size)

    def convolution(out_channels, in_channels, size, stride=1, groups=1):
        kernel = draw(out_channels, in_channels // groups, size)
        return Convolution(kernel, np.full(out_channels, 0.01, np.float32), stride, groups)

    layers = [convolution(configuration[0], IMAGE_CHANNELS, 3, STRIDES[0])]
    for before, width, stride in zip(configuration, configuration[1:], STRIDES[1:], strict=False):
        layers.append(convolution(before, before, 3, stride, groups=before))
        layers.append(convolution(width, before, 1))
    classifier = draw(classes, configuration[-1], 1)[:, :, 0, 0]
    return Weights(tuple(layers), classifier, np.zeros(classes, np.float32))


def serialize(weights, batch_size, input_size, dtype="fp32"):
    """Return the bytes of the ONNX model of a network.

    Input "images" of shape (batch_size, 3, input_size, input_size), output "logits" of shape
    (batch_size, classes); both, and the weights, are of dtype "fp32" or "fp16".
    """
    element_type, numpy_type = FLOATS[dtype]
    nodes, initializers = [], []

    def constant(name, array):
        data = np.ascontiguousarray(array, dtype=numpy_type)
        tensor = TensorProto(name=name, data_type=element_type, dims=array.shape)
        tensor.raw_data = data.tobytes()
        initializers.append(tensor)
        return name

    value = "images"
    for i, layer in enumerate(weights.convolutions):
        inputs = [value, constant(f"kernel{i}", layer.kernel), constant(f"bias{i}", layer.bias)]
        size = layer.kernel.shape[-1]
        nodes.append(
            helper.make_node(
                "Conv",
                inputs,
                [f"conv{i}"],
                kernel_shape=[size, size],
                strides=[layer.stride] * 2,
                pads=[size // 2] * 4,
                group=layer.groups,
            )
        )
        value = f"relu{i}"
        nodes.append(helper.make_node("Relu", [f"conv{i}"], [value]))
    classifier = [
        constant("classifier_weight", weights.classifier_weight),
        constant("classifier_bias", weights.classifier_bias),
    ]
    nodes += [
        helper.make_node("GlobalAveragePool", [value], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["features"]),
        helper.make_node("Gemm", ["features", *classifier], ["logits"], transB=1),
    ]
    shape = [batch_size, IMAGE_CHANNELS, input_size, input_size]
    graph = helper.make_graph(
        nodes,
        "MobileNetV1",
        [helper.make_tensor_value_info("images", element_type, shape)],
        [
            helper.make_tensor_value_info(
                "logits", element_type, [batch_size, len(weights.classifier_bias)]
            )
        ],
        initializers,
    )
    model = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION
    )
    return model.SerializeToString()
