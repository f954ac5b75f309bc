"""Files written whole: through links, into pipes, with their permissions; leftovers are removed."""

import os
import stat
import subprocess
import sys
import threading

import pytest

from utils.atomic_files import SUFFIX, atomic_write, is_special, remove_leftovers


def write(path, text="new"):
    with atomic_write(path, "w") as file:
        file.write(text)


@pytest.mark.parametrize("exists", [True, False])
def test_a_link_is_followed(tmp_path, exists):
    target, link = tmp_path / "there" / "target", tmp_path / "link"
    target.parent.mkdir()
    if exists:
        target.write_text("old")
    link.symlink_to(target)
    write(link)
    assert link.is_symlink()
    assert target.read_text() == "new"
    assert os.listdir(tmp_path / "there") == ["target"]


@pytest.mark.parametrize("mode", [0o600, 0o664])
def test_permissions_of_an_existing_file_are_kept(tmp_path, mode):
    path = tmp_path / "file"
    path.write_text("old")
    path.chmod(mode)
    write(path)
    assert stat.S_IMODE(path.stat().st_mode) == mode
    write(tmp_path / "new")
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o644


def test_a_pipe_is_written_into(tmp_path):
    path = tmp_path / "pipe"
    os.mkfifo(path)
    read = []
    reader = threading.Thread(target=lambda: read.append(path.read_text()))
    reader.start()
    write(path)
    reader.join()
    assert read == ["new"]
    assert stat.S_ISFIFO(path.stat().st_mode)
    assert os.listdir(tmp_path) == ["pipe"]


def test_devices_and_open_files_are_special(tmp_path):
    assert is_special(os.devnull)
    assert is_special("/dev/stdout")
    assert not is_special(tmp_path)
    assert not is_special(tmp_path / "none")


def killed_writer(path):
    """Let a process begin to write a file, and kill it; returns the name of what it leaves."""
    command = (
        "import os, signal; from utils.atomic_files import atomic_write\n"
        f"with atomic_write({str(path)!r}) as file:\n"
        "    file.write(b'half'); file.flush(); os.kill(os.getpid(), signal.SIGKILL)"
    )
    process = subprocess.run([sys.executable, "-c", command], check=False)
    assert process.returncode == -9
    (left,) = (name for name in os.listdir(path.parent) if name.endswith(SUFFIX))
    return left


def test_what_a_killed_writer_left_is_removed_by_the_next(tmp_path):
    path = tmp_path / "file"
    assert killed_writer(path).startswith(".file.")
    write(path)
    assert os.listdir(tmp_path) == ["file"]
    killed_writer(path)
    remove_leftovers(tmp_path)
    assert path.read_text() == "new"
    assert os.listdir(tmp_path) == ["file"]
    remove_leftovers(tmp_path / "none")


def test_what_is_being_written_stays(tmp_path):
    path = tmp_path / "file"
    (tmp_path / f"a{SUFFIX}").write_text("of another program: it is not hidden")
    with atomic_write(path, "w") as file:
        file.write("first")
        remove_leftovers(tmp_path)
        write(path, "second")
    assert path.read_text() == "first"
    assert sorted(os.listdir(tmp_path)) == [f"a{SUFFIX}", "file"]
