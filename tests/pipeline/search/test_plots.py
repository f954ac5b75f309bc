"""Oracle: the pictures' own pixels, read back with Pillow, or what stands in the figure."""

import numpy as np
import pytest
from PIL import Image

from nas.answer import Answer
from nas.constraint import Constraint
from nas.exact.pareto import Front
from nas.search_space import SearchSpace
from pipeline.search import plots
from pipeline.search.comparison import Answers, NamedAnswer
from pipeline.search.plots import plot_front, plot_probabilities, plot_score_check, plot_widths

SPACE = SearchSpace(input_size=32, classes=10)


def has_colour(path, rgb, tolerance=40):
    pixels = np.asarray(Image.open(path).convert("RGB")).astype(int)
    return bool((np.abs(pixels - rgb).sum(axis=2) < tolerance).any())


@pytest.fixture
def figures(monkeypatch):
    """The figures that are drawn, kept instead of saved."""
    kept = []
    monkeypatch.setattr(plots, "save_figure", lambda figure, path: kept.append(figure))
    return kept


def names_of(axes):
    return [text.get_text() for text in axes.get_legend().get_texts()]


def decision(progress):
    probabilities = [[1.0] + [0.0] * (len(widths) - 1) for widths in SPACE.choices]
    return {
        "progress": progress,
        "temperature": 10 ** -(1 + progress),
        "configuration": list(SPACE.largest),
        "probabilities": probabilities,
    }


def test_every_configuration_has_its_line(tmp_path):
    path = tmp_path / "widths.png"
    plot_widths({"a": SPACE.largest, "b": SPACE.smallest}, SPACE, path)
    assert has_colour(path, (31, 119, 180))  # first colour of matplotlib's cycle
    assert has_colour(path, (255, 127, 14))  # second
    plot_widths({"a": SPACE.largest}, SPACE, path)
    assert not has_colour(path, (255, 127, 14))


def test_probabilities_and_decisions_are_drawn(tmp_path):
    path = tmp_path / "probabilities.png"
    plot_probabilities([decision(step / 4) for step in range(8)], SPACE, path)
    assert has_colour(path, (8, 48, 107))  # probability 1 in the colour map
    assert has_colour(path, (214, 39, 40))  # the decisions
    plot_probabilities([decision(1.0)], SPACE, path)  # a single decision is drawn too
    assert has_colour(path, (8, 48, 107))


def test_steps_without_a_configuration_are_left_out(figures):
    """Oracle: the heights of the decisions, NaN where none is drawn, and the words of the title."""
    decisions = [decision(step / 4) | {"configuration": None} for step in range(8)]
    for several in (decisions, [decision(0), *decisions[1:]], [decision(0)]):
        plot_probabilities(several, SPACE, "probabilities.png")
    missing = [np.isnan(figure.axes[0].patches[0].get_data().values) for figure in figures]
    assert [each.sum() for each in missing] == [8, 7, 0]
    assert not missing[1][0]
    titles = [figure.get_suptitle() for figure in figures]
    assert "none was found at 8 of 8 steps" in titles[0]
    assert "7 of 8" in titles[1]
    assert "none was found" not in titles[2]


def test_equal_configurations_share_a_line_and_none_hides_another(figures):
    """Oracle: the widths by hand; a line over another one is narrower."""
    almost = (*SPACE.largest[:-1], SPACE.smallest[-1])
    answers = {"a": SPACE.largest, "b": almost, "c": list(SPACE.largest), "d": SPACE.smallest}
    plot_widths(answers, SPACE, "widths.png")
    (axes,) = figures[0].axes
    assert names_of(axes) == ["a = c", "b", "d"]
    lines = [line for line in axes.lines if not line.get_label().startswith("_")]
    drawn = [np.round(line.get_ydata() * SPACE.description.base_widths).tolist() for line in lines]
    assert drawn == [list(SPACE.largest), list(almost), list(SPACE.smallest)]
    widths = [line.get_linewidth() for line in lines]
    assert widths[0] > widths[1] > widths[2] > 1


def test_the_front_names_every_answer_outside_of_the_points(figures):
    front = Front(None, np.array([-3.0, -2.0]), np.array([1.0, 2.0]), np.zeros(2), True)
    answer = Answer((), -2.5, (1.5,))
    found = Answers(
        searched=(
            NamedAnswer("OWS", answer), NamedAnswer("greedy", None), NamedAnswer("uniform", answer),
        ),
        random=(answer, answer),
        evaluated=(NamedAnswer("verified", answer),),
    )  # fmt: skip
    plot_front(front, found, Constraint([], 1.7), 6, "pareto.png")
    figure = figures[0]
    (axes,) = figure.axes
    expected = ["Pareto-optimal", "target 1.7 ms", "OWS", "uniform", "random", "verified"]
    assert names_of(axes) == expected
    assert [len(points.get_offsets()) for points in axes.collections] == [1, 1, 2, 1]
    first, *others = (points.get_sizes()[0] for points in axes.collections)
    assert first > 2 * max(others)  # stays visible under any other at the same place
    assert "full width" not in axes.get_ylabel()
    figure.draw_without_rendering()
    assert axes.get_legend().get_window_extent().y0 >= axes.get_window_extent().y1


def test_the_check_of_the_score_states_its_interval(figures):
    plot_score_check([-2, -1, 0], [0.1, 0.3, 0.2], 0.5, (-0.25, 0.875), 6, "score_check.png")
    assert "correlation 0.50 (90 % interval -0.25 to 0.88)" in figures[0].axes[0].get_title()


@pytest.mark.parametrize(
    ("progress", "edges"),
    [([3.0, 5.75], [3, 5.75, 6]), ([3.5], [3.5, 4]), ([1, 1.5, 2, 2.5], [1, 1.5, 2, 2.5, 3])],
)
def test_each_decision_is_one_column_and_the_last_ends_with_its_epoch(figures, progress, edges):
    decisions = [decision(each) for each in progress]
    if len(decisions) > 1:
        decisions[1]["configuration"] = list(SPACE.smallest)
    plot_probabilities(decisions, SPACE, "probabilities.png")
    layers = len(SPACE.choices)
    for layer, axes in enumerate(figures[0].axes[:layers]):
        (chosen,) = axes.patches
        expected = [SPACE.choices[layer].index(each["configuration"][layer]) for each in decisions]
        assert chosen.get_data().values.tolist() == expected
        assert chosen.get_data().edges.tolist() == edges
        assert axes.get_xlim() == pytest.approx((edges[0], edges[-1]))
    (temperatures,) = figures[0].axes[layers].patches
    assert temperatures.get_data().values.tolist() == [each["temperature"] for each in decisions]
