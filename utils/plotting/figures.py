"""What all pictures share: a figure without global state, and a file written whole."""

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from utils.records import atomic_write


def new_figure(width, height):
    """Return an empty figure of a size in inches."""
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def save_figure(figure, path):
    """Write a figure as PNG, whole or not at all; `path` may also be a binary file."""
    if hasattr(path, "write"):
        figure.savefig(path, format="png", dpi=130)
        return
    with atomic_write(path) as file:
        figure.savefig(file, format="png", dpi=130)
