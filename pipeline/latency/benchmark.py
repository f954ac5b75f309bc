"""`latency.py benchmark`: the configurations and ONNX files that it times, and what it prints."""

import json
import math

from models.mobilenet_v1 import parse_configuration
from models.network import Network
from utils.errors import UserError
from utils.formatting import rounded_up
from utils.progress import warn

ONNX_DEVICES = ("onnxruntime", "openvino")
FOLDED = ", BatchNorm folded"
STATISTICS = ("median", "mean", "min", "iqr")
INPUT_SIZE, CLASSES = 224, 1000  # of configurations, unless they are given


def open_networks(args):
    """Return (networks, input size, classes): a Network or an OnnxFile for each text.

    Raises UserError if the device loads no files, or if sizes disagree with the files' or the
    arguments'.
    """
    files = [text for text in args.configurations if text.endswith(".onnx")]
    if files and args.device not in ONNX_DEVICES:
        raise UserError(
            f"device {args.device} loads no ONNX file such as {files[0]}: use --device "
            + " or ".join(ONNX_DEVICES)
        )
    opened = [
        _open_file(text) if text in files else parse_configuration(text)
        for text in args.configurations
    ]
    sizes = []
    for name, default in (("input_size", INPUT_SIZE), ("classes", CLASSES)):
        size, source = getattr(args, name), f"--{name.replace('_', '-')}"
        for file in (each for each in opened if not isinstance(each, tuple)):
            its = getattr(file, name)
            if size not in {None, its}:
                what = name.replace("_", " ")
                raise UserError(f"{file.path} has {what} {its}, {source} has {size}")
            size, source = its, file.path
        sizes.append(size or default)
    networks = [Network(each, *sizes) if isinstance(each, tuple) else each for each in opened]
    return networks, *sizes


def _open_file(path):
    from models.onnx_file import OnnxFile  # here: configurations alone need no ONNX

    return OnnxFile.load(path)


def predict(table, network):
    """Return a latency table's prediction in ms, NaN with a warning if it has none."""
    try:
        if network.configuration is None:
            raise UserError("it does not tell its widths")
        return table.predict(network.configuration)
    except UserError as error:
        name = network.path or f"({', '.join(map(str, network.configuration))})"
        warn(f"no prediction of {name}: {error}")
        return math.nan


def facts(network, workload):
    """Return what is known of a network: configuration, file, precision, MACs and parameters.

    MACs are None where an ONNX file does not tell them.
    """
    return {
        **({"file": network.path} if network.path else {}),
        "configuration": list(network.configuration) if network.configuration else None,
        "precision": network.precision or workload.dtype,
        "macs": network.macs,
        "parameters": network.parameters,
    }


def result(network, timed, prediction_ms, workload, protocol):
    """Return what was measured of one Network or OnnxFile as a dictionary; times in ms.

    prediction_ms: None if nothing was to be predicted, NaN if it could not be
    Numbers that are not known are None.
    """
    measurement = timed.measurement
    batch_s = measurement.reduced_s(protocol.reduction)
    latency_ms = 1e3 * batch_s / workload.batch_size
    known = facts(network, workload)
    batch_ms = {name: 1e3 * getattr(measurement, f"{name}_s") for name in STATISTICS}
    values = {
        **known,
        "latency_ms": latency_ms,
        "image_ms": {name: ms / workload.batch_size for name, ms in batch_ms.items()},
        "batch_ms": batch_ms,
        "runs": len(measurement.times_s),
        "gmacs_per_s": known["macs"] and known["macs"] * workload.batch_size / batch_s / 1e9,
    }
    if prediction_ms is not None:
        is_known = not math.isnan(prediction_ms)
        values["predicted_ms"] = prediction_ms if is_known else None
        values["prediction_error"] = prediction_ms / latency_ms - 1 if is_known else None
    return values


def as_json(results, metadata):
    """Return the results and how they were measured as one JSON object."""
    return json.dumps({"metadata": metadata, "results": results}, indent=2)


def as_text(results, metadata):
    """Return the results for people: a table if there are several."""
    body = _one(results[0]) if len(results) == 1 else _table(results)
    return f"{_conditions(results, metadata)}\n{body}"


def _conditions(results, metadata):
    protocol = metadata["protocol"]
    how = f"in {protocol['rounds']} rounds" if protocol["rounds"] else "in a row"
    size = metadata["search_space"]["input_size"]
    version = ", ".join(" ".join(pair) for pair in metadata["versions"].items())
    precisions = ", ".join(sorted({values["precision"] for values in results}))
    return (
        f"{metadata['device']}: {metadata['device_name']}; {_runtime(results, metadata)} "
        f"({version})\n"
        f"{precisions}, batch {metadata['batch_size']}, input {size}×{size}, "
        f"{metadata['search_space']['classes']} classes, "
        f"{metadata['threads']} thread(s); {protocol['iterations']} runs {how} "
        f"after {protocol['warmup']} untimed; {protocol['clock']} time; "
        f"latency = {protocol['reduction']}, ms per image"
    )


def _runtime(results, metadata):
    """Return the runtime's name; what it says of BatchNorm is of configurations, not of files."""
    name, folded, rest = metadata["runtime"].partition(FOLDED)
    files = sum("file" in values for values in results)
    if not folded or not files:
        return metadata["runtime"]
    return name + rest if files == len(results) else f"{name}{FOLDED} (files as they are){rest}"


def _one(values):
    lines = [f"file           {values['file']}"] if "file" in values else []
    if values["configuration"]:
        lines.append(f"configuration  {_widths(values)}")
    lines += [f"latency        {rounded_up(values['latency_ms'])} ms"]
    lines.append(" " * 15 + "".join(f"{name:>10}" for name in STATISTICS))
    for name, key in (("per image, ms", "image_ms"), ("per batch, ms", "batch_ms")):
        row = "".join(f"{values[key][statistic]:10.4g}" for statistic in STATISTICS)
        lines.append(f"{name:15}{row}")
    lines.append(
        f"MACs {_number(values, 'macs', 1e6, ' M')}, "
        f"parameters {rounded_up(values['parameters'] / 1e6)} M, "
        f"{_number(values, 'gmacs_per_s')} GMAC/s"
    )
    if "predicted_ms" in values:
        error = values["prediction_error"]
        lines.append(
            "predicted –"
            if error is None
            else f"predicted {rounded_up(values['predicted_ms'])} ms, error {error:+.1%}"
        )
    return "\n".join(lines)


def _table(results):
    """Return one row per configuration, the fastest first, as they come."""
    with_prediction = "predicted_ms" in results[0]
    heading = f"{'latency':>9}" + "".join(f"{name:>9}" for name in STATISTICS)
    heading += f"{'MMACs':>9}{'Mparams':>9}{'GMAC/s':>9}"
    heading += f"{'predicted':>11}{'error':>8}" if with_prediction else ""
    precision = 2 + max(len(text) for text in ("precision", *(r["precision"] for r in results)))
    lines = [f"{heading}{'precision':>{precision}}  configuration"]
    for values in results:
        row = f"{rounded_up(values['latency_ms']):>9}"
        row += "".join(f"{values['image_ms'][name]:9.4g}" for name in STATISTICS)
        row += f"{_number(values, 'macs', 1e6):>9}{rounded_up(values['parameters'] / 1e6):>9}"
        row += f"{_number(values, 'gmacs_per_s'):>9}"
        if with_prediction:
            error = values["prediction_error"]
            row += f"{_number(values, 'predicted_ms', unknown='–'):>11}"
            row += f"{'–' if error is None else f'{error:+.1%}':>8}"
        row += f"{values['precision']:>{precision}}"
        lines.append(f"{row}  {values['file'] if 'file' in values else _widths(values)}")
    return "\n".join(lines)


def _widths(values):
    return f"({', '.join(map(str, values['configuration']))})"


def _number(values, key, unit=1, suffix="", unknown="unknown"):
    return unknown if values[key] is None else f"{rounded_up(values[key] / unit)}{suffix}"
