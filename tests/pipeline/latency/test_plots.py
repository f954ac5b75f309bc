import matplotlib as mpl
import numpy as np
import pytest
from PIL import Image

from nas.latency_table import LatencyTable
from nas.search_space import SearchSpace
from nas.validation.conformal import Interval
from pipeline.latency.plots import (
    distinct_layers,
    draw_layer,
    layer_name,
    plot_correlation,
    plot_latency_table,
)
from utils.figures import new_figure, save_figure


def is_a_picture(path):
    with Image.open(path) as image:
        pixels = np.asarray(image.convert("L"))
    return min(pixels.shape) > 300 and np.ptp(pixels) > 200


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


def test_plots_leave_the_global_backend_alone(tmp_path):
    before = dict(mpl.rcParams)
    plot_correlation([1.0, 2.0], [1.0, 2.1], tmp_path / "plot.png", "title")
    assert dict(mpl.rcParams) == before


def test_a_folder_that_is_a_file_is_an_os_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="file"):
        plot_correlation([1.0, 2.0], [1.0, 2.1], tmp_path / "file" / "plot.png", "title")
