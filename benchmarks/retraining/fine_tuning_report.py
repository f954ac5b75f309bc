"""How accurate the networks of benchmarks.fine_tuning are, and what they took to train."""

import numpy as np

from benchmarks.retraining.fine_tuning_jobs import LONG, SCRATCH, STARTS
from benchmarks.retraining.paired import WITHIN, Paired
from benchmarks.retraining.reports import unfinished, write_results
from benchmarks.retraining.with_seeds import with_seeds
from utils.errors import UserError


def write_report(benchmark, folder):
    """Write fine_tuning.jsonl and fine_tuning.md into a folder; return the tables as text.

    benchmark: a FineTuning
    """
    results = benchmark.results()
    if not results:
        raise UserError(f"no training is finished in {benchmark.jobs_path.parent}")
    rows = [
        {"start": name, "target": target, "seed": seed}
        | {key: result[key] for key in ("configuration", "accuracy", "loss", "cpu_s")}
        for (name, target, seed), result in results.items()
    ]
    text = as_markdown(rows, benchmark)
    write_results(folder, "fine_tuning", rows, text)
    return text


def as_markdown(rows, benchmark):
    """Return the tables, with what they are based on, and the answers."""
    settings, seeds = benchmark.settings, benchmark.seeds
    epochs = {SCRATCH: settings.epochs} | {n: benchmark.epochs(s) for n, s in STARTS.items()}
    epochs[LONG] = benchmark.epochs_of_weights()
    lines = [
        "# A network from its supernet",
        "",
        f"{settings.data}, PyTorch, seeds {', '.join(map(str, seeds))}: answers of supernets that "
        "started at the trained widest network, trained from scratch and from their supernet's "
        "weights. The same recipe as from scratch, without its warm-up; accuracy after the last "
        "epoch. Means over the seeds, and each seed's. Differences: means over targets and seeds, "
        f"with the {WITHIN:.0%} interval of a bootstrap over both.",
        "",
        "| target | start | epochs | accuracy, % | loss | CPU s |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for target in (*sorted(settings.targets), 1):
        for name, count in epochs.items():
            cell = [row for row in rows if (row["target"], row["start"]) == (target, name)]
            if cell:
                columns = (
                    f"{100 * target:g} %",
                    name,
                    str(count),
                    with_seeds([100 * row["accuracy"] for row in cell], ".2f"),
                    with_seeds([row["loss"] for row in cell], ".3f"),
                    f"{np.mean([row['cpu_s'] for row in cell]):.0f}",
                )
                lines.append(f"| {' | '.join(columns)} |")
    missing = [
        f"{name}, {100 * target:g} %, seed {seed}"
        for name, target, seed in benchmark.cells()
        if (name, target, seed) not in benchmark.results()
    ]
    answers = [answer_as_text(rows, name) for name in STARTS]
    answers += [beside_widest(rows, target) for target in sorted(settings.targets)]
    return "\n".join(
        [*lines, "", *unfinished(missing), *(f"- {text}" for text in answers if text), ""]
    )


def answer_as_text(rows, name):
    """Return how much more accurate a start is than training from scratch; "" without both."""
    gain = Paired.of(*(_accuracies(rows, start) for start in (name, SCRATCH)))
    if not gain:
        return ""
    return (
        f"{name[0].upper()}{name[1:]}: {_as_points(gain)} against from scratch, "
        f"more accurate in {gain.won} of {gain.cells} cells of a target and a seed."
    )


def beside_widest(rows, target):
    """Return how an answer from the supernet compares with LONG; "" without both."""
    longest = min(STARTS, key=lambda name: STARTS[name].share)
    ours, widest = _accuracies(rows, longest), _accuracies(rows, LONG)
    gain = Paired.of(
        {(t, s): v for (t, s), v in ours.items() if t == target},
        {(target, s): v for (_, s), v in widest.items()},
    )
    if not gain:
        return ""
    return (
        f"{100 * target:g} %, {longest}: {_as_points(gain)} against {LONG}, more accurate in "
        f"{gain.won} of {gain.cells} seeds."
    )


def _accuracies(rows, start):
    """Return {(target, seed): accuracy in per cent} of a start."""
    return {
        (row["target"], row["seed"]): 100 * row["accuracy"] for row in rows if row["start"] == start
    }


def _as_points(gain):
    interval = "" if np.isnan(gain.low) else f" ({gain.low:+.2f} to {gain.high:+.2f})"
    return f"{gain.mean:+.2f} points{interval}"
