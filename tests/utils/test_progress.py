"""Progress bars in log files."""

import contextlib
import io
import re
from pathlib import Path

from utils import progress
from utils.progress import progress_bar

ROOT = Path(__file__).parents[2]


def test_a_log_gets_one_line_at_the_end(capsys):
    for _ in progress_bar(range(500), "epoch 1", leave=False, mininterval=0, miniters=1):
        pass
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("epoch 1: 100%")
    assert "500/500" in line


def test_a_slow_bar_gets_a_line_per_interval(capsys, monkeypatch):
    """Oracle: counting; a clock that goes on ten seconds with every image."""
    clock = iter(range(0, 10**6, 10))
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(clock))
    bar = progress_bar(total=9)
    for _ in range(9):
        bar.refresh()  # a line each 30 seconds: at every third
    assert len(capsys.readouterr().err.splitlines()) == 3


def test_a_bar_that_is_not_due_prints_nothing(capsys):
    for _ in progress_bar(range(3), delay=60):
        pass
    assert capsys.readouterr().err == ""


def test_a_terminal_has_a_bar_that_is_redrawn():
    terminal = io.StringIO()
    terminal.isatty = lambda: True
    with contextlib.redirect_stderr(terminal):
        for _ in progress_bar(range(3), leave=False):
            pass
    assert "\r" in terminal.getvalue()


def test_all_bars_are_made_in_one_place():
    """Oracle: the sources."""
    scripts = [*ROOT.glob("*.py")]
    folders = ("benchmarks", "models", "nas", "utils")
    sources = scripts + [path for folder in folders for path in ROOT.glob(f"{folder}/**/*.py")]
    calling = [path.name for path in sources if re.search(r"\btqdm\(", path.read_text())]
    assert calling == ["progress.py"]
