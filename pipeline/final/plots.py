"""The picture of a training from scratch."""

import math

from pipeline.final.files import CURVES, RESULTS
from utils.curves import Panel, plot_curves
from utils.json_lines import read_lines


def draw_curves(folder):
    """Draw curves.png of the results.jsonl in a folder, unless no epoch has been trained."""
    results = folder / RESULTS
    if results.stat().st_size:
        plot_final_training([line for _, line in read_lines(results)], folder / CURVES)


def plot_final_training(lines, path):
    """Draw losses, accuracies and learning rate of train_final.py's results.jsonl; writes a PNG."""

    def curves(names, factor=1):
        """Return the curves {label: values} of {label: name of a value}, if any line has it."""
        return {
            label: [factor * line.get(name, math.nan) for line in lines]
            for label, name in names.items()
            if any(name in line for line in lines)
        }

    losses = {
        "training, with its targets": "train_loss",
        "validation, cross entropy": "val_loss",
        "validation, averaged weights": "averaged_val_loss",
    }
    accuracies = {
        "top-1": "val_top1",
        "top-5": "val_top5",
        "top-1, averaged weights": "averaged_val_top1",
    }
    panels = [
        Panel("loss", curves(losses), may_be_log=True),
        Panel("accuracy (validation, %)", curves(accuracies, 100)),
        Panel("learning rate", curves({"at the end of the epoch": "learning_rate"})),
    ]
    plot_curves([line["epoch"] for line in lines], panels, path)
