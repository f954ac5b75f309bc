"""`latency.py benchmark`: the configurations and ONNX files that it times, and what it prints."""

import dataclasses
import json
import math

from msgspec.structs import replace

from nas.search_space import SearchSpace
from networks import MOBILENET_V1, open_network, permitted
from pipeline.latency.conditions import is_onnx
from pipeline.latency.verdict import Verdict, noise_of
from utils.devices.workload import Workload
from utils.errors import UserError
from utils.formatting import rounded_up
from utils.progress import warn

ONNX_DEVICES = ("onnxruntime", "openvino", "command")
FOLDED = ", BatchNorm folded"
STATISTICS = ("median", "mean", "min", "iqr")
STEADY = 0.05  # by how much the reference network's latency may change between networks


def open_networks(texts, device, network=None, input_size=None, classes=None):
    """Return (networks, a SearchSpace of theirs): a Network or an OnnxFile for each text.

    network, input_size, classes: None for the files', or the usual ones if there is no file
    Raises UserError if the device loads no files, or if sizes disagree with the files' or with
    those given.
    """
    files = [text for text in texts if is_onnx(text)]
    if files and device not in ONNX_DEVICES:
        raise UserError(
            f"device {device} loads no ONNX file such as {files[0]}: use --device "
            + f"{', '.join(ONNX_DEVICES[:-1])} or {ONNX_DEVICES[-1]}"
        )
    opened = {text: _open_file(text) for text in files}
    sizes = {}
    for name, given, usual in (
        ("network", network, MOBILENET_V1),
        ("input_size", input_size, Workload.input_size),
        ("classes", classes, Workload.classes),
    ):
        size, source = given, f"--{name.replace('_', '-')}"
        for file in opened.values():
            its = getattr(file, name)
            if its is not None and size not in {None, its}:
                what = name.replace("_", " ")
                raise UserError(f"{file.path} has {what} {its}, {source} has {size}")
            size, source = its or size, file.path
        sizes[name] = size or usual
    space = SearchSpace(**sizes)
    parse = open_network(space.network, space.classes).parse
    return [opened.get(text) or space.network_of(parse(text)) for text in texts], space


def _open_file(path):
    from models.onnx_file import OnnxFile  # here: configurations alone need no ONNX

    file = OnnxFile.load(path)
    return dataclasses.replace(file, network=file.network and permitted(file.network, path))


def predict(table, network):
    """Return a latency table's prediction in ms, NaN with a warning if it has none."""
    try:
        if network.configuration is None:
            raise UserError("it does not state its widths")
        return table.predict(network.configuration)
    except UserError as error:
        name = network.path or f"({', '.join(map(str, network.configuration))})"
        warn(f"no prediction of {name}: {error}")
        return math.nan


def of_all_precisions(metadata, networks):
    """Return Metadata with the dtype of the networks, which for ONNX files may be any."""
    dtype = ", ".join(sorted({network.precision or metadata.dtype for network in networks}))
    return replace(metadata, dtype=dtype, stated={**metadata.stated, "dtype": dtype})


def facts(network, workload):
    """Return what is known of a network: configuration, file, precision, MACs and parameters.

    MACs are None where an ONNX file does not state them.
    """
    return {
        **({"file": network.path} if network.path else {}),
        "configuration": list(network.configuration) if network.configuration else None,
        "precision": network.precision or workload.dtype,
        "macs": network.macs,
        "parameters": network.parameters,
    }


def result(
    network, timed, prediction_ms, workload, protocol, table_reference_ms=None, target_ms=None
):
    """Return what was measured of one Network or OnnxFile as a dictionary; times in ms.

    prediction_ms: None if nothing was to be predicted, NaN if it could not be
    table_reference_ms: the reference network's latency when the table was measured: the latency is
        scaled to that machine speed, too; None: it is not
    target_ms: the verdict on it is added; None: there is no target
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
    reference_ms = 1e3 * timed.reference.reduced_s(protocol.reduction) / workload.batch_size
    values["reference_ms"] = reference_ms
    if table_reference_ms:
        values["table_reference_ms"] = table_reference_ms
        latency_ms *= table_reference_ms / reference_ms
        values["at_table_speed_ms"] = latency_ms
    if prediction_ms is not None:
        is_known = not math.isnan(prediction_ms)
        values["predicted_ms"] = prediction_ms if is_known else None
        values["prediction_error"] = prediction_ms / latency_ms - 1 if is_known else None
    if target_ms:
        noise = noise_of(timed, protocol.reduction, bool(table_reference_ms))
        verdict = Verdict(latency_ms, target_ms, noise)
        values["target_ms"], values["target"] = target_ms, verdict.name
        values["noise"] = noise if math.isfinite(noise) else None
    return values


def fastest_first(results):
    """Return results by latency, at the table's machine speed if that is known."""
    name = "at_table_speed_ms" if "at_table_speed_ms" in results[0] else "latency_ms"
    return sorted(results, key=lambda values: values[name])


def warn_of_changed_speed(results):
    """Warn if the machine's speed changed between groups, and no table's speed divides it out."""
    references_ms = [values["reference_ms"] for values in results]
    change = max(references_ms) / min(references_ms) - 1
    if change > STEADY and "at_table_speed_ms" not in results[0]:
        warn(
            f"the machine's speed changed by {change:.0%} between networks; with --latency-model "
            "their latencies are given at one speed, too"
        )


def as_json(results, metadata):
    """Return the results and how they were measured as one JSON object."""
    return json.dumps({"metadata": metadata.stated, "results": results}, indent=2)


def as_text(results, metadata):
    """Return the results as readable text: a table if there are several."""
    body = _one(results[0]) if len(results) == 1 else _table(results)
    return f"{_conditions(results, metadata)}\n{body}"


def _conditions(results, metadata):
    protocol = metadata.protocol
    how = f"in {protocol.rounds} rounds" if protocol.rounds else "in a row"
    space = SearchSpace.from_dict(metadata.search_space)
    version = ", ".join(" ".join(pair) for pair in metadata.versions.items())
    version = f" ({version})" if version else ""
    precisions = ", ".join(sorted({values["precision"] for values in results}))
    where = f"{metadata.device} on {metadata.host}" if metadata.host else metadata.device
    return (
        f"{where}: {metadata.device_name}; {_runtime(results, metadata)}{version}\n"
        f"{precisions}, batch {metadata.batch_size}, input {space.input_size}×{space.input_size}, "
        f"{space.classes} classes, "
        f"{metadata.threads} thread(s); {_runs(results)} {how} "
        f"after {protocol.warmup} untimed; {protocol.clock} time; "
        f"latency = {protocol.reduction}, ms per image"
    )


def _runs(results):
    """Return how many times there are of each network: a program may print fewer than asked for."""
    runs = [values["runs"] for values in results]
    low, high = min(runs), max(runs)
    text = f"{low} to {high}" if low < high else str(low)
    return f"{text} run" if high == 1 else f"{text} runs"


def _runtime(results, metadata):
    """Return the runtime's name; what it says of BatchNorm does not hold for files."""
    name, folded, rest = metadata.runtime.partition(FOLDED)
    files = sum("file" in values for values in results)
    if not folded or not files:
        return metadata.runtime
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
    if "at_table_speed_ms" in values:
        lines.append(
            f"at the table's machine speed {rounded_up(values['at_table_speed_ms'])} ms: reference "
            f"network {values['reference_ms']:.4g} ms, "
            f"{values['table_reference_ms']:.4g} ms when the table was measured"
        )
    if "target" in values:
        lines.append(str(_verdict(values)))
    if "predicted_ms" in values:
        error = values["prediction_error"]
        lines.append(
            "predicted –"
            if error is None
            else f"predicted {rounded_up(values['predicted_ms'])} ms, error {error:+.1%}"
        )
    return "\n".join(lines)


def _table(results):
    """Return one row per configuration, as they come."""
    with_prediction = "predicted_ms" in results[0]
    heading = f"{'latency':>9}" + "".join(f" {name:>8}" for name in STATISTICS)
    heading += f" {'MMACs':>8} {'Mparams':>8} {'GMAC/s':>8}"
    with_speed, with_target = (name in results[0] for name in ("at_table_speed_ms", "target"))
    heading += f"{'table speed':>13}" if with_speed else ""
    heading += f"{'predicted':>11}{'error':>8}" if with_prediction else ""
    heading += f"{'target':>11}{'noise':>8}" if with_target else ""
    precision = 2 + max(len(text) for text in ("precision", *(r["precision"] for r in results)))
    lines = [f"{heading}{'precision':>{precision}}  configuration"]
    for values in results:
        row = f"{rounded_up(values['latency_ms']):>9}"
        row += "".join(f" {values['image_ms'][name]:8.4g}" for name in STATISTICS)
        row += f" {_number(values, 'macs', 1e6):>8} {rounded_up(values['parameters'] / 1e6):>8}"
        row += f" {_number(values, 'gmacs_per_s'):>8}"
        row += f"{rounded_up(values['at_table_speed_ms']):>13}" if with_speed else ""
        if with_prediction:
            error = values["prediction_error"]
            row += f"{_number(values, 'predicted_ms', unknown='–'):>11}"
            row += f"{'–' if error is None else f'{error:+.1%}':>8}"
        if with_target:
            noise = "–" if values["noise"] is None else f"{values['noise']:.1%}"
            row += f"{values['target']:>11}{noise:>8}"
        row += f"{values['precision']:>{precision}}"
        lines.append(f"{row}  {values['file'] if 'file' in values else _widths(values)}")
    return "\n".join(lines)


def _verdict(values):
    latency_ms = values.get("at_table_speed_ms", values["latency_ms"])
    noise = math.inf if values["noise"] is None else values["noise"]
    return Verdict(latency_ms, values["target_ms"], noise)


def _widths(values):
    return f"({', '.join(map(str, values['configuration']))})"


def _number(values, key, unit=1, suffix="", unknown="unknown"):
    return unknown if values[key] is None else f"{rounded_up(values[key] / unit)}{suffix}"
