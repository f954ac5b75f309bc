"""Pictures of a search: the widths it chose, and what AOWS drew while it trained."""

import numpy as np

from utils.plotting.figures import new_figure, save_figure


def plot_widths(configurations, space, path):
    """Draw the width of each layer, relative to the widest, of several configurations.

    configurations: name -> one width per layer. Writes a PNG.
    """
    figure = new_figure(9, 4)
    axes = figure.subplots()
    layers = np.arange(1, len(space.choices) + 1)
    base = np.array(space.base_widths)
    for layer, widths in zip(layers, space.choices, strict=True):
        heights = np.array(widths) / base[layer - 1]
        axes.plot(np.full(len(widths), layer), heights, ".", color="0.8", zorder=0)
    for name, configuration in configurations.items():
        axes.step(layers, np.array(configuration) / base, where="mid", label=name, linewidth=2)
    axes.set_xticks(layers)
    axes.set_xlabel("layer")
    axes.set_ylabel("width / MobileNet-v1's width")
    axes.set_ylim(bottom=0)
    axes.grid(axis="y", color="0.92")
    axes.legend(frameon=False)
    save_figure(figure, path)


def plot_probabilities(decisions, space, path):
    """Draw the sampling probabilities of every layer over training, and the decisions.

    decisions: dictionaries as in aows.jsonl: "progress" in epochs, "probabilities" (one list per
    layer), "configuration", "temperature", "latency_ms", "target_ms". Writes a PNG.
    """
    progress = np.array([decision["progress"] for decision in decisions])
    span = progress[-1] - progress[0]
    edges = np.append(progress, progress[-1] + (span / len(progress) or 0.1))
    layers = len(space.choices)
    columns = 5
    rows = -(-(layers + 1) // columns)
    figure = new_figure(3 * columns, 2.2 * rows)
    panels = figure.subplots(rows, columns, sharex=True).ravel()
    for layer, (axes, widths) in enumerate(zip(panels, space.choices, strict=False)):
        shares = np.array([decision["probabilities"][layer] for decision in decisions]).T
        picture = axes.pcolormesh(
            edges, np.arange(len(widths) + 1) - 0.5, shares, cmap="Blues", vmin=0, vmax=1
        )
        chosen = [widths.index(decision["configuration"][layer]) for decision in decisions]
        axes.plot(progress, chosen, color="tab:red", linewidth=1.5, antialiased=False)
        ticks = range(0, len(widths), max(1, len(widths) // 4))
        axes.set_yticks(ticks, [widths[tick] for tick in ticks])
        axes.set_title(f"layer {layer + 1}", fontsize=10)
    last = panels[layers]
    last.semilogy(progress, [decision["temperature"] for decision in decisions], color="black")
    last.set_title("temperature τ", fontsize=10)
    for axes in panels[layers + 1 :]:
        axes.set_axis_off()
    figure.colorbar(picture, ax=list(panels), label="probability", shrink=0.4)
    figure.suptitle("AOWS: sampling probability of each width; red: the best configuration")
    figure.supxlabel("epochs trained")
    figure.supylabel("width (channels)")
    save_figure(figure, path)
