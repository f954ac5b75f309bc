"""What benchmarks.accuracy found, as JSON lines, a Markdown table and a picture."""

import numpy as np

from benchmarks.retraining.accuracy_jobs import METHODS, OURS
from utils.figures import new_figure, save_figure
from utils.json_lines import atomic_write, write_lines

BASELINE = "OWS exact"  # that the others are compared with, seed by seed
STYLES = {
    "uniform": ("0.45", "s"),
    "random": ("0.75", "x"),
    "greedy": ("tab:olive", "^"),
    "OWS Lagrangian": ("tab:cyan", "v"),
    "OWS exact": ("tab:blue", "o"),
    "AOWS independent": ("tab:orange", "D"),
    "AOWS joint": ("tab:red", "P"),
    "OWS monotone": ("tab:purple", "h"),
    "OWS reranked": ("tab:green", "*"),
    "AOWS monotone": ("tab:brown", "p"),
    "AOWS reranked": ("tab:pink", "X"),
}  # colour and marker


def write_report(rows, missing, setting, folder):
    """Write accuracy.jsonl, accuracy.md and accuracy.png into a folder; return the table as text.

    rows:    dictionaries of one answer each: seed, target, method, configuration, accuracy,
             predicted_ms, measured_ms, macs, parameters, and same_as where an equal configuration
             of the seed was trained already
    missing: names of the trainings that are not finished
    setting: sentences about what was trained and measured
    """
    write_lines(folder / "accuracy.jsonl", rows)
    text = as_markdown(rows, missing, setting)
    with atomic_write(folder / "accuracy.md", "w") as file:
        file.write(text)
    plot(rows, folder / "accuracy.png")
    return text


def as_markdown(rows, missing, setting):
    """Return the table, one block per target, with what it stands on."""
    lines = ["# Accuracy at equal latency", "", *setting, ""]
    if missing:
        names = ", ".join(missing[:8]) + (", …" if len(missing) > 8 else "")
        lines += [f"**Not finished: {len(missing)} trainings** ({names}).", ""]
    lines += [
        "Means ± standard deviations over the seeds. Δ: difference in accuracy to "
        f"{BASELINE}, paired by seed, in percentage points.",
        "",
        "| target | method | seeds | accuracy, % | Δ | predicted, ms | measured, ms "
        "| MMACs | Mparams |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for target in sorted({row["target"] for row in rows}):
        for method in (*METHODS, *OURS, "1.0×"):
            cell = [r for r in rows if (r["target"], r["method"]) == (target, method)]
            if cell:
                lines.append(_line(target, method, cell, _differences(rows, target, method)))
    shared = [row for row in rows if "same_as" in row]
    lines += [
        "",
        f"{len(shared)} of {len(rows)} answers equal one of the same seed, and were trained once.",
        "",
        "Over all targets; Δ: mean ± standard deviation over the seeds of the targets' means.",
        "",
        *_over_targets(rows),
        "",
    ]
    return "\n".join(lines)


def _over_targets(rows):
    """Return the lines of a table: each method's differences over all targets."""
    targets = sorted({row["target"] for row in rows if row["method"] == BASELINE})
    lines = ["| method | Δ | better than " + BASELINE + " |", "| --- | --- | --- |"]
    for method in (*METHODS, *OURS):
        differences = [_differences(rows, target, method) for target in targets]
        counts = {len(of_it) for of_it in differences}
        # Where a target lacks a seed, the seeds' means would be over different targets.
        if method != BASELINE and len(counts) == 1 and counts != {0}:
            of_seeds, every = np.mean(differences, axis=0), np.concatenate(differences)
            count = f"{(every > 0).sum()} of {len(every)}"
            lines.append(f"| {method} | {_spread(list(of_seeds), '+.1f')} | {count} |")
    return lines


def _differences(rows, target, method):
    """Return a method's accuracies less the baseline's of the same seed and target."""
    by_seed = {
        (row["method"], row["seed"]): row["accuracy"] for row in rows if row["target"] == target
    }
    return [
        100 * (accuracy - by_seed[BASELINE, seed])
        for (name, seed), accuracy in by_seed.items()
        if name == method and (BASELINE, seed) in by_seed
    ]


def _line(target, method, cell, differences):
    values = {name: [row[name] for row in cell] for name in ("predicted_ms", "measured_ms")}
    columns = (
        f"{100 * target:g} %, {cell[0]['target_ms']:.3f} ms",
        method,
        str(len(cell)),
        _spread([100 * row["accuracy"] for row in cell], ".1f"),
        "" if method in {BASELINE, "1.0×"} else _spread(differences, "+.1f"),
        _spread(values["predicted_ms"], ".3f"),
        _spread(values["measured_ms"], ".3f"),
        _spread([row["macs"] / 1e6 for row in cell], ".2f"),
        _spread([row["parameters"] / 1e6 for row in cell], ".2f"),
    )
    return f"| {' | '.join(columns)} |"


def _spread(values, form):
    """Return mean ± standard deviation as text; of one value the value."""
    if not values:
        return "–"
    mean = format(np.mean(values), form)
    return f"{mean} ± {np.std(values, ddof=1):{form.lstrip('+')}}" if len(values) > 1 else mean


def plot(rows, path):
    """Draw accuracy against measured latency: a curve per method over the targets. Writes a PNG.

    Our own answers, if there are any, stand in a second panel beside those they compete with.
    """
    trained = {row["method"] for row in rows}
    panels = {"the paper's searches and simpler ones": METHODS}
    if trained & set(OURS):
        panels["our own answers"] = ("greedy", BASELINE, *OURS)
    figure = new_figure(6.5 * len(panels), 5)
    all_axes = figure.subplots(1, len(panels), squeeze=False, sharex=True, sharey=True)[0]
    for axes, (title, methods) in zip(all_axes, panels.items(), strict=True):
        for method in methods:
            _draw_curve(axes, rows, method)
        _draw_widest(axes, rows)
        axes.set_xlabel("measured latency, ms per image")
        axes.set_title(title)
        axes.grid(color="0.92")
        axes.legend(frameon=False, loc="lower right")
    all_axes[0].set_ylabel("accuracy, retrained from scratch, %: mean ± deviation over seeds")
    save_figure(figure, path)


def _draw_curve(axes, rows, method):
    points, (colour, marker) = [], STYLES[method]
    for target in sorted({row["target"] for row in rows}):
        cell = [r for r in rows if (r["target"], r["method"]) == (target, method)]
        if cell:
            accuracies = [100 * row["accuracy"] for row in cell]
            spread = np.std(accuracies, ddof=1) if len(cell) > 1 else 0.0
            latency_ms = np.mean([row["measured_ms"] for row in cell])
            points.append((latency_ms, np.mean(accuracies), spread))
    if points:
        x, y, spread = np.array(points).T
        axes.errorbar(x, y, spread, fmt="none", ecolor=colour, elinewidth=1, capsize=2, alpha=0.4)
        axes.plot(x, y, color=colour, marker=marker, label=method)


def _draw_widest(axes, rows):
    widest = [row for row in rows if row["method"] == "1.0×"]
    if widest:
        latency_ms = np.mean([row["measured_ms"] for row in widest])
        accuracy = 100 * np.mean([row["accuracy"] for row in widest])
        axes.plot(latency_ms, accuracy, "k*", markersize=12, label="MobileNet-v1 1.0×")
