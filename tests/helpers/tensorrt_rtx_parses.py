"""Builds an engine from an ONNX graph with tensorrt_rtx; run as a process of its own.

Usage: python -m tests.helpers.tensorrt_rtx_parses DTYPE; it prints what was read as JSON
"""

import json
import sys

import tensorrt_rtx as trt

from models.network import Network
from networks.mobilenet_v1 import network as mobilenet_v1
from utils.devices.remote import as_onnx
from utils.devices.tensorrt_onnx import OnnxEngineBuilder
from utils.devices.workload import Workload
from utils.errors import UserError


def main(dtype):
    workload = Workload(2, 32, 10, dtype)
    builder = OnnxEngineBuilder(trt, workload)
    model = as_onnx(Network(mobilenet_v1(10), mobilenet_v1(2).scaled(0.25), 32), workload)
    network, parser = builder.network(model)
    ends = {"images": network.get_input(0), "logits": network.get_output(0)}
    answer = {name: [str(end.dtype), list(end.shape)] for name, end in ends.items()}
    layers = [network.get_layer(i) for i in range(network.num_layers)]
    answer["convolutions"] = sum(layer.type == trt.LayerType.CONVOLUTION for layer in layers)
    del parser
    answer["engine_bytes"] = len(builder.build(model))
    try:
        builder.build(b"junk")
    except UserError as error:
        answer["of_junk"] = str(error)
    print(json.dumps(answer))


if __name__ == "__main__":
    main(*sys.argv[1:])
