"""What every script sets up before its imports, which take seconds: printing and interrupts."""

import os
import signal
import sys

INTERRUPTED = 130  # what shells give a process that SIGINT ended


def prepare():
    """Let Ctrl-C end this process in one line from now on, and let it print on any terminal.

    Characters that the terminal lacks are written as \\xd7.
    """
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, end_at_once)
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # closed by whoever started the process
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115
        getattr(sys, name).reconfigure(errors="backslashreplace")


def end_at_once(*_):
    """Say that the process is interrupted, and end it: a signal handler."""
    os.write(2, b"interrupted\n")  # sys.stderr may be in the middle of a write
    os._exit(INTERRUPTED)
