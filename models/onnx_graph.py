"""MobileNet-v1 with one width per layer as an ONNX graph, written directly.

The topology is fixed, so no exporter is needed: a graph is written in tens of milliseconds.
"""

import numpy as np
from onnx import TensorProto, helper

from models.mobilenet_v1 import IMAGE_CHANNELS

OPSET, IR_VERSION = 17, 8  # read by every onnxruntime and OpenVINO since 2022


def serialize(weights, batch_size, input_size, metadata=None):
    """Return the bytes of the float32 ONNX model of FoldedWeights.

    Input "images" of shape (batch_size, 3, input_size, input_size), output "logits" of shape
    (batch_size, classes). A batch_size of None leaves it open.
    metadata: {key: text} that the file carries
    """
    nodes, initializers = [], []

    def add_node(operator, inputs, output, **attributes):
        nodes.append(helper.make_node(operator, inputs, [output], **attributes))
        return output

    def constant(name, array):
        tensor = TensorProto(name=name, data_type=TensorProto.FLOAT, dims=array.shape)
        tensor.raw_data = np.ascontiguousarray(array, dtype=np.float32).tobytes()
        initializers.append(tensor)
        return name

    value = "images"
    for i, layer in enumerate(weights.convolutions):
        arrays = [constant(f"kernel{i}", layer.kernel), constant(f"bias{i}", layer.bias)]
        value = add_node(
            "Conv",
            [value, *arrays],
            f"conv{i}",
            kernel_shape=[layer.size] * 2,
            strides=[layer.stride] * 2,
            pads=[layer.size // 2] * 4,
            group=layer.groups,
        )
        value = add_node("Relu", [value], f"relu{i}")
    arrays = [
        constant("classifier_weight", weights.classifier_weight),
        constant("classifier_bias", weights.classifier_bias),
    ]
    value = add_node("GlobalAveragePool", [value], "pooled")
    value = add_node("Flatten", [value], "features")
    add_node("Gemm", [value, *arrays], "logits", transB=1)
    batch_size = batch_size or "batch"  # a name is a size that is not known yet
    images = (batch_size, IMAGE_CHANNELS, input_size, input_size)
    graph = helper.make_graph(
        nodes,
        "MobileNetV1",
        [_tensor("images", images)],
        [_tensor("logits", (batch_size, weights.classes))],
        initializers,
    )
    opset = helper.make_opsetid("", OPSET)
    model = helper.make_model(graph, opset_imports=[opset], ir_version=IR_VERSION)
    helper.set_model_props(model, metadata or {})
    return model.SerializeToString()


def _tensor(name, shape):
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
