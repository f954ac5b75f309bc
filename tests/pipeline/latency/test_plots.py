import subprocess
import sys

import matplotlib as mpl
import numpy as np
import pytest
from PIL import Image

from nas.latency_table import LatencyTable
from nas.search_space import SearchSpace
from nas.validation.conformal import Interval
from nas.width_steps import WidthCosts
from pipeline.latency import plots, plots_of_fit
from pipeline.latency.plots import (
    COLOURS,
    distinct_layers,
    draw_layer,
    layer_name,
    plot_correlation,
    plot_coverage,
    plot_latency_table,
    plot_width_costs,
)
from pipeline.latency.plots_of_fit import plot_cross_validation
from utils.figures import new_figure, save_figure
from utils.metadata import Metadata


def is_a_picture(path):
    with Image.open(path) as image:
        pixels = np.asarray(image.convert("L"))
    return min(pixels.shape) > 300 and np.ptp(pixels) > 200


@pytest.fixture
def figures(monkeypatch):
    """The figures that are drawn, kept instead of saved."""
    kept = []
    for module in (plots, plots_of_fit):
        monkeypatch.setattr(module, "save_figure", lambda figure, path: kept.append(figure))
    return kept


def test_correlation_plot_is_written_with_and_without_a_band(tmp_path):
    rng = np.random.default_rng(0)
    measured_ms = rng.uniform(5, 15, 50)
    predicted_ms = measured_ms * rng.normal(1, 0.03, 50)
    plot_correlation(predicted_ms, measured_ms, tmp_path / "plain.png", "cpu, float32")
    plot_correlation(
        predicted_ms, measured_ms, tmp_path / "band.png", "cpu, float32",
        Interval(level=0.9, half_width=0.05, residuals=100),
    )  # fmt: skip
    plot_correlation([2.0], [2.0], tmp_path / "one.png", "one network")
    for name in ("plain", "band", "one"):
        assert is_a_picture(tmp_path / f"{name}.png")


def test_names_are_drawn_letter_by_letter(tmp_path):
    """Read as mathematics, none of these could be drawn."""
    name = r"a $5 chip, $\frac$"
    figure = new_figure(4, 4)
    axes = figure.subplots()
    axes.set(title=name, xlabel=name, ylabel=name, xscale="log")
    axes.plot([1, 100], [1, 2], label=name)
    axes.legend()
    figure.legend(title=name)
    figure.suptitle(name)
    save_figure(figure, tmp_path / "plot.png")
    assert is_a_picture(tmp_path / "plot.png")
    assert all(label.get_parse_math() for label in axes.get_xticklabels())  # powers of ten


def test_latency_table_plot_is_written(tmp_path):
    space = SearchSpace(input_size=32, classes=10, levels=3)
    table = LatencyTable({variable: 0.5 for variable in space.variables})
    plot_latency_table(table, space, tmp_path / "table.png")
    assert is_a_picture(tmp_path / "table.png")


def test_each_distinct_layer_is_drawn_once():
    """Oracle: MobileNet-v1's table; layers 8 to 12 are alike on the 14×14 map."""
    space = SearchSpace()
    runs = distinct_layers(space)
    assert [first for first, _ in runs] == [0, 1, 2, 3, 4, 5, 6, 7, 12, 13, 14]
    assert layer_name(space, 7, 11) == "layers 8 to 12: 14×14"
    assert layer_name(space, 2, 2) == "layer 3: 112×112, stride 2"
    assert layer_name(space, 14, 14) == "classifier"


def test_heat_map_shows_inputs_down_and_outputs_across():
    space = SearchSpace(input_size=32, classes=10, levels=3)
    values_ms = np.array([float(v.in_channels) for v in space.variables])
    axes = new_figure(4, 4).subplots()
    draw_layer(axes, space, 4, values_ms)
    shown = np.asarray(axes.images[0].get_array())
    inputs, outputs = space.choices[3], space.choices[4]
    np.testing.assert_array_equal(shown, np.repeat(np.array(inputs)[:, None], len(outputs), 1))
    assert [label.get_text() for label in axes.get_yticklabels()] == [str(w) for w in inputs]
    assert [label.get_text() for label in axes.get_xticklabels()] == [str(w) for w in outputs]


def test_counts_have_whole_ticks(figures):
    """Oracle: the counts themselves, 0 and 1 in one layer, up to 5000 in the others."""
    space = SearchSpace(input_size=32, classes=10, levels=3)
    counts = np.full(len(space.variables), 5000)
    counts[space.blocks[0]] = [[0, 1, 1]]
    plot_coverage(counts, space, "coverage.png")
    figure = figures[0]
    figure.draw_without_rendering()
    bars = [axes for axes in figure.axes if axes.get_label() == "<colorbar>"]
    ticks = [[text.get_text() for text in bar.get_yticklabels()] for bar in bars]
    assert ticks[0] == ["0", "1"]
    assert all(tick.isdigit() for each in ticks for tick in each)
    assert "5000" in ticks[1]


def width_costs(kinds):
    """The costs of a table where a layer of each kind has one such step."""
    space = SearchSpace(input_size=32, classes=10, levels=5)
    jumps = {"faster": -3, "free": -0.95, "cliff": 2}
    values_ms = np.array([0.01 * v.out_channels for v in space.variables])
    for layer, kind in enumerate(kinds, start=4):
        step_ms = 0.01 * np.diff(space.choices[layer])[1]
        values_ms[space.blocks[layer][:, 2:]] += jumps[kind] * step_ms
    return WidthCosts(values_ms, space)


@pytest.mark.parametrize("kinds", [(), ("cliff",), ("free", "cliff"), ("cliff", "faster", "free")])
def test_the_legend_names_the_steps_that_there_are(figures, kinds):
    costs = width_costs(kinds)
    assert {step.kind for step in costs.notable_steps()} == set(kinds)
    plot_width_costs(costs, "costs.png")
    drawn = {line.get_color() for axes in figures[0].axes for line in axes.lines}
    named = {line.get_color() for legend in figures[0].legends for line in legend.get_lines()}
    assert named == drawn & set(COLOURS.values()) == {COLOURS[kind] for kind in kinds}


def test_the_label_of_the_costs_is_beside_all_ticks(figures):
    plot_width_costs(width_costs(()), "costs.png")
    figure = figures[0]
    figure.draw_without_rendering()
    (label,) = (text for text in figure.texts if "added latency" in text.get_text())
    ticks = [text for axes in figure.axes[:14] for text in axes.get_yticklabels()]
    assert label.get_window_extent().x0 >= 0
    assert label.get_window_extent().x1 < min(text.get_window_extent().x0 for text in ticks)


def test_each_panel_of_the_cross_validation_has_its_own_scale(figures):
    """Oracle: errors that span 1 % over R, nothing over K and 40 % over the samples."""
    errors = {(100.0, 1.0): 0.04, (100.0, 10.0): 0.03, (1.0, 10.0): 0.03}
    names = ("regularize", "strength", "nrmse", "standard_error")
    trials = [dict(zip(names, (*pair, e, 0.001), strict=True)) for pair, e in errors.items()]
    best = trials[1] | {"trials": trials, "folds": 5, "flat_within": 0.01}
    best |= {"flat_regularize": [1.0, 100.0], "flat_strength": [10.0, 10.0]}
    few = {"samples": 9, "nrmse": 0.43, "standard_error": 0.001}
    curve = [few, few | {"samples": 99, "nrmse": 0.03}]
    fit = Metadata().stating_of_fit(cross_validation=best, learning_curve=curve).fit
    plot_cross_validation(fit, "fit.png")
    figure = figures[0]
    figure.draw_without_rendering()
    for axes, (low, high) in zip(figure.axes, [(2.9, 4.1), (2.9, 3.1), (2.9, 43.1)], strict=True):
        bottom, top = axes.get_ylim()
        assert bottom < low < high < top
        assert top - bottom < 1.2 * (high - low)
    labels = [axes.get_xlabel().partition(", at ")[2] for axes in figure.axes]
    assert labels == ["K = 100", "R = 10", ""]
    for axes in figure.axes[:2]:
        assert axes.get_legend().get_window_extent().y0 >= axes.get_window_extent().y1


def test_pictures_need_no_solver():
    """CVXPY takes a second to import; whoever draws or searches does not fit."""
    modules = "pipeline.latency.page, pipeline.latency.plots_of_fit, pipeline.search.plots, demo"
    check = f"import sys, {modules}; print('cvxpy' in sys.modules)"
    command = [sys.executable, "-c", check]
    assert subprocess.run(command, check=True, capture_output=True).stdout.strip() == b"False"


def test_plots_leave_the_global_backend_alone(tmp_path):
    before = dict(mpl.rcParams)
    plot_correlation([1.0, 2.0], [1.0, 2.1], tmp_path / "plot.png", "title")
    assert dict(mpl.rcParams) == before


def test_a_folder_that_is_a_file_is_an_os_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="file"):
        plot_correlation([1.0, 2.0], [1.0, 2.1], tmp_path / "file" / "plot.png", "title")
