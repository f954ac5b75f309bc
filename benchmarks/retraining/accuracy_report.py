"""The results of benchmarks.accuracy as JSON lines, a Markdown table and a picture."""

import numpy as np

from benchmarks.retraining.accuracy_methods import DEFAULT, METHODS, OURS, WIDEST
from benchmarks.retraining.paired import WITHIN, Paired
from benchmarks.retraining.reports import unfinished, write_results
from utils.figures import new_figure, save_figure

STYLES = {
    "uniform": ("0.35", "s"),
    "random": ("0.75", "x"),
    "greedy": ("tab:olive", "^"),
    "OWS, paper": ("tab:cyan", "v"),
    "AOWS, paper": ("tab:orange", "D"),
    "OWS": ("tab:green", "P"),
    "AOWS": ("tab:brown", "p"),
    "OWS, trained": ("tab:blue", "o"),
    "AOWS, trained": ("tab:gray", "*"),
    "OWS, trained, means": ("lightskyblue", "X"),
    "OWS, trained, monotone": ("navy", "d"),
    "OWS, trained, greedy": ("yellowgreen", "1"),
    "Torch-Pruning, magnitude": ("tab:pink", "<"),
    "Torch-Pruning, Taylor": ("tab:red", ">"),
    "FastNAS": ("tab:purple", "h"),
}  # colour and marker
TICKS = (2, 3, 4, 5, 6, 7, 8, 10, 12, 15, 20, 30, 40, 60)  # of the error, %


def write_report(rows, missing, setting, folder):
    """Write the results to a folder; return the tables as text.

    Files: accuracy.jsonl, accuracy.md, accuracy.png.

    rows:    dictionaries of one answer each: seed, target, method, configuration, accuracy, loss,
             predicted_ms, measured_ms, macs, parameters, and same_as where an equal configuration
             of the seed was trained already
    missing: names of the trainings that are not finished
    setting: sentences about what was trained and measured
    """
    text = as_markdown(rows, missing, setting)
    write_results(folder, "accuracy", rows, text)
    plot(rows, folder / "accuracy.png")
    return text


def as_markdown(rows, missing, setting):
    """Return the tables with the setting and what is missing."""
    lines = ["# Accuracy at equal latency", "", *setting, "", *unfinished(missing)]
    lines += [
        "How much better a method is than others: mean over targets and seeds, with the "
        f"{WITHIN:.0%} interval of a bootstrap over both, rough for few seeds; accuracy in points. "
        "Won: cells of a target and a seed, without those of equal values, as of equal widths.",
        "",
    ]
    for ours in OURS:
        lines += [*_comparison(rows, ours), ""]
    lines += [*_cells(rows), ""]
    shared = [row for row in rows if "same_as" in row]
    lines += [
        f"{len(shared)} of {len(rows)} answers equal one of the same seed, and were trained once.",
        "",
    ]
    return "\n".join(lines)


def _comparison(rows, ours):
    """Return the lines of a table: how much better one method is than each other one."""
    lines = [
        f"| {ours} against | seeds | accuracy | won | loss | won |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for method in METHODS:
        accuracy = _paired(rows, ours, method, "accuracy", 100)
        if method != ours and accuracy:
            loss = _paired(rows, ours, method, "loss", -1)
            columns = (*_as_columns(accuracy, "+.2f"), *_as_columns(loss, "+.4f", -1))
            lines.append(f"| {method} | {accuracy.seeds} | {' | '.join(columns)} |")
    return lines


def _paired(rows, ours, method, field, factor):
    """Return the Paired of one method against another; a factor < 0: less is better."""
    values = [
        {(r["target"], r["seed"]): factor * r[field] for r in rows if r["method"] == name}
        for name in (ours, method)
    ]
    return Paired.of(*values)


def _as_columns(paired, form, sign=1):
    ends = sorted((sign * paired.low, sign * paired.high))
    interval = "" if np.isnan(paired.low) else f" ({ends[0]:{form}} to {ends[1]:{form}})"
    return f"{sign * paired.mean:{form}}{interval}", f"{paired.won} of {paired.cells}"


def _cells(rows):
    """Return the lines of a table: each method at each target."""
    lines = [
        "Means ± standard deviations over the seeds.",
        "",
        "| target | method | seeds | accuracy, % | loss | predicted, ms | measured, ms "
        "| MMACs | Mparams |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for target in sorted({row["target"] for row in rows}):
        for method in (*METHODS, WIDEST):
            cell = [r for r in rows if (r["target"], r["method"]) == (target, method)]
            if cell:
                lines.append(_line(target, method, cell))
    return lines


def _line(target, method, cell):
    columns = (
        f"{100 * target:g} %, {cell[0]['target_ms']:.4f} ms",
        method,
        str(len(cell)),
        _spread([100 * row["accuracy"] for row in cell], ".2f"),
        _spread([row["loss"] for row in cell], ".3f"),
        _spread([row["predicted_ms"] for row in cell], ".4f"),
        _spread([row["measured_ms"] for row in cell], ".4f"),
        _spread([row["macs"] / 1e6 for row in cell], ".2f"),
        _spread([row["parameters"] / 1e6 for row in cell], ".2f"),
    )
    return f"| {' | '.join(columns)} |"


def _spread(values, form):
    """Return mean ± standard deviation as text, or a single value as it is."""
    mean = format(np.mean(values), form)
    return f"{mean} ± {np.std(values, ddof=1):{form}}" if len(values) > 1 else mean


def plot(rows, path):
    """Draw error against measured latency: a curve per method over the targets. Writes a PNG.

    Methods of one seed are faint points without a curve. The axis ends below the curves; the
    legend names those that are beyond it.
    """
    figure = new_figure(8, 5)
    axes = figure.subplots()
    curves = {method: _points(rows, method) for method in METHODS}
    curves = {method: points for method, points in curves.items() if points}
    of_one = {method for method in curves if _seeds_of(rows, method) == 1}
    kept = [method for method in curves if method not in of_one] or list(curves)
    errors = [error + noise for method in kept for _, error, noise in curves[method]]
    worst = 1.1 * max(errors, default=100)
    for method, points in curves.items():
        _draw_curve(axes, method, points, method in of_one, worst)
    widest = [row for row in rows if row["method"] == WIDEST]
    if widest:
        (point,) = _points(widest, WIDEST)
        axes.errorbar(*point, fmt="k*", markersize=12, capsize=2, label="the widest network")
    low, high = axes.get_xlim()
    axes.set_xlim(low, high + 0.2 * (high - low))  # room for the legend
    axes.set_xlabel("measured latency, ms per image")
    axes.set_ylabel("error, retrained from scratch, %: better upwards")
    axes.set_yscale("log")
    best = axes.get_ylim()[0]
    ticks = [tick for tick in TICKS if best < tick < worst]
    axes.set_yticks(ticks, list(map(str, ticks)))
    axes.minorticks_off()
    axes.set_ylim(worst, best)
    axes.set_title(_title(rows, list(curves), bool(of_one)), fontsize=10)
    axes.grid(color="0.92")
    axes.legend(frameon=False, loc="lower right", fontsize=9)
    save_figure(figure, path)


def _title(rows, methods, some_have_one):
    counts = {_seeds_of(rows, method) for method in methods} or {1}
    title = f"MobileNet-v1 at widths chosen in {len(methods)} ways: "
    if counts == {1}:
        return title + "one seed"
    up_to = "" if len(counts) == 1 else "up to "
    title += f"means over {up_to}{max(counts)} seeds, with standard errors"
    return title + ("; faint: one seed" if some_have_one else "")


def _seeds_of(rows, method):
    """Return how many seeds of a method are finished, in part at least."""
    return len({row["seed"] for row in rows if row["method"] == method})


def _points(rows, method):
    """Return (latency in ms, error in %, its standard error) of a method's targets, by latency."""
    points = []
    for target in sorted({row["target"] for row in rows}):
        cell = [r for r in rows if (r["target"], r["method"]) == (target, method)]
        if cell:
            errors = [100 - 100 * row["accuracy"] for row in cell]
            noise = np.std(errors, ddof=1) / np.sqrt(len(cell)) if len(cell) > 1 else 0.0
            latency_ms = np.mean([row["measured_ms"] for row in cell])
            points.append((latency_ms, np.mean(errors), noise))
    return sorted(points)


def _draw_curve(axes, method, points, is_faint, worst):
    """Draw a method's points; worst: the error at which the axis ends."""
    colour, marker = STYLES[method]
    x, y, noise = np.array(points).T
    is_ours, name = method == DEFAULT, method
    beyond = (y > worst).sum()
    if is_ours:
        name += " (the default)"
    label = f"{name} ({beyond} of {len(y)} below)" if beyond else name
    if not is_faint:
        axes.errorbar(x, y, noise, fmt="none", ecolor=colour, elinewidth=1, capsize=2, alpha=0.5)
    axes.plot(
        x, y, color=colour, marker=marker, label=label, lw=2.5 if is_ours else 1.2,
        ls="" if is_faint else "-", alpha=0.45 if is_faint else 1, zorder=3 if is_ours else 2,
    )  # fmt: skip
