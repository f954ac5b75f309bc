"""results.jsonl: lines of an earlier run are cut where a resumed run begins; its curves."""

import json

import pytest
from PIL import Image

from pipeline.final.plots import draw_curves
from pipeline.final.results import Result, forget_epochs_after
from utils.errors import UserError


def line(epoch, *averaged):
    """Return the line of an epoch; averaged: its scores of averaged weights."""
    result = Result(epoch, (8,) * 14, 1.0, 1.1, 0.5, 0.9, 0.1, 100.0, 2.0, *averaged)
    return json.dumps(result.as_line()) + "\n"


@pytest.mark.parametrize(("done", "kept"), [(0, 0), (1, 1), (2, 2), (9, 3)])
def test_later_epochs_are_cut(tmp_path, done, kept):
    """Oracle: the lines that were written."""
    path = tmp_path / "results.jsonl"
    lines = [line(epoch) for epoch in (1, 2, 3)]
    path.write_text("".join(lines))
    forget_epochs_after(done, path)
    assert path.read_text() == "".join(lines[:kept])


@pytest.mark.parametrize("foreign", ['{"epoch": 1}\n', "text\n", "3\n"])
def test_a_foreign_file_is_not_touched(tmp_path, foreign):
    """Oracle: the bytes from before; file and line are in the message."""
    path = tmp_path / "results.jsonl"
    path.write_text(line(1) + foreign)
    with pytest.raises(UserError, match=r"results\.jsonl, line 2"):
        forget_epochs_after(5, path)
    assert path.read_text() == line(1) + foreign


def test_curves_are_drawn_from_the_file(tmp_path):
    """Oracle: a picture as wide as its panels; without an epoch there is none, and no error."""
    (tmp_path / "results.jsonl").write_text("")
    draw_curves(tmp_path)
    assert not (tmp_path / "curves.png").exists()
    # A run that was resumed without averages has them in some lines only.
    (tmp_path / "results.jsonl").write_text(line(1) + line(2, 0.9, 0.6, 0.95))
    draw_curves(tmp_path)
    assert Image.open(tmp_path / "curves.png").size[0] > 1000
