"""The log of train_final.py."""

import re

import pytest

from utils.log import Log


def test_lines_are_appended_with_the_time(tmp_path, capsys):
    """Oracle: by hand; only shown lines are on the screen."""
    path = tmp_path / "new" / "log"
    for line in ("one", "two"):
        with Log(path) as log:
            log.note(f"noted {line}")
            log.show(f"shown {line}")
    lines = path.read_text().splitlines()
    assert [line[20:] for line in lines] == ["noted one", "shown one", "noted two", "shown two"]
    assert all(re.match(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d ", line) for line in lines)
    assert capsys.readouterr().out == "shown one\nshown two\n"


def test_warnings_are_on_standard_error_and_in_the_file(tmp_path, capsys):
    """Oracle: by hand."""
    with Log(tmp_path / "log") as log:
        log.warn("careful")
    assert capsys.readouterr() == ("", "warning: careful\n")
    assert (tmp_path / "log").read_text().endswith(" warning: careful\n")


def test_a_full_disk_names_the_file():
    """Oracle: /dev/full, which is always full."""
    with Log("/dev/full") as log, pytest.raises(OSError, match="/dev/full"):
        log.note("line")


def test_names_of_files_in_another_encoding_are_escaped(tmp_path):
    """Oracle: the byte that is no UTF-8, as Python writes it."""
    with Log(tmp_path / "log") as log:
        log.note("caf\udce9.onnx")
    assert (tmp_path / "log").read_text().endswith("caf\\udce9.onnx\n")
