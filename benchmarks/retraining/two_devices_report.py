"""What widths for one device are worth on the other: tables of benchmarks.two_devices."""

import numpy as np

from benchmarks.retraining.device_table import BATCH_SIZE, RUNS, device_as_text, measure
from benchmarks.retraining.reports import unfinished, write_results
from benchmarks.retraining.two_devices_jobs import DEVICES
from benchmarks.retraining.with_seeds import with_seeds
from utils.errors import UserError


def write_report(benchmark, folder):
    """Measure the answers on both devices; write two_devices.jsonl and .md; return the tables.

    benchmark: a TwoDevices
    """
    results = benchmark.results()
    if not results:
        raise UserError(f"no training is finished in {benchmark.jobs_path}")
    widest = benchmark.accuracy.widest()
    configurations = {widest, *(tuple(result["configuration"]) for result in results.values())}
    measured_ms, timed_on = {}, {}
    for device in DEVICES:
        timed, metadata = measure(configurations, benchmark.settings.classes, device)
        measured_ms[device] = {c: result["latency_ms"] for c, result in timed.items()}
        timed_on[device] = device_as_text(metadata)
    rows = rows_of(results, measured_ms, widest)
    text = as_markdown(rows, benchmark, timed_on)
    write_results(folder, "two_devices", rows, text)
    return text


def rows_of(results, measured_ms, widest):
    """Return a dictionary for each answer.

    results:     {(device, target, seed): result} of trainings
    measured_ms: {device: {configuration: milliseconds per image}}
    widest:      the configuration of the widest network; of its latency on a device, measured
                 together with the answers', a target is a share
    """
    return [
        {
            "searched_for": device,
            "target": target,
            "seed": seed,
            "configuration": result["configuration"],
            "accuracy": result["accuracy"],
            "loss": result["loss"],
            "target_ms": {d: target * measured_ms[d][widest] for d in DEVICES},
            "measured_ms": {d: measured_ms[d][tuple(result["configuration"])] for d in DEVICES},
        }
        for (device, target, seed), result in results.items()
    ]


def as_markdown(rows, benchmark, timed_on):
    """Return the 2 × 2 table, and one for each target.

    timed_on: {device: processor, runtime and versions as text}
    """
    settings, both = benchmark.settings, _complete(rows)
    lines = [
        "# Widths for two devices, from one supernet",
        "",
        f"{settings.data}, PyTorch, supernets of seeds {', '.join(map(str, benchmark.seeds))} that "
        "started at the trained widest network; targets are shares of that network's latency on "
        f"the device. Searched by tables of {settings.samples} networks on each device, batch "
        f"{BATCH_SIZE}, one thread. The answers were timed together, {RUNS} runs in rounds, on "
        f"{' and '.join(timed_on.values())}, and trained from scratch.",
        "",
        "Measured latency in per cent of the target on that device, and accuracy in per cent: "
        "means over targets and seeds for which both devices' answers are trained, then each "
        "target's, with each seed's in brackets.",
        "",
    ]
    if both:
        lines += [*_table(both, ""), ""]
    for target in sorted(settings.targets):
        cell = [row for row in both if row["target"] == target]
        if cell:
            lines += [*_table(cell, f" {100 * target:g} %"), ""]
    done = {(row["searched_for"], row["target"], row["seed"]) for row in rows}
    missing = [job for cell, job in benchmark.cells().items() if cell not in done]
    return "\n".join([*lines, *unfinished(missing)])


def _complete(rows):
    """Return the rows of targets and seeds that both devices have."""
    cells = [(row["target"], row["seed"]) for row in rows]
    return [row for row in rows if cells.count((row["target"], row["seed"])) == len(DEVICES)]


def _table(rows, target):
    """Return the lines of one table; target: as text, if the rows are of one."""
    columns = [f"latency on {device}" for device in DEVICES]
    lines = [
        f"| searched for{target} | {' | '.join(columns)} | accuracy |",
        "| --- | --- | --- | --- |",
    ]
    form = with_seeds if target else lambda values, form: format(np.mean(values), form)
    for device in DEVICES:
        ours = [row for row in rows if row["searched_for"] == device]
        shares = [
            form([100 * row["measured_ms"][d] / row["target_ms"][d] for row in ours], ".1f")
            for d in DEVICES
        ]
        accuracy = form([100 * row["accuracy"] for row in ours], ".2f")
        lines.append(f"| {device} | {' | '.join(shares)} | {accuracy} |")
    return lines
