"""Ctrl-C at awkward moments, in processes of their own."""

import signal
import subprocess
import sys
import time

import pytest

from utils.interrupts import Interrupts, held_interrupts

START = """
import os, signal, sys, time
from utils.startup import prepare
prepare()
from utils import interrupts
from utils.errors import exits_with_one_line

def press():
    os.kill(os.getpid(), signal.SIGINT)
"""
MOMENTS = {
    "while importing": """
try:
    press()
    time.sleep(60)
except BaseException:  # as some libraries do around their imports
    time.sleep(60)
""",
    "in main": """
@exits_with_one_line
def main():
    press()
    time.sleep(60)
main()
""",
    "as another exception": """
@exits_with_one_line
def main():
    try:
        press()
        time.sleep(60)
    except KeyboardInterrupt:
        raise ImportError("initialization failed") from None
main()
""",
    "where it is swallowed": """
interrupts.PATIENCE_S = 0.1
@exits_with_one_line
def main():
    try:
        press()
        time.sleep(60)
    except BaseException:
        time.sleep(60)
main()
""",
    "in __del__": """
class Deleted:
    def __del__(self):
        press()
        time.sleep(60)
@exits_with_one_line
def main():
    Deleted()
    time.sleep(60)
main()
""",
    "in a call that does not come back": """
import threading
interrupts.PATIENCE_S = 0.1
@exits_with_one_line
def main():
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])  # other threads get it
    threading.Timer(0.2, press).start()
    time.sleep(60)
main()
""",
    "after main": """
exits_with_one_line(lambda: None)()
press()
time.sleep(60)
""",
}


@pytest.mark.parametrize("moment", MOMENTS.values(), ids=MOMENTS)
def test_an_interrupt_is_one_line_and_a_status(moment):
    """Oracle: the shells' status of an interrupted process."""
    done = subprocess.run(
        [sys.executable, "-c", START + moment],
        check=False,
        capture_output=True,
        text=True,
        timeout=50,
    )
    assert (done.returncode, done.stderr) == (130, "interrupted\n")


def test_interrupts_are_held_until_the_end_of_a_block():
    """Oracle: what was done before the exception; a spawned process that is not interrupted."""
    code = "import os, signal, time; os.kill(os.getpid(), signal.SIGINT); time.sleep(0.1)"
    done = []
    with pytest.raises(KeyboardInterrupt), held_interrupts():
        signal.raise_signal(signal.SIGINT)
        done.append(subprocess.run([sys.executable, "-c", code], check=False).returncode)
    assert done == [0]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_everything_is_as_before_after_a_main():
    """Oracle: Python's own handler and hook; a second interrupt, which kills nothing."""
    hook = sys.unraisablehook
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt), Interrupts():
            raise KeyboardInterrupt
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert sys.unraisablehook is hook
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)
        time.sleep(1)


def test_an_ignored_interrupt_stays_ignored():
    """As in what a shell's script starts in the background. Oracle: the line that is printed."""
    code = "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN)" + START
    code += "exits_with_one_line(lambda: (press(), print('done')))()"
    done = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=50
    )
    assert done.stdout == "done\n"
