"""Sorting the channels of a trained network, so that narrow networks keep the important ones.

A narrow network has the first channels of each Width. All layers that share a Width are sorted
together, so that the network computes what it did before.
"""

from dataclasses import replace

import numpy as np

from models.operations import Width
from models.trained_weights import EPSILON


def sorted_by_importance(weights):
    """Return TrainedWeights of the same function, the most important channels first."""
    return sorted_by(importances(weights), weights)


def sorted_by(importance, weights):
    """Return TrainedWeights of the same function; importance: {Width: (channels,)}."""
    return permuted(weights, {w: np.argsort(-i, kind="stable") for w, i in importance.items()})


def importances(weights):
    """Return {Width: the importance of each channel, float64 (channels,)} of TrainedWeights.

    It is the sum of the squares of its weights in all layers that read it; in convolutions
    relative to the variance of each output, since BatchNorm takes their scale away.
    benchmarks.channel_order compares it with other measures.
    """
    sums = {}
    for step, each in _pairs(weights):
        if not step.depthwise:
            squares = np.square(each.kernel, dtype=np.float64).sum((2, 3))
            brought = squares / (np.asarray(each.variance, np.float64) + EPSILON)[:, None]
            sums[step.inputs] = sums.get(step.inputs, 0) + brought.sum(0)
    last = weights.network.layers[-1].inputs
    logits = np.square(weights.classifier_weight, dtype=np.float64).sum(0)
    sums[last] = sums.get(last, 0) + logits
    return {width: sums[width] for width in weights.network.widths}


def permuted(weights, orders):
    """Return TrainedWeights of the same function with the channels in another order.

    orders: {Width: which channel comes first, second, …}, ints (channels,)
    """

    def order(channels):
        return orders[channels] if isinstance(channels, Width) else slice(None)

    convolutions = []
    for step, each in _pairs(weights):
        arrays = {name: array[order(step.outputs)] for name, array in vars(each).items()}
        if not step.depthwise:
            arrays["kernel"] = arrays["kernel"][:, order(step.inputs)]
        convolutions.append(replace(each, **arrays))
    classifier = weights.classifier_weight[:, order(weights.network.layers[-1].inputs)]
    return replace(weights, convolutions=tuple(convolutions), classifier_weight=classifier)


def _pairs(weights):
    """Return (Step, TrainedConvolution) pairs."""
    return zip(weights.network.convolutions, weights.convolutions, strict=True)
