"""A log of lines, on the screen and, with the time, in a file."""

import time
from pathlib import Path

from tqdm import tqdm

from utils.progress import warn


class Log:
    """Appends lines to a file; OSError that names the file if it cannot be written."""

    def __init__(self, path):
        self.path = Path(path)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._file = open(self.path, "ab", buffering=0)  # noqa: SIM115 (closed in __exit__)

    def show(self, line):
        """Write a line to the file and above the progress bars."""
        tqdm.write(line)
        self.note(line)

    def warn(self, line):
        """Write a line to the file and, as a warning, on standard error."""
        warn(line)
        self.note(f"warning: {line}")

    def note(self, line):
        """Write a line to the file only."""
        try:
            line = f"{time.strftime('%Y-%m-%d %H:%M:%S')} {line}\n"
            # Names of files need not be text.
            self._file.write(line.encode(errors="backslashreplace"))
        except OSError as error:
            raise OSError(error.errno, error.strerror, str(self.path)) from None

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self._file.close()
