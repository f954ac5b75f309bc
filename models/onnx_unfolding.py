"""Giving a network its BatchNorms back, which deployment has folded into its convolutions.

A supernet trains with batch statistics, so a BatchNorm must scale and shift to what follows it as
it did before it was folded. What a convolution returns has that scale and shift: its deviation
and its mean.
"""

import numpy as np
import onnx
from onnx import helper

from models.onnx_graph import serialize
from models.trained_weights import EPSILON, TrainedConvolution, TrainedWeights

AT_ONCE = 16  # images, whose maps are in memory together


def unfolded(weights, input_size, batches):
    """Return the TrainedWeights of FoldedWeights, which compute the same outside training.

    batches: iterable of images, float32 arrays (B, 3, input_size, input_size), of which the
             statistics are
    Raises ValueError if there is no batch.
    """
    moments = _moments(weights, input_size, batches)
    convolutions = []
    for each, (mean, square) in zip(weights.convolutions, moments, strict=True):
        variance = np.maximum(square - mean**2, 0)
        # scale / sqrt(variance + EPSILON) = 1, and shift - mean of the convolution = each.bias
        arrays = np.sqrt(variance + EPSILON), mean, mean - each.bias, variance
        convolutions.append(
            TrainedConvolution(each.kernel, *(a.astype(np.float32) for a in arrays))
        )
    return TrainedWeights(
        weights.network, tuple(convolutions), weights.classifier_weight, weights.classifier_bias
    )


def _moments(weights, input_size, batches):
    """Return the means of each convolution's channels, and of their squares: float64 (C,) each."""
    import onnxruntime  # here: it takes a while

    model = onnx.load_from_string(serialize(weights, None, input_size))
    nodes = [node for node in model.graph.node if node.op_type == "Conv"]
    outputs = []
    for node in nodes:
        value, square = node.output[0], f"{node.output[0]}_square"
        model.graph.node.append(helper.make_node("Mul", [value, value], [square]))
        for name in (value, square):
            mean = helper.make_node("ReduceMean", [name], [f"{name}_mean"], axes=_AXES, keepdims=0)
            model.graph.node.append(mean)
            outputs.append(mean.output[0])
    del model.graph.output[:]
    model.graph.output.extend(onnx.ValueInfoProto(name=name) for name in outputs)
    providers = ["CPUExecutionProvider"]
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=providers)
    sums, seen = np.zeros(1), 0
    for batch in batches:
        for start in range(0, len(batch), AT_ONCE):
            images = np.ascontiguousarray(batch[start : start + AT_ONCE], np.float32)
            means = session.run(outputs, {"images": images})
            sums = sums + len(images) * np.concatenate(means, dtype=np.float64)
            seen += len(images)
    if not seen:
        raise ValueError("unfolded needs at least one batch")
    sizes = [len(each.bias) for each in weights.convolutions for _ in range(2)]
    means = np.split(sums / seen, np.cumsum(sizes)[:-1])
    return list(zip(means[::2], means[1::2], strict=True))


_AXES = (0, 2, 3)  # of (B, C, H, W)
