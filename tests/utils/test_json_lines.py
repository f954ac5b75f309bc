"""Files of JSON lines: nothing finished is lost, nothing torn is left, nothing is half-written."""

import json
import os
import resource
import subprocess
import sys
import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from utils.errors import UserError
from utils.json_lines import (
    Appender,
    atomic_write,
    metadata_path,
    read_lines,
    read_metadata,
    write_lines,
    write_metadata,
)
from utils.metadata import Metadata

VALUES = st.lists(
    st.one_of(st.lists(st.integers()), st.dictionaries(st.text(), st.floats(allow_nan=False)))
)


def values_of(path):
    return [value for _, value in read_lines(path)]


@given(VALUES.filter(bool), VALUES)
@settings(max_examples=30)
def test_lines_come_back_as_they_went(tmp_path_factory, written, appended):
    path = tmp_path_factory.mktemp("records") / "lines.jsonl"
    write_lines(path, written)
    with Appender(path) as file:
        file.append(appended)
    assert values_of(path) == written + appended


@given(st.integers(0, 200))
@settings(max_examples=60)
def test_a_file_cut_at_any_byte_keeps_its_whole_lines(tmp_path_factory, cut):
    """The oracle counts the lines whose JSON is complete before the cut."""
    path = tmp_path_factory.mktemp("cut") / "lines.jsonl"
    lines = [json.dumps([[i] * 5, i / 7, {"x": "é{["}]) for i in range(5)]
    whole = "".join(line + "\n" for line in lines).encode()
    cut = min(cut, len(whole))
    path.write_bytes(whole[:cut])
    kept = sum(len("\n".join(lines[: i + 1]).encode()) <= cut for i in range(5))
    with Appender(path) as file:
        file.append(["next"])
    assert values_of(path) == [json.loads(line) for line in lines[:kept]] + ["next"]


def test_a_second_writer_is_refused_while_the_first_writes(tmp_path):
    path = tmp_path / "lines.jsonl"
    with Appender(path):
        with pytest.raises(UserError, match=r"lines\.jsonl is being written by another process"):
            Appender(path)
        command = f"from utils.json_lines import Appender; Appender({str(path)!r})"
        other = subprocess.run([sys.executable, "-c", command], capture_output=True, check=False)
        assert b"being written by another process" in other.stderr
    with Appender(path) as file:
        file.append([1])
    assert values_of(path) == [1]


def test_what_was_appended_survives_the_death_of_the_process(tmp_path):
    """A process that appends, synchronised or not, and is killed before it can close the file."""
    path = tmp_path / "lines.jsonl"
    command = (
        "import os, signal; from utils.json_lines import Appender; "
        f"file = Appender({str(path)!r}); file.append([1]); file.append([2], sync=False); "
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    process = subprocess.run([sys.executable, "-c", command], check=False)
    assert process.returncode == -9
    assert values_of(path) == [1, 2]


def test_synchronised_appends_are_forced_to_the_disk(tmp_path, monkeypatch):
    forced = []
    monkeypatch.setattr(os, "fsync", forced.append)
    with Appender(tmp_path / "lines.jsonl") as file:
        file.append([1], sync=False)
        assert not forced
        file.append([2])
        assert len(forced) == 1


def with_full_disk(code):
    """Run code in a process whose files may not exceed 200 bytes; returns its standard error."""
    preamble = "import signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
    process = subprocess.run(
        [sys.executable, "-c", preamble + code],
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (200, 200)),
    )
    assert process.returncode != 0
    return process.stderr


def test_a_full_disk_tears_no_line(tmp_path):
    path = tmp_path / "lines.jsonl"
    stderr = with_full_disk(
        "from utils.json_lines import Appender\n"
        f"file = Appender({str(path)!r})\n"
        "for i in range(9): file.append([['x' * 40, i]])\n"
    )
    assert "File too large" in stderr and str(path) in stderr
    assert values_of(path) == [["x" * 40, i] for i in range(4)]


def test_a_full_disk_leaves_the_old_file_as_it_was(tmp_path):
    path = tmp_path / "lines.jsonl"
    write_lines(path, [["old"]])
    stderr = with_full_disk(
        f"from utils.json_lines import write_lines\nwrite_lines({str(path)!r}, [['x' * 40]] * 9)\n"
    )
    assert "File too large" in stderr
    assert values_of(path) == [["old"]]
    assert os.listdir(tmp_path) == ["lines.jsonl"]


def test_an_exception_leaves_the_old_file_as_it_was(tmp_path):
    path = tmp_path / "file"
    path.write_text("old")
    with pytest.raises(RuntimeError), atomic_write(path, "w") as file:
        file.write("half")
        raise RuntimeError
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["file"]


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"", "is empty"),
        (b'[1]\n{"a":\n', "line 2: not JSON"),
        (b"[1]\n[2]\n[3, 4", "line 3: not JSON"),
        (b"[1]\n\n[2]\n", "line 2: not JSON"),
        (b"\x89PNG\r\n\x1a\n\xff\xff", "line 1: not JSON"),
    ],
)
def test_bad_lines_are_named(tmp_path, content, complaint):
    path = tmp_path / "lines.jsonl"
    path.write_bytes(content)
    with pytest.raises(UserError, match=f"lines.jsonl.*{complaint}"):
        list(read_lines(path))


def test_metadata_come_back_and_are_missed_with_a_warning(tmp_path, capsys):
    path = tmp_path / "lines.jsonl"
    assert read_metadata(path) == Metadata()
    assert capsys.readouterr().err.startswith("warning: ")
    write_metadata(path, Metadata.of({"device": "cpu", "nested": {"a": [1]}}))
    assert read_metadata(path).stated == {"device": "cpu", "nested": {"a": [1]}}
    assert capsys.readouterr().err == ""
    assert metadata_path(path).name == "lines.jsonl.meta.json"


@pytest.mark.parametrize(("text", "complaint"), [("{\n", "line 2: not JSON"), ("[]", "object")])
def test_bad_metadata_are_named(tmp_path, text, complaint):
    path = tmp_path / "lines.jsonl"
    metadata_path(path).write_text(text)
    with pytest.raises(UserError, match=f"lines.jsonl.meta.json.*{complaint}"):
        read_metadata(path)


@pytest.mark.parametrize(
    "content",
    [
        b"export PATH=/usr/bin\nalias ll='ls -l'",
        b"no line end",
        b"[1]\nnot JSON\n",
        b'{\n "a": 1\n}\n',
        b"\x89PNG\r\n\x1a\n\xff\xff",
    ],
)
def test_what_does_not_hold_json_lines_is_left_as_it_is(tmp_path, content):
    path = tmp_path / "file"
    path.write_bytes(content)
    for _ in range(2):  # the refused one holds no lock
        with pytest.raises(UserError, match=r"file(, line \d: not JSON| does not hold JSON lines)"):
            Appender(path)
    assert path.read_bytes() == content


def test_lines_are_appended_into_a_pipe(tmp_path):
    path = tmp_path / "pipe"
    os.mkfifo(path)
    read = []
    reader = threading.Thread(target=lambda: read.append(path.read_text()))
    reader.start()
    with Appender(path) as file:
        file.append([[1], [2]])
        file.append([[3]], sync=False)
    reader.join()
    assert read == ["[1]\n[2]\n[3]\n"]


def test_each_line_is_checked_against_a_type(tmp_path):
    path = tmp_path / "lines.jsonl"
    write_lines(path, [{"epoch": 1}, {"epoch": "2"}])
    with pytest.raises(UserError, match=r"lines\.jsonl, line 2: \[\.\.\.\]: expected `int`"):
        list(read_lines(path, dict[str, int]))


def test_nothing_is_written_beside_a_device(tmp_path):
    path = tmp_path / "pipe"
    os.mkfifo(path)
    write_metadata(path, Metadata.of({"device": "cpu"}))
    assert os.listdir(tmp_path) == ["pipe"]
