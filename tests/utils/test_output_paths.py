"""Outputs: none is an input, under whatever name, and none replaces a file of another kind."""

import json
import os

import pytest

from utils.errors import UserError
from utils.output_paths import LOG, PAGE, PICTURE, TABLE, refuse_overwriting

SAMPLE = json.dumps([[8, 16], 1.5, {}]) + "\n"
LINE = json.dumps([{"in_size": [8, 8]}, 1.5]) + "\n"


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "s.jsonl").write_text(SAMPLE)
    (tmp_path / "s.jsonl.meta.json").write_text("{}")
    (tmp_path / "m.jsonl").write_text(LINE)
    (tmp_path / "p.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    (tmp_path / "p.html").write_text("<!DOCTYPE html>")
    (tmp_path / "run.log").write_text("2026-01-01 10:00:00 epoch 1\n")
    os.symlink("s.jsonl", "link")
    os.link("s.jsonl", "hard")
    (tmp_path / "empty").touch()


@pytest.mark.parametrize("output", ["s.jsonl", "./s.jsonl", "link", "hard", "s.jsonl.meta.json"])
def test_an_output_that_is_read_is_refused(output):
    with pytest.raises(UserError, match=r"would be written over s\.jsonl"):
        refuse_overwriting(["s.jsonl"], [(output, None)])


def test_an_input_that_does_not_exist_is_no_output():
    with pytest.raises(UserError, match="would be written over new"):
        refuse_overwriting(["new"], [("new", TABLE)])


@pytest.mark.parametrize("other", ["m.jsonl", "m.jsonl.meta.json"])
def test_a_file_is_not_written_twice(other):
    with pytest.raises(UserError, match="are the same file, but both are written"):
        refuse_overwriting(["s.jsonl"], [("m.jsonl", TABLE), (other, PICTURE)])


@pytest.mark.parametrize(
    ("kind", "suits"), [(TABLE, "m.jsonl"), (PICTURE, "p.png"), (PAGE, "p.html"), (LOG, "run.log")]
)
def test_a_file_of_another_kind_is_refused(kind, suits):
    for path in ("m.jsonl", "s.jsonl", "p.png", "p.html"):
        if path == suits:
            refuse_overwriting([], [(path, kind)])
            continue
        with pytest.raises(
            UserError, match=f"{path} exists and is not a {kind.partition(' (')[0]}"
        ):
            refuse_overwriting([], [(path, kind)])
    refuse_overwriting([], [(suits, kind)])
    refuse_overwriting([], [("empty", kind)])
    refuse_overwriting([], [("none", kind)])
    refuse_overwriting([], [(os.devnull, kind)])
