"""Pictures of a search: the widths it chose, and what AOWS drew while it trained."""

import numpy as np

from utils.curves import Panel, plot_curves
from utils.figures import legend_above, new_figure, save_figure
from utils.formatting import as_typed

PASSES = {  # of the sandwich rule, as results.jsonl of train_nas.py calls them
    "full": "full width",
    "random": "random widths",
    "soft_smallest": "smallest widths, soft labels",
    "soft_random": "random widths, soft labels",
}
SCORE = "score Σψ (higher is better)"
# Markers of the answers, and their sizes: none hides those below it.
SEARCHED = (("*", 340), ("s", 60), ("D", 50))  # the search's, greedy, uniform
DRAWN = ("o", 12)
EVALUATED = (("P", 70), ("X", 25))


def plot_widths(configurations, space, path):
    """Draw the width of each layer, relative to its base width, of several configurations.

    configurations: name -> one width per layer; equal ones share a line. Each line is narrower than
    those below it, which stay visible where widths are the same. Writes a PNG.
    """
    figure = new_figure(9, 4.5)
    axes = figure.subplots()
    layers = np.arange(1, len(space.choices) + 1)
    base = np.array(space.description.base_widths)
    for layer, widths in zip(layers, space.choices, strict=True):
        heights = np.array(widths) / base[layer - 1]
        axes.plot(np.full(len(widths), layer), heights, ".", color="0.8", zorder=0)
    names = {}
    for name, configuration in configurations.items():
        names.setdefault(tuple(configuration), []).append(name)
    for above, (configuration, same) in zip(range(len(names))[::-1], names.items(), strict=True):
        heights = np.array(configuration) / base
        style = {"linewidth": 2 + 2 * above, "solid_joinstyle": "miter"}
        axes.step(layers, heights, where="mid", label=" = ".join(same), **style)
    axes.set_xticks(layers)
    axes.set_xlabel("layer")
    axes.set_ylabel(f"width / {space.description.title}'s")
    axes.set_ylim(bottom=0)
    axes.grid(axis="y", color="0.92")
    legend_above(axes, columns=4)
    save_figure(figure, path)


def plot_front(front, answers, constraint, epochs, path):
    """Draw the trade-off of score against latency, and where single answers lie.

    front: a nas.exact.pareto.Front; answers: pipeline.search.comparison.Answers
    constraint: the Constraint of the latency, whose limit is drawn
    epochs: that the scores are of. Writes a PNG.
    """
    figure = new_figure(8, 5)
    axes = figure.subplots()
    label = "Pareto-optimal" if front.complete else "Pareto-optimal (sample)"
    axes.step(front.latencies_ms, front.scores, where="post", color="0.4", label=label)
    target = f"target {as_typed(constraint.limit)} {constraint.unit}"
    axes.axvline(constraint.limit, color="tab:red", linestyle=":", label=target)
    _mark(axes, answers.searched, SEARCHED)
    drawn = [[a.latency_ms for a in answers.random], [a.score for a in answers.random]]
    marker, size = DRAWN
    axes.scatter(*drawn, size, "0.6", marker, label="random", zorder=2, linewidths=0)
    _mark(axes, answers.evaluated, EVALUATED)
    figure.suptitle(f"after {epochs} epochs", fontsize=10)
    axes.set_xlabel(f"predicted {constraint.name}, ms per image")
    axes.set_ylabel(SCORE)
    axes.grid(color="0.92")
    legend_above(axes, columns=4)
    save_figure(figure, path)


def _mark(axes, named_answers, markers):
    """Draw NamedAnswers, each with its marker of the (marker, size) pairs."""
    for named, (marker, size) in zip(named_answers, markers, strict=False):
        if named.answer:
            style = {"s": size, "marker": marker, "zorder": 3}
            style |= {"edgecolors": "white", "linewidths": 0.4}
            axes.scatter(named.answer.latency_ms, named.answer.score, label=named.name, **style)


def plot_score_check(scores, accuracies, correlation, interval, epochs, path):
    """Draw the accuracy of sub-networks against their scores, both (n,), after `epochs` epochs.

    correlation: of their ranks; interval: (low, high), at 90 %. Writes a PNG.
    """
    figure = new_figure(6, 4.5)
    axes = figure.subplots()
    axes.scatter(scores, np.multiply(accuracies, 100), s=24, color="tab:blue", linewidths=0)
    axes.set_xlabel(SCORE)
    axes.set_ylabel("validation accuracy of the sub-network, %")
    low, high = interval
    axes.set_title(
        f"{len(scores)} random sub-networks after {epochs} epochs\n"
        f"rank correlation {correlation:.2f} (90 % interval {low:.2f} to {high:.2f})",
        fontsize=10,
    )
    axes.grid(color="0.92")
    save_figure(figure, path)


def plot_probabilities(decisions, space, path):
    """Draw the sampling probabilities of every layer over training, and the decisions.

    decisions: dictionaries as in aows.jsonl: "progress" in epochs, "probabilities" (one list per
    layer), "temperature", "configuration", which is None where no configuration was found that
    satisfies all limits: it is left out, and the picture says so. Each is drawn up to the next one,
    the last one to the end of its epoch. Writes a PNG.
    """
    progress = [decision["progress"] for decision in decisions]
    edges = np.append(progress, np.floor(progress[-1]) + 1)
    layers = len(space.choices)
    columns = 5
    rows = -(-(layers + 1) // columns)
    figure = new_figure(3 * columns, 2.2 * rows)
    panels = figure.subplots(rows, columns, sharex=True).ravel()
    for layer, axes in enumerate(panels[:layers]):
        picture = _draw_layer(axes, edges, decisions, layer, space.choices[layer])
    last = panels[layers]
    temperatures = [decision["temperature"] for decision in decisions]
    last.stairs(temperatures, edges, baseline=None, color="black")
    last.set_yscale("log")
    last.set_title("temperature τ", fontsize=10)
    for axes in panels[layers + 1 :]:
        axes.set_axis_off()
    figure.colorbar(picture, ax=list(panels), label="probability", shrink=0.4)
    title = "AOWS: sampling probability of each width; red: the best configuration"
    missing = sum(decision["configuration"] is None for decision in decisions)
    if missing:
        title += f" (none was found at {missing} of {len(decisions)} steps)"
    figure.suptitle(title)
    figure.supxlabel("epochs trained")
    figure.supylabel("width (channels)")
    save_figure(figure, path)


def _draw_layer(axes, edges, decisions, layer, widths):
    """Draw one layer's probabilities and decisions between the edges; returns the picture."""
    shares = np.array([decision["probabilities"][layer] for decision in decisions]).T
    heights = np.arange(len(widths) + 1) - 0.5
    picture = axes.pcolormesh(edges, heights, shares, cmap="Blues", vmin=0, vmax=1)
    chosen = [
        np.nan if found is None else widths.index(found[layer])
        for found in (decision["configuration"] for decision in decisions)
    ]
    red = {"color": "tab:red", "linewidth": 1.5, "antialiased": False}
    axes.stairs(chosen, edges, baseline=None, **red)
    ticks = range(0, len(widths), max(1, len(widths) // 4))
    axes.set_yticks(ticks, [widths[tick] for tick in ticks])
    axes.set_title(f"layer {layer + 1}", fontsize=10)
    return picture


def plot_search_training(lines, path):
    """Draw losses, accuracies and latencies of train_nas.py's results.jsonl; writes a PNG."""
    names = [name for name in PASSES if all(name in line["losses"] for line in lines)]
    aim = "target of its upper bound" if lines[-1].get("confidence") else "target"
    panels = [
        Panel(
            "cross entropy (training)",
            {PASSES[name]: [line["losses"][name] for line in lines] for name in names},
            may_be_log=True,
        ),
        Panel(
            "accuracy (validation, %)",
            {
                "full width": [100 * line["accuracy_full"] for line in lines],
                "best configuration": [100 * line["accuracy"] for line in lines],
            },
        ),
        Panel(
            "latency (ms per image)",
            {
                "best configuration, predicted": [line["latency_ms"] for line in lines],
                aim: [line["target_ms"] for line in lines],
            },
            aims=(aim,),
        ),
    ]
    plot_curves([line["epoch"] for line in lines], panels, path)
