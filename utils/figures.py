"""What all pictures share: a figure without global state, and a file written whole."""

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from utils.atomic_files import atomic_write


def new_figure(width, height, layout="constrained"):
    """Return an empty figure of a size in inches; layout as for Figure."""
    figure = Figure(figsize=(width, height), layout=layout)
    FigureCanvasAgg(figure)
    return figure


def new_grid(count, columns, cell, gaps, title):
    """Return (figure, axes) of `count` small panels under a title, in a margin of an inch.

    cell: (width, height) of a panel with its labels in inches; gaps: (between columns, between
    rows) as shares of a panel. Laid out by hand, which takes half the time if there are many
    labels.
    """
    rows = -(-count // columns)
    width, height = cell[0] * columns, cell[1] * rows + 0.5
    figure = new_figure(width, height, layout=None)
    figure.subplots_adjust(
        left=0.75 / width,
        right=1 - 0.2 / width,
        bottom=0.6 / height,
        top=1 - 1.0 / height,
        wspace=gaps[0],
        hspace=gaps[1],
    )
    figure.suptitle(title, fontsize=13, y=1 - 0.15 / height)
    grid = figure.subplots(rows, columns, squeeze=False).ravel()
    for axes in grid[count:]:
        axes.axis("off")
    return figure, grid[:count]


def legend_above(axes, columns=1):
    """Put the legend above the axes, where it hides nothing."""
    axes.legend(frameon=False, loc="lower left", bbox_to_anchor=(0, 1), ncols=columns, fontsize=9)


def save_figure(figure, path):
    """Write a figure as PNG, whole or not at all; `path` may also be a binary file.

    Titles, labels and legends are drawn literally: a name may hold a dollar sign.
    """
    for text in _texts(figure):
        text.set_parse_math(False)  # ticks keep theirs, for powers of ten
    if hasattr(path, "write"):
        figure.savefig(path, format="png", dpi=130)
        return
    with atomic_write(path) as file:
        figure.savefig(file, format="png", dpi=130)


def _texts(figure):
    legends = list(figure.legends)
    yield from figure.texts
    for axes in figure.axes:
        yield from (axes.title, axes.xaxis.label, axes.yaxis.label, *axes.texts)
        if axes.get_legend():
            legends.append(axes.get_legend())
    for legend in legends:
        yield from (legend.get_title(), *legend.get_texts())
