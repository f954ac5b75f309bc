"""Oracle: the axes and curves of the figure itself, caught before it is written."""

import numpy as np
import pytest
from PIL import Image

from pipeline.final.plots import plot_final_training
from pipeline.search.plots import plot_search_training
from utils import curves as training
from utils.curves import Panel, plot_curves


@pytest.fixture
def drawn(monkeypatch):
    """Return the list that figures end in; they are written as well."""
    figures, save = [], training.save_figure

    def catch(figure, path):
        figures.append(figure)
        save(figure, path)

    monkeypatch.setattr(training, "save_figure", catch)
    return figures


def curves(axes):
    """Return {name: [(x, y), …]} of the lines of a panel."""
    return {line.get_label(): line.get_xydata().tolist() for line in axes.lines}


def search_line(epoch):
    losses = {"full": 2 / epoch, "random": 3 / epoch, "soft_smallest": 4 / epoch, "soft_random": 1}
    return {
        "epoch": epoch,
        "losses": losses,
        "accuracy_full": 0.2 * epoch,
        "accuracy": 0.1 * epoch,
        "latency_ms": 0.05 - 0.01 * epoch,
        "target_ms": 0.05,
    }


def test_the_training_of_a_search_is_drawn(drawn, tmp_path):
    plot_search_training([search_line(1), search_line(2)], tmp_path / "curves.png")
    losses, accuracies, latencies = drawn[0].axes
    assert curves(losses)["full width"] == [[1, 2], [2, 1]]
    assert curves(losses)["smallest widths, soft labels"] == [[1, 4], [2, 2]]
    assert len(curves(losses)) == 4
    assert curves(accuracies) == {
        "full width": [[1, 20], [2, 40]],
        "best configuration": [[1, 10], [2, 20]],
    }
    assert curves(latencies)["target"] == [[1, 0.05], [2, 0.05]]
    assert latencies.get_ylabel() == "latency (ms per image)"
    assert {line.get_linestyle() for line in latencies.lines} == {"-", "--"}
    assert np.asarray(Image.open(tmp_path / "curves.png")).shape[1] > 1000


def test_the_training_of_the_final_network_is_drawn(drawn, tmp_path):
    line = {
        "epoch": 1, "train_loss": 2.0, "val_loss": 1.5, "val_top1": 0.5, "val_top5": 0.75,
        "learning_rate": 0.1,
    }  # fmt: skip
    plot_final_training([line, line | {"epoch": 2, "val_loss": 1.0}], tmp_path / "curves.png")
    losses, accuracies, rate = drawn[0].axes
    assert curves(losses) == {
        "training, with its targets": [[1, 2], [2, 2]],
        "validation, cross entropy": [[1, 1.5], [2, 1]],
    }
    assert curves(accuracies) == {"top-1": [[1, 50], [2, 50]], "top-5": [[1, 75], [2, 75]]}
    assert list(curves(rate).values()) == [[[1, 0.1], [2, 0.1]]]


@pytest.mark.parametrize(
    ("values", "may_be_log", "scale"),
    [
        ([200.0, 1.0], True, "log"),
        ([200.0, 1.0], False, "linear"),
        ([20.0, 1.0], True, "linear"),
        ([200.0, 0.0], True, "linear"),  # 0 has no place on a logarithmic axis
        ([200.0, -1.0], True, "linear"),
    ],
)
def test_an_outlier_does_not_hide_the_other_losses(drawn, tmp_path, values, may_be_log, scale):
    panel = Panel("loss", {"a": values}, may_be_log=may_be_log)
    plot_curves([1, 2], [panel], tmp_path / "curves.png")
    assert drawn[0].axes[0].get_yscale() == scale


@pytest.mark.parametrize("epochs", [1, 3, 200])
def test_epochs_are_whole_numbers_and_every_curve_is_visible(drawn, tmp_path, epochs):
    panel = Panel("loss", {"a": np.linspace(2, 1, epochs)})
    plot_curves(list(range(1, epochs + 1)), [panel], tmp_path / "curves.png")
    (axes,) = drawn[0].axes
    assert all(float(tick).is_integer() for tick in axes.get_xticks())
    assert epochs > 1 or axes.lines[0].get_marker() == "o"


def test_no_legend_covers_a_curve(drawn, tmp_path):
    """Oracle: the boxes of the legend and of the axes, as they were drawn."""
    plot_search_training([search_line(1), search_line(2)], tmp_path / "curves.png")
    for axes in drawn[0].axes:
        assert axes.get_legend().get_window_extent().y0 >= axes.get_window_extent().y1 - 1
        assert axes.get_legend().get_window_extent().x1 <= drawn[0].bbox.x1
