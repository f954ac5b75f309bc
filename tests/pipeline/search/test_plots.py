"""Oracle: the pictures' own pixels, read back with Pillow."""

import numpy as np
from matplotlib.figure import Figure
from PIL import Image

from nas.search_space import SearchSpace
from pipeline.search.plots import plot_probabilities, plot_widths

SPACE = SearchSpace(input_size=32, classes=10)


def has_colour(path, rgb, tolerance=40):
    pixels = np.asarray(Image.open(path).convert("RGB")).astype(int)
    return bool((np.abs(pixels - rgb).sum(axis=2) < tolerance).any())


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


def test_steps_without_a_configuration_are_left_out(tmp_path, monkeypatch):
    """Oracle: the red of a decision, and the words of the title."""
    titles = []
    monkeypatch.setattr(Figure, "suptitle", lambda self, text: titles.append(text))
    decisions = [decision(step / 4) | {"configuration": None} for step in range(8)]
    plot_probabilities(decisions, SPACE, tmp_path / "none.png")
    assert not has_colour(tmp_path / "none.png", (214, 39, 40))
    plot_probabilities([decision(0), *decisions[1:]], SPACE, tmp_path / "some.png")
    assert ["none was found at 8 of 8 steps" in titles[0], "7 of 8" in titles[1]] == [True, True]
    plot_probabilities([decision(0)], SPACE, tmp_path / "all.png")
    assert "none was found" not in titles[2]
