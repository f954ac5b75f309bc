"""Programs that end with the process that started them, and leave nothing behind."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from utils.guarded_programs import GuardedPrograms

ROOT = str(Path(__file__).resolve().parents[2])
PATIENCE_S = 60
# Starts a child that would outlive it, and tells both ids.
LONG = ["sh", "-c", 'sleep 600 & echo "$$ $!" > "$1/ids"; wait', "_"]


def eventually(holds):
    """Return whether something holds within PATIENCE_S."""
    deadline = time.monotonic() + PATIENCE_S
    while not holds() and time.monotonic() < deadline:
        time.sleep(0.02)
    return holds()


def is_alive(pid):
    """Return whether a process runs; one that has ended but was not waited for does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


def ids_in(folder):
    """Return the process ids that LONG wrote, once it has."""
    file = Path(folder, "ids")
    assert eventually(lambda: file.exists() and len(file.read_text().split()) == 2)
    return [int(number) for number in file.read_text().split()]


def test_what_a_program_printed_and_its_status_are_returned():
    programs = GuardedPrograms()
    ended = programs.run(["sh", "-c", "echo out; echo err >&2; exit 3"], PATIENCE_S)
    assert ended == (3, "out\n", "err\n")
    assert programs.run(["sh", "-c", "kill -9 $$"], PATIENCE_S).status == -9
    programs.close()


def test_closing_removes_the_folder_and_ends_what_programs_left_running():
    programs = GuardedPrograms()
    Path(programs.folder, "file").touch()
    script = 'sleep 600 & echo "$$ $!" > "$1/ids"'
    assert programs.run(["sh", "-c", script, "_", programs.folder], PATIENCE_S).status == 0
    _, left = ids_in(programs.folder)
    assert is_alive(left)
    programs.close()
    assert not os.path.exists(programs.folder)
    assert eventually(lambda: not is_alive(left))


@pytest.mark.parametrize("in_a_group_of_its_own", [[], ["timeout", "600"], ["setsid"]])
def test_a_program_that_takes_too_long_is_ended_with_its_children(
    monkeypatch, tmp_path, in_a_group_of_its_own
):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    programs = GuardedPrograms()
    with pytest.raises(subprocess.TimeoutExpired) as late:
        programs.run([*in_a_group_of_its_own, *LONG, str(tmp_path)], 3)
    assert (late.value.output, late.value.stderr) == ("", "")
    assert eventually(lambda: not any(map(is_alive, ids_in(tmp_path))))
    assert os.listdir(tmp_path) == ["ids"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL, signal.SIGHUP])
def test_nothing_is_left_however_the_process_ends(tmp_path, number):
    """Oracle: the processes' own ids, and the folder for temporary files."""
    code = (
        "import signal, sys; from utils.guarded_programs import GuardedPrograms; "
        "signal.signal(signal.SIGHUP, signal.SIG_DFL); "  # nohup, which ignores it, is inherited
        "GuardedPrograms().run(sys.argv[1:], 600)"
    )
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    process = subprocess.Popen(
        [sys.executable, "-c", code, *LONG, str(tmp_path)],
        env=os.environ | {"TMPDIR": str(temporary), "PYTHONPATH": ROOT},
    )
    ids = ids_in(tmp_path)
    assert len(os.listdir(temporary)) == 1
    process.send_signal(number)
    assert process.wait(PATIENCE_S) == -number
    assert eventually(lambda: not any(map(is_alive, ids)))
    assert eventually(lambda: os.listdir(temporary) == [])
