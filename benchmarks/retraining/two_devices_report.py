"""What widths for one device are worth on the other: tables of benchmarks.two_devices."""

import numpy as np

from benchmarks.retraining.device_table import BATCH_SIZE, RUNS, device_as_text, measure
from benchmarks.retraining.two_devices_jobs import DEVICES
from benchmarks.retraining.unfinished import unfinished
from benchmarks.retraining.with_seeds import with_seeds
from utils.errors import UserError
from utils.json_lines import atomic_write, write_lines


def write_report(benchmark, folder):
    """Measure the answers on both devices; write two_devices.jsonl and .md; return the tables.

    benchmark: a TwoDevices
    """
    results = benchmark.results()
    if not results:
        raise UserError(f"no training is finished in {benchmark.jobs_path}")
    configurations = {tuple(result["configuration"]) for result in results.values()}
    classes, versions = benchmark.settings.classes, {}
    measured_ms = {device: {} for device in DEVICES}
    for device in DEVICES:
        timed, metadata = measure([*configurations, benchmark.accuracy.widest()], classes, device)
        measured_ms[device] = {c: result["latency_ms"] for c, result in timed.items()}
        versions[device] = metadata
    rows = rows_of(results, benchmark.full_ms(), measured_ms)
    write_lines(folder / "two_devices.jsonl", rows)
    text = as_markdown(rows, benchmark, versions)
    with atomic_write(folder / "two_devices.md", "w") as file:
        file.write(text)
    return text


def rows_of(results, full_ms, measured_ms):
    """Return a dictionary for each answer.

    results:     {(device, target, seed): result} of trainings
    full_ms:     {device: predicted latency of the widest network}
    measured_ms: {device: {configuration: milliseconds per image}}
    """
    return [
        {
            "searched_for": device,
            "target": target,
            "seed": seed,
            "configuration": result["configuration"],
            "accuracy": result["accuracy"],
            "loss": result["loss"],
            # On each device, the target is the same share of its own widest network's latency.
            "target_ms": {d: target * full_ms[d] for d in DEVICES},
            "measured_ms": {d: measured_ms[d][tuple(result["configuration"])] for d in DEVICES},
        }
        for (device, target, seed), result in results.items()
    ]


def as_markdown(rows, benchmark, metadata):
    """Return the 2 × 2 table, and one for each target."""
    settings = benchmark.settings
    names = " and ".join(map(device_as_text, metadata.values()))
    lines = [
        "# Widths for two devices, from one supernet",
        "",
        f"{settings.data}, PyTorch, supernets of seeds {', '.join(map(str, benchmark.seeds))} that "
        "started at the trained widest network; targets are shares of the latency that each "
        f"device's table predicts for that. Tables of {settings.samples} networks on {names}; one "
        f"thread, batch {BATCH_SIZE}. All answers "
        f"were timed together on each device, {RUNS} runs in rounds, and trained from scratch.",
        "",
        "Measured latency in per cent of the target on that device, and accuracy in per cent: "
        "means over targets and seeds for which both devices' answers are trained.",
        "",
        *_table(_complete(rows), ""),
        "",
        "The same for each target, and each seed's in brackets.",
        "",
    ]
    for target in sorted(settings.targets):
        cell = [row for row in _complete(rows) if row["target"] == target]
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
