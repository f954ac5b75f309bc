"""Builds engines with tensorrt_rtx and prints what they are as JSON; run as a process of its own.

Usage: python -m tests.helpers.tensorrt_rtx_builds DTYPE BATCH_SIZE CACHE
"""

import json
import sys

import numpy as np
import tensorrt_rtx as trt

from models.folded_weights import random_weights
from networks.mobilenet_v1 import network as mobilenet_v1
from utils.devices.tensorrt_network import EngineBuilder
from utils.devices.workload import Workload


def described(network, weights):
    """Return the network's shapes, and whether its convolutions hold the weights."""
    layers = [network.get_layer(i) for i in range(network.num_layers)]
    convolutions = [layer for layer in layers if layer.type == trt.LayerType.CONVOLUTION]
    same = []
    steps = weights.network.convolutions
    for layer, step, expected in zip(convolutions, steps, weights.convolutions, strict=False):
        layer.__class__ = trt.IConvolutionLayer
        kernel = np.asarray(layer.kernel).reshape(expected.kernel.shape)
        same.append(
            bool(np.array_equal(kernel, expected.kernel.astype(kernel.dtype)))
            and tuple(layer.stride_nd) == (step.stride,) * 2
            and tuple(layer.padding_nd) == (expected.size // 2,) * 2
            and layer.num_groups == expected.groups(step)
        )
    return {
        "input": list(network.get_input(0).shape),
        "output": list(network.get_output(0).shape),
        "dtypes": [str(t.dtype) for t in (network.get_input(0), network.get_output(0))],
        "convolutions": len(convolutions),
        "same": sum(same),
    }


def main(dtype, batch_size, cache):
    weights = random_weights(
        mobilenet_v1(10), mobilenet_v1(2).scaled(0.25), np.random.default_rng(0)
    )
    workload = Workload(int(batch_size), 64, 10, dtype, timing_cache=cache)
    builder = EngineBuilder(trt, workload)
    network, alive = builder.network(weights)
    answer = described(network, weights)
    del alive
    answer["engine_bytes"] = [len(builder.build(weights)) for _ in range(2)]
    print(json.dumps(answer))


if __name__ == "__main__":
    main(*sys.argv[1:])
