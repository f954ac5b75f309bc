"""A network with its weights as an ONNX graph, written directly.

No exporter is needed: a graph is written in tens of milliseconds.
"""

import numpy as np
from onnx import TensorProto, helper

from utils.devices.workload import IMAGE_CHANNELS

OPSET, IR_VERSION = 17, 8  # read by every onnxruntime and OpenVINO since 2022


def serialize(weights, batch_size, input_size, metadata=None):
    """Return the bytes of the float32 ONNX model of FoldedWeights.

    Input "images" of shape (batch_size, 3, input_size, input_size), output "logits" of shape
    (batch_size, classes). A batch_size of None leaves it open.
    metadata: {key: text} to store in the file
    """
    graph = Graph(weights)
    weights.network.run("images", graph)
    batch_size = batch_size or "batch"  # a name leaves the size open
    images = (batch_size, IMAGE_CHANNELS, input_size, input_size)
    model = helper.make_model(
        helper.make_graph(
            graph.nodes,
            "".join(part[:1].upper() + part[1:] for part in weights.network.title.split("-")),
            [_tensor("images", images)],
            [_tensor("logits", (batch_size, weights.classes))],
            graph.initializers,
        ),
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
    )
    helper.set_model_props(model, metadata or {})
    return model.SerializeToString()


class Graph:
    """Adds a node for each step; results are names of values."""

    def __init__(self, weights):
        self._weights = weights
        self.nodes, self.initializers = [], []

    def convolve(self, step, value):
        """Add a convolution, with its activation."""
        layer, index = self._weights.convolutions[step.index], step.index
        arrays = [
            self._constant(f"kernel{index}", layer.kernel),
            self._constant(f"bias{index}", layer.bias),
        ]
        value = self._add(
            "Conv",
            [value, *arrays],
            f"conv{index}",
            **_window(step),
            group=layer.groups(step),
        )
        return self._activated(step, value, f"relu{index}")

    def add(self, step, value, other):
        """Add an addition, with its activation."""
        number = len(self.nodes)
        return self._activated(
            step, self._add("Add", [value, other], f"sum{number}"), f"relu_of_sum{number}"
        )

    def pool(self, step, value):
        """Add a max pooling."""
        return self._add("MaxPool", [value], f"max{len(self.nodes)}", **_window(step))

    def classify(self, step, value):
        """Add the classifier."""
        arrays = [
            self._constant("classifier_weight", self._weights.classifier_weight),
            self._constant("classifier_bias", self._weights.classifier_bias),
        ]
        value = self._add("GlobalAveragePool", [value], "pooled")
        value = self._add("Flatten", [value], "features")
        return self._add("Gemm", [value, *arrays], "logits", transB=1)

    def _activated(self, step, value, name):
        if not step.active:
            return value
        if self._weights.network.activation == "relu":
            return self._add("Relu", [value], name)
        bounds = [np.float32(0), np.float32(6)]
        names = [self._constant(f"{name}_{b:g}", np.asarray(b)) for b in bounds]
        return self._add("Clip", [value, *names], name)

    def _add(self, operator, inputs, output, **attributes):
        self.nodes.append(helper.make_node(operator, inputs, [output], **attributes))
        return output

    def _constant(self, name, array):
        tensor = TensorProto(name=name, data_type=TensorProto.FLOAT, dims=array.shape)
        tensor.raw_data = np.ascontiguousarray(array, dtype=np.float32).tobytes()
        self.initializers.append(tensor)
        return name


def _window(step):
    return {
        "kernel_shape": [step.kernel_size] * 2,
        "strides": [step.stride] * 2,
        "pads": [step.kernel_size // 2] * 4,
    }


def _tensor(name, shape):
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
