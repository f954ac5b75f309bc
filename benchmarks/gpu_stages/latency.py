"""Stages that time networks: repeatability and cliffs, latency tables and their errors."""

import itertools
import re
from functools import partial

import numpy as np

from benchmarks.gpu_stages.commands import LeftOut, StageFailed
from benchmarks.gpu_stages.machine import MACHINE
from benchmarks.gpu_stages.settings import Timing
from benchmarks.gpu_stages.stage import Stage, json_lines, number, table

TRT = "trt"
FEWEST = 15  # samples that suffice for a table when there is no time for more
FIT_S = 70  # of a table of 100 networks
NETWORK_S = {"fp16": 3.0, "TF32": 1.0, "fp32": 1.0}  # to measure one, as seen on an H100
SAMPLES, HELD_OUT, MODEL = "samples.jsonl", "held-out.jsonl", "model.jsonl"


def timing_stages(settings):
    """Return the stages that time a few networks in every way."""
    return [
        Stage(f"timing {precision}", 40, partial(time_networks, precision), show_times)
        for precision in settings.precisions
    ]


def table_stages(settings):
    """Return the stages that measure, fit and validate a table, one for each way of timing."""
    stages = []
    for samples, batch, graph in itertools.product(
        settings.samples, settings.batches, settings.graphs
    ):
        for precision in settings.precisions:
            timing = Timing(settings.device, precision, graph, batch)
            cost_s = FIT_S + NETWORK_S[precision] * (samples + settings.held_out)
            run = partial(make_table, timing, samples)
            name = f"table of {samples} networks, {timing}"
            stages.append(Stage(name, cost_s, run, show_tables))
    return stages


def tensorrt_stages(settings):
    """Return the stages that need TensorRT; they say so where it is not installed."""
    if not settings.cuda:
        return []
    stages = [
        Stage(f"TensorRT {precision}", 60, partial(time_trt, precision), show_times)
        for precision in ("fp16", "fp32")
    ]
    samples = settings.samples[0]
    run = partial(make_trt_table, settings.timings("fp16", TRT)[0], samples)
    stages.append(Stage(f"table of {samples} networks, TensorRT", 150, run, show_tables))
    return [*stages, Stage("TensorRT-RTX", 30, try_rtx, show_rtx)]


def time_networks(precision, context, *options):
    """Return the timing probe's lines of a precision."""
    probe = ("-m", "benchmarks.gpu_stages.timing_probe", precision, *context.miniature, *options)
    outcome = context.commands.attempt(*probe)
    result = {"timings": json_lines(outcome.output)}
    failures = [f"{line['timing']}: {line['why']}" for line in result["timings"] if "why" in line]
    if outcome.why or failures:
        raise StageFailed("; ".join([*failures, *([outcome.why] if outcome.why else [])]), result)
    return result


def show_times(result):
    """Return a table of the timings."""
    header = ("", "0.75×, ms per image", "two passes differ by", "IQR / median", "s a network",
              "greatest cliff", "clocks, MHz")  # fmt: skip
    rows = []
    for line in result["timings"]:
        if "why" in line:
            rows.append((line["timing"], line["why"], *[""] * 5))
            continue
        clocks = [line[name].get("clocks.sm", "–") for name in ("state_before", "state_after")]
        rows.append(
            (
                line["timing"],
                number(line["reference_ms"], ".4g"),
                f"{line['disagreement_percent']:.2f} %",
                f"{line['spread_percent']:.2f} %",
                number(line["s_per_network"]),
                _cliff(line.get("cliffs")),
                " → ".join(clocks),
            )
        )
    return table(header, rows)


def _cliff(cliffs):
    """Return the greatest step between neighbouring widths as text."""
    if not cliffs:
        return "–"
    ms, widths = np.array(cliffs["ms"]), cliffs["widths"]
    steps = ms[1:] / ms[:-1] - 1
    at = int(np.argmax(abs(steps)))
    return f"{100 * steps[at]:+.1f} % from {widths[at]} to {widths[at + 1]} channels"


def make_table(timing, samples, context):
    """Measure networks in one way; fit and validate the table.

    Networks already measured are kept, also those of a smaller table; what there is no time for is
    left out of the table.
    """
    row = measure(timing, samples, context, context.commands.stage_left_s() - FIT_S)
    if row["samples"] >= FEWEST and row["held_out"]:
        said = fit(row["folder"], context)
        row.update(said | {"why": row["why"] or said["why"]})
    result = {"tables": [row]}
    if row["why"]:
        raise StageFailed(f"{row['timing']}: {row['why']}", result)
    return result


def measure(timing, samples, context, limit_s):
    """Measure the networks of one table; return what there is, and why not all of it."""
    folder = context.folder.parent / re.sub(r"\W+", "-", str(timing))
    folder.mkdir(exist_ok=True)
    settings = context.settings
    sizes = ("--input-size", settings.input_size, "--classes", settings.classes)
    common = ("latency.py", "generate", *timing.options, *sizes)
    common += ("--iterations", settings.iterations, "--warmup", 5)
    row = {"timing": str(timing), "folder": str(folder), "why": None, "seconds": 0.0}
    for name, path, options, share in (
        ("held_out", HELD_OUT, ("--seed", 1, "--count", settings.held_out), 0.3),
        ("samples", SAMPLES, ("--biased", "--count", samples), 0.7),
    ):
        words = (*common, *options, folder / path)
        outcome = context.commands.attempt(*words, limit_s=max(0.0, share * limit_s))
        row[name] = len(_lines(folder / path))
        row["why"] = row["why"] or outcome.why
        row["seconds"] += outcome.seconds
        row["said"] = outcome.output
    return row


def _lines(path):
    return path.read_text().splitlines() if path.exists() else []


def fit(folder, context):
    """Fit and validate the table of a folder; return its errors.

    Where the cross-validated fit takes too long, Eq. (7) alone is fitted.
    """
    words = ("latency.py", "fit", f"{folder}/{SAMPLES}", f"{folder}/{MODEL}")
    fitted = context.commands.attempt(*words, limit_s=FIT_S)
    if fitted.why:
        fitted = context.commands.attempt(*words, "-K", "100.0")
    outputs = (f"{folder}/{MODEL}", f"{folder}/correlation.png")
    validated = context.commands.attempt("latency.py", "validate", f"{folder}/{HELD_OUT}", *outputs)
    return _numbers(fitted, validated)


def _numbers(fitted, validated):
    """Return the errors that latency.py prints, in per cent of the mean latency."""
    found = {"why": fitted.why or validated.why}
    for name, text, pattern in (
        ("cross_validated_percent", fitted.output, r"cross-validated error: ([\d.]+)"),
        ("held_out_percent", validated.output, r"NRMSE ([\d.]+)"),
        ("rank_correlation", validated.output, r"rank correlation ([-\d.]+)"),
        ("mean_ms", validated.output, r"mean latency ([-\d.e]+)"),
    ):
        match = re.search(pattern, text)
        found[name] = float(match[1]) if match else None
    return found


def show_tables(result):
    """Return the lines of tables."""
    header = ("", "networks", "seconds", "mean ms per image", "error on held-out networks",
              "cross-validated", "rank correlation")  # fmt: skip
    rows = [
        (
            row["timing"],
            f"{row['samples']} + {row['held_out']}",
            f"{row['seconds']:.0f}",
            number(row.get("mean_ms"), ".4g"),
            f"{number(row.get('held_out_percent'))} %",
            f"{number(row.get('cross_validated_percent'))} %",
            number(row.get("rank_correlation"), ".4f"),
        )
        for row in result["tables"]
    ]
    said = [f"    {line}" for row in result["tables"] for line in row["said"].splitlines()[-1:]]
    return [*table(header, rows), "", *said]


def time_trt(precision, context):
    """Return the timing probe's lines of device trt."""
    check_installed("tensorrt", context)
    return time_networks(precision, context, "--device", TRT)


def make_trt_table(timing, samples, context):
    """Measure networks on device trt, fit a table and validate it."""
    check_installed("tensorrt", context)
    return make_table(timing, samples, context)


def try_rtx(context):
    """Return what device trt measures on tensorrt_rtx."""
    check_installed("tensorrt_rtx", context)
    return {"engines": json_lines(context.commands.run("-m", "benchmarks.gpu_stages.rtx_probe"))}


def check_installed(package, context):
    """Raise LeftOut if a package is not installed, or does not load."""
    found = context.results.get(MACHINE, {}).get("packages", {}).get(package)
    if not found or "load" in found:
        raise LeftOut(f"{package} {found or 'is not installed'}")


def show_rtx(result):
    """Return the lines of tensorrt_rtx's engines."""
    return [
        f"- {line['dtype']}: {line['ms_per_image']:.4g} ms per image" for line in result["engines"]
    ]
