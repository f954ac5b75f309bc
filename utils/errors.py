"""How a script ends: a mistake or an interrupt is one line on standard error and an exit status."""

import contextlib
import functools
import os
import select
import sys
import time

from utils.interrupts import Interrupts
from utils.processes import rank
from utils.user_error import UserError

PATIENCE_S = 30  # for torchrun to end this process
FAILED = 2
READER_GONE = 141  # what shells give a process that SIGPIPE ended


def exits_with_one_line(main):
    """Wrap a script's main: UserError, OSError and MemoryError end in one line and status 2.

    Ctrl-C ends in "interrupted" and status 130; an output that nobody reads any more (| head) ends
    silently in status 141. Processes that train together may all meet the same error: the first
    reports it at once; the others wait for torchrun to end them, and report it if it does not.
    """

    @functools.wraps(main)
    def wrapped(*args, **kwargs):
        with Interrupts() as interrupts:
            try:
                result = main(*args, **kwargs)
                sys.stdout.flush()
                if interrupts.seen:  # and lost
                    raise KeyboardInterrupt
            except BaseException as error:
                _end(error, interrupts)
                raise
            return result

    return wrapped


def _end(error, interrupts):
    """End the process with one line if an exception can be reported in one."""
    if interrupts.seen or isinstance(error, KeyboardInterrupt):
        if not rank():
            _report("interrupted")
        _is_unread()
        interrupts.end_process()
    if isinstance(error, SystemExit | BrokenPipeError) and _is_unread():
        sys.exit(READER_GONE)
    if isinstance(error, UserError):
        message = str(error)
    elif isinstance(error, OSError):
        where = f"{error.filename}: " if error.filename else ""
        message = f"{where}{error.strerror or error}"
    elif isinstance(error, MemoryError):
        message = f"not enough memory ({error})" if str(error) else "not enough memory"
    else:
        return
    if rank():
        time.sleep(PATIENCE_S)
    _report(f"error: {message}")
    _is_unread()
    sys.exit(FAILED)


def _report(line):
    with contextlib.suppress(OSError):
        print(line, file=sys.stderr)


def _is_unread():
    """Return whether nobody reads the output; what cannot be written is discarded.

    Otherwise Python would try again at its very end, and print a traceback.
    """
    unread = False
    for stream in (sys.stdout, sys.stderr):
        unread |= _has_lost_its_reader(stream)
        try:
            stream.flush()
        except OSError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
    return unread


def _has_lost_its_reader(stream):
    """Return whether a stream is a pipe that is closed at its other end."""
    poll = select.poll()
    with contextlib.suppress(OSError):  # the stream is not a system file
        poll.register(stream.fileno(), 0)
    return any(event & select.POLLERR for _, event in poll.poll(0))
