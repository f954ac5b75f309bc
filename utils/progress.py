"""Progress bars, and lines above them: the one place that draws bars."""

import contextlib
import io
import sys
import time

from tqdm import tqdm

from utils.processes import rank

INTERVAL_S = 30  # between two lines of a bar where no terminal redraws it


def progress_bar(*args, **kwargs):
    """Return a tqdm with these arguments; in a log file it prints lines, one every INTERVAL_S.

    tqdm.write prints above it.
    """
    if sys.stderr.isatty() or kwargs.get("disable"):
        return tqdm(*args, **kwargs)
    lines = {"file": _Lines(sys.stderr), "leave": True, "position": 0, "mininterval": INTERVAL_S}
    return tqdm(*args, **kwargs | lines)


def warn(message):
    """Write a warning above the progress bars; bytes that are not text are escaped."""
    text = message.encode(errors="backslashreplace").decode()
    tqdm.write(f"warning: {text}", file=sys.stderr)


def warn_from_any(message):
    """Write a warning from any of the processes that train together, silent ones too."""
    with contextlib.redirect_stderr(sys.stderr if rank() == 0 else sys.__stderr__):
        warn(message)


def warn_first(message):
    """Write a warning from the first of the processes that train together only."""
    if rank() == 0:
        warn(message)


class _Lines(io.TextIOBase):
    """Writes what a bar draws to a stream, as lines: one every INTERVAL_S, and one at its end."""

    def __init__(self, stream):
        self._stream = stream
        self._drawn = ""
        self._written_at = time.monotonic()

    @property
    def encoding(self):
        """Return the stream's: without UTF-8, tqdm draws in ASCII."""
        return self._stream.encoding

    def write(self, text):
        """Take what is drawn after a carriage return, or a line feed at the bar's end."""
        if text.strip():
            self._drawn = text.strip()
        is_due = time.monotonic() - self._written_at >= INTERVAL_S
        if self._drawn and (is_due or text == "\n"):
            self._stream.write(f"{self._drawn}\n")
            self._drawn, self._written_at = "", time.monotonic()
        return len(text)

    def flush(self):
        """Flush the stream, unless it has been closed before this object is deleted."""
        if not self._stream.closed:
            self._stream.flush()
