"""How scripts end: closed outputs and terminals without the characters."""

import os
import subprocess
import sys

import numpy as np
import pytest

from utils.errors import exits_with_one_line
from utils.user_error import first_line

START = """
import sys
from utils.startup import prepare
prepare()
from utils.errors import UserError, exits_with_one_line
"""
PRINTS = START + "exits_with_one_line(lambda: print('×' * 100_000))()"
HELP = START + "exits_with_one_line(lambda: (print('×'), sys.exit(0)))()"
FAILS = (
    START
    + """
def main():
    raise UserError("3×3 …")
exits_with_one_line(main)()
"""
)


def run(code, **settings):
    return subprocess.run(
        [sys.executable, "-c", code], check=False, stderr=subprocess.PIPE, **settings
    )


@pytest.mark.parametrize("code", [PRINTS, HELP], ids=["print", "help"])
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_closed_pipe_ends_quietly(code, unbuffered):
    """Oracle: the status that shells give a process that SIGPIPE ended."""
    reader, writer = os.pipe()
    os.close(reader)
    done = run(code, stdout=writer, env=os.environ | {"PYTHONUNBUFFERED": unbuffered})
    os.close(writer)
    assert (done.returncode, done.stderr) == (141, b"")


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_any_terminal_shows_every_line(encoding):
    """Oracle: Python's own backslashreplace."""
    env = os.environ | {"PYTHONIOENCODING": encoding}
    printed = run(HELP, stdout=subprocess.PIPE, env=env)
    assert printed.stdout == "×\n".encode(encoding, "backslashreplace")
    failed = run(FAILS, stdout=subprocess.PIPE, env=env)
    assert failed.stderr == "error: 3×3 …\n".encode(encoding, "backslashreplace")
    assert failed.returncode == 2


def test_closed_streams_are_no_error():
    """Oracle: the exit status; the shell closes what Python then has no object for."""
    command = '"$0" -c "$1" >&- 2>&-'
    done = subprocess.run(["bash", "-c", command, sys.executable, HELP], check=False)
    assert done.returncode == 0


def test_lack_of_memory_is_one_line(capsys):
    """Oracle: NumPy's own message of an array that no memory can hold."""
    with pytest.raises(SystemExit) as ended:
        exits_with_one_line(lambda: np.ones(2**48))()
    assert ended.value.code == 2
    assert capsys.readouterr().err.startswith(
        "error: not enough memory (Unable to allocate 2.00 PiB"
    )


@pytest.mark.parametrize(
    ("error", "line"), [(ValueError("one\ntwo"), "one"), (AssertionError(), "AssertionError")]
)
def test_an_exception_is_told_in_one_line(error, line):
    """Oracle: by hand; an exception without a message has its type."""
    assert first_line(error) == line
