"""Pictures of a latency table's page: the cost of widths per layer, the coverage of variables."""

import matplotlib as mpl
import numpy as np

from utils.figures import new_grid, save_figure
from utils.plotting.latency import draw_layer, layer_grid

COLOURS = {"faster": "tab:green", "free": "tab:cyan", "cliff": "tab:red"}
MEANINGS = {
    "faster": "wider is faster",
    "free": "nearly free step",
    "cliff": "a cliff",
}


def plot_width_costs(costs, path):
    """Draw per layer what each width adds to a network's latency, notable steps in colour.

    costs: a nas.width_steps.WidthCosts
    """
    figure, grid = new_grid(len(costs.curves_ms), 4, cell=(3.1, 2.5), gaps=(0.16, 0.32))
    notable = {(step.layer, step.narrow): step.kind for step in costs.notable_steps()}
    for layer, axes in enumerate(grid):
        widths = costs.space.choices[layer]
        shares = 100 * costs.curves_ms[layer] / costs.mean_ms
        axes.plot(widths, shares, ".-", color="0.55", linewidth=1)
        for i in range(len(widths) - 1):
            kind = notable.get((layer + 1, widths[i]))
            if kind:
                axes.plot(widths[i : i + 2], shares[i : i + 2], color=COLOURS[kind], linewidth=3)
        axes.set_title(f"layer {layer + 1}", fontsize=9)
        axes.tick_params(labelsize=7)
        axes.grid(color="0.93")
        axes.set_axisbelow(True)
    legend = [mpl.lines.Line2D([], [], color=COLOURS[kind], linewidth=3) for kind in MEANINGS]
    figure.legend(legend, MEANINGS.values(), loc="upper center", ncols=3, frameon=False)
    figure.supxlabel("width (channels)", fontsize=9)
    figure.supylabel("added latency (% of the mean network)", fontsize=9)
    save_figure(figure, path)


def plot_coverage(counts, space, path):
    """Draw how often each variable was sampled, one heat map per distinct layer.

    counts: ints (variables,); a variable never seen is red
    """
    colours = mpl.colormaps["Blues"].with_extremes(bad="tab:red")
    seen = np.ma.masked_equal(np.asarray(counts), 0)
    figure, panels = layer_grid(space, "How often each variable was sampled")
    for axes, layer in panels:
        most = max(1, seen[space.blocks[layer]].max() or 1)
        draw_layer(axes, space, layer, seen, cmap=colours, vmin=0, vmax=most)
    save_figure(figure, path)
