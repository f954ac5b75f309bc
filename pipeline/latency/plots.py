"""Pictures of latency tables and of their predictions; every latency is in ms per image."""

import matplotlib as mpl
import numpy as np
from matplotlib.ticker import MaxNLocator

from nas.validation.prediction_errors import errors_by_thirds, prediction_errors
from utils.figures import new_figure, new_grid, save_figure
from utils.formatting import percent

COLOURS = {"faster": "tab:green", "free": "tab:cyan", "cliff": "tab:red"}  # of notable steps
MEANINGS = {  # of the kinds of notable steps
    "faster": "wider is faster",
    "free": "nearly free",
    "cliff": "a cliff",
}


def plot_correlation(predicted_ms, measured_ms, path, title, interval=None, kinds=None):
    """Draw measured against predicted latency, with the identity line and the errors.

    predicted_ms, measured_ms: (networks,) in ms per image
    interval: the nas.validation.conformal.Interval of the predictions, drawn as a band, or None
    kinds: {name: mask of the networks that it names}, drawn in other colours
    """
    predicted_ms, measured_ms = np.asarray(predicted_ms), np.asarray(measured_ms)
    errors = prediction_errors(predicted_ms, measured_ms)
    both = np.concatenate([predicted_ms, measured_ms])
    margin = 0.04 * (np.ptp(both) or both.mean())
    limits = np.array([max(0.0, both.min() - margin), both.max() + margin])

    figure = new_figure(6, 6.3)
    axes = figure.subplots()
    if interval is not None:
        inside = interval.coverage(predicted_ms, measured_ms)
        label = f"{interval.name}, {percent(inside)} % are inside"
        along = np.linspace(max(limits[0], 1e-3 * limits[1]), limits[1], 200)
        bounds = interval.bounds(along)
        axes.fill_between(along, *bounds, color="tab:orange", alpha=0.25, lw=0, label=label)
    axes.plot(limits, limits, color="0.3", linewidth=1, label="identity")
    networks = f"{errors.networks} network{'s' if errors.networks > 1 else ''}"
    axes.scatter(predicted_ms, measured_ms, s=18, color="tab:blue", alpha=0.65, lw=0,
                 label=networks, zorder=3)  # fmt: skip
    for (name, mask), colour in zip((kinds or {}).items(), ("tab:red", "tab:green"), strict=False):
        axes.scatter(predicted_ms[mask], measured_ms[mask], s=18, color=colour, lw=0,
                     label=name, zorder=4)  # fmt: skip
    axes.set(xlim=limits, ylim=limits, aspect="equal")
    axes.set_xlabel("predicted latency (ms per image)")
    axes.set_ylabel("measured latency (ms per image)")
    rank = f"rank correlation {errors.rank_correlation:.3f}"
    thirds = errors_by_thirds(predicted_ms, measured_ms)
    by_thirds = " / ".join("–" if t.networks == 0 else f"{100 * t.rms:.1f}" for t in thirds)
    relative = f"relative error from the fastest to the slowest third: {by_thirds} %"
    heading = f"{title}\nNRMSE {percent(errors.nrmse)} %, {rank}\n{relative}"
    axes.set_title(heading, fontsize=10)
    axes.grid(color="0.92")
    axes.set_axisbelow(True)
    axes.legend(loc="upper left", frameon=False)
    save_figure(figure, path)


def plot_latency_table(table, space, path):
    """Draw a latency table as heat maps in ms per image, one per distinct layer."""
    values_ms = table.values(space)
    title = "Latency table, ms per image"
    hint = "single entries are not identifiable; their sums along a network are"
    figure, panels = layer_grid(space, f"{title}\n({hint})")
    for axes, layer in panels:
        draw_layer(axes, space, layer, values_ms)
    save_figure(figure, path)


def layer_grid(space, title):
    """Return a figure and its (axes, position of the layer) pairs, one per distinct layer."""
    layers = distinct_layers(space)
    figure, grid = new_grid(len(layers), 3, cell=(4.2, 3.7), gaps=(0.22, 0.35), title=title)
    panels = []
    for axes, (first, last) in zip(grid, layers, strict=True):
        axes.set_title(layer_name(space, first, last), fontsize=10)
        panels.append((axes, first))
    return figure, panels


def distinct_layers(space):
    """Return (first, last) positions of the runs of neighbouring layers that share a block."""
    runs = []
    for layer, block in enumerate(space.blocks):
        if runs and np.array_equal(block, space.blocks[runs[-1][0]]):
            runs[-1] = (runs[-1][0], layer)
        else:
            runs.append((layer, layer))
    return runs


def layer_name(space, first, last):
    """Return the title of a run of layers, counted from 1, with its map and stride."""
    if first == len(space.blocks) - 1:
        return "classifier"
    height, width = space.layer_types[first].in_size
    stride = space.layer_types[first].stride
    name = f"layer {first + 1}" if first == last else f"layers {first + 1} to {last + 1}"
    return f"{name}: {height}×{width}" + (f", stride {stride}" if stride > 1 else "")


def draw_layer(axes, space, layer, values, bar_format="%.3g", bar_ticks=None, **colours):
    """Draw the heat map of one layer with its own colour bar: inputs down, outputs across.

    values: one number per variable of the space; bar_format, bar_ticks: as for Figure.colorbar;
    colours: as for Axes.imshow
    """
    block = space.blocks[layer]
    image = axes.imshow(values[block], origin="lower", aspect="auto", **colours)
    bar = axes.figure.colorbar(image, ax=axes, pad=0.02, format=bar_format, ticks=bar_ticks)
    bar.ax.tick_params(labelsize=7)
    for axis, indices, name in (
        (axes.xaxis, [space.variables[i].out_channels for i in block[0]], "out"),
        (axes.yaxis, [space.variables[i].in_channels for i in block[:, 0]], "in"),
    ):
        axis.set_ticks(range(len(indices)), [str(channels) for channels in indices])
        axis.set_label_text(f"{name} channels", fontsize=8)
    axes.tick_params(axis="both", labelsize=7)
    axes.tick_params(axis="x", rotation=90 if len(block[0]) > 8 else 0)


def plot_width_costs(costs, path):
    """Draw per layer what each width adds to a network's latency, notable steps in colour.

    costs: a nas.width_steps.WidthCosts; the legend names the kinds of steps that it has
    """
    title = "What each width adds to a network's latency"
    figure, grid = new_grid(
        len(costs.curves_ms), 4, cell=(3.1, 2.5), gaps=(0.16, 0.32), title=title
    )
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
        axes.xaxis.set_major_locator(MaxNLocator("auto", integer=True))
        axes.tick_params(labelsize=7)
        axes.grid(color="0.93")
        axes.set_axisbelow(True)
    kinds = [kind for kind in MEANINGS if kind in notable.values()]
    lines = [mpl.lines.Line2D([], [], color=COLOURS[kind], linewidth=3) for kind in kinds]
    if kinds:
        meanings = [MEANINGS[kind] for kind in kinds]
        place = {"loc": "upper center", "bbox_to_anchor": (0.5, 1 - 0.4 / figure.get_figheight())}
        figure.legend(lines, meanings, ncols=3, frameon=False, **place)
    figure.supxlabel("width (channels)", fontsize=9)
    left = 0.1 / figure.get_figwidth()
    figure.supylabel("added latency (% of the mean network)", fontsize=9, x=left, ha="left")
    save_figure(figure, path)


def plot_coverage(counts, space, path):
    """Draw how many times each variable was sampled, one heat map per distinct layer.

    counts: ints (variables,); a variable that networks hold and that was never seen is red
    """
    colours = mpl.colormaps["Blues"].with_extremes(bad="tab:red")
    seen = np.ma.masked_array(counts, mask=(np.asarray(counts) == 0) & space.occurring)
    figure, panels = layer_grid(space, "How often each variable was sampled")
    for axes, layer in panels:
        most = max(1, seen[space.blocks[layer]].max() or 1)
        whole = {"bar_format": "%d", "bar_ticks": MaxNLocator(integer=True)}
        draw_layer(axes, space, layer, seen, cmap=colours, vmin=0, vmax=most, **whole)
    save_figure(figure, path)
