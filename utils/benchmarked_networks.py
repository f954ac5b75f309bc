"""The networks that `latency.py benchmark` is asked to time: configurations and ONNX files."""

import math

from models.mobilenet_v1 import count_macs, count_parameters, parse_configuration, scaled_widths
from utils.errors import UserError
from utils.progress import warn

ONNX_DEVICES = ("onnxruntime", "openvino")
INPUT_SIZE, CLASSES = 224, 1000  # of configurations, unless they are given


def open_networks(args):
    """Return (networks, input size, classes): a tuple of widths or an OnnxFile for each text.

    Raises UserError if the device loads no files, or if sizes disagree with the files' or the
    arguments'.
    """
    files = [text for text in args.configurations if text.endswith(".onnx")]
    if files and args.device not in ONNX_DEVICES:
        raise UserError(
            f"device {args.device} loads no ONNX file such as {files[0]}: use --device "
            + " or ".join(ONNX_DEVICES)
        )
    networks = [
        _open_file(text) if text in files else parse_configuration(text)
        for text in args.configurations
    ]
    sizes = []
    for name, default in (("input_size", INPUT_SIZE), ("classes", CLASSES)):
        size, source = getattr(args, name), f"--{name.replace('_', '-')}"
        for file in (network for network in networks if not isinstance(network, tuple)):
            its = getattr(file, name)
            if size not in {None, its}:
                what = name.replace("_", " ")
                raise UserError(f"{file.path} has {what} {its}, {source} has {size}")
            size, source = its, file.path
        sizes.append(size or default)
    return networks, *sizes


def _open_file(path):
    from models.onnx_file import OnnxFile  # here: configurations alone need no ONNX

    return OnnxFile.load(path)


def predict(table, network):
    """Return a latency table's prediction in ms, NaN with a warning if it has none."""
    path = None if isinstance(network, tuple) else network.path
    widths = network if path is None else network.configuration
    try:
        if widths is None:
            raise UserError("it does not tell its widths")
        return table.predict(widths)
    except UserError as error:
        name = path or f"({', '.join(map(str, widths))})"
        warn(f"no prediction of {name}: {error}")
        return math.nan


def widest(networks):
    """Return widths that no network's exceed, as far as they are known."""
    known = [n if isinstance(n, tuple) else n.configuration or scaled_widths(1) for n in networks]
    return tuple(map(max, zip(*known, strict=True)))


def facts(network, workload):
    """Return what is known of a network: configuration, file, precision, MACs and parameters.

    MACs are None where an ONNX file does not tell them.
    """
    if isinstance(network, tuple):
        return {
            "configuration": list(network),
            "precision": workload.dtype,
            "macs": count_macs(network, workload.input_size, workload.classes),
            "parameters": count_parameters(network, workload.classes),
        }
    return {
        "file": network.path,
        "configuration": list(network.configuration) if network.configuration else None,
        "precision": network.precision,
        "macs": network.macs,
        "parameters": network.parameters,
    }
