"""Pictures of a training run: panels of curves over the epochs."""

from dataclasses import dataclass

import numpy as np
from matplotlib.ticker import MaxNLocator

from utils.figures import legend_above, new_figure, save_figure

LOG_SPAN = 30  # greatest value / least value above which an axis may be logarithmic


@dataclass(frozen=True)
class Panel:
    """Curves that share an axis."""

    label: str  # of the axis, with its unit
    curves: dict[str, list[float]]  # name -> one value per epoch
    aims: tuple[str, ...] = ()  # names of curves that are drawn as goals
    may_be_log: bool = False  # whether the axis is logarithmic if a few values would hide the rest


def plot_curves(epochs, panels, path):
    """Draw panels side by side, each with a legend above it; writes a PNG."""
    figure = new_figure(4.6 * len(panels), 4)
    marker = "o" if len(epochs) <= 25 else ""  # a single epoch would be invisible without
    for axes, panel in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels, strict=True):
        for name, values in panel.curves.items():
            aim = {"color": "black", "linestyle": "--", "zorder": 1} if name in panel.aims else {}
            axes.plot(epochs, values, label=name, marker=marker, markersize=4, **aim)
        values = np.concatenate(list(panel.curves.values()))
        if panel.may_be_log and 0 < LOG_SPAN * np.nanmin(values) < np.nanmax(values):
            axes.set_yscale("log")
        if len(epochs) == 1:
            axes.set_xticks(epochs)
        else:
            axes.xaxis.set_major_locator(MaxNLocator("auto", integer=True))
        axes.set_xlabel("epochs trained")
        axes.set_ylabel(panel.label)
        axes.grid(color="0.92")
        legend_above(axes)
    save_figure(figure, path)
