"""Files of JSON lines, with metadata beside them: read, append safely, write at once."""

import fcntl
import json
import os
from pathlib import Path

from utils.atomic_files import atomic_write, is_special, open_special
from utils.errors import UserError
from utils.json_types import checked, parse_json
from utils.metadata import Metadata
from utils.progress import warn


def read_lines(path, kind=None):
    """Yield (line number, value) for each line of a file of JSON lines.

    kind: a msgspec type that each value must fit, or None
    Raises UserError that names the file and line of anything that is not JSON or does not fit, and
    for a file without a single line; OSError if the file cannot be read.
    """
    with open(path, "rb") as file:
        yield from parse_lines(file, path, kind)


def parse_lines(lines, path, kind=None):
    """Yield as read_lines does, from the lines of a file as bytes."""
    number = 0
    for number, line in enumerate(lines, start=1):
        value = parse_json(line, path, number)
        if kind is not None:
            checked(value, kind, f"{path}, line {number}")
        yield number, value
    if not number:
        raise UserError(f"{path} is empty")


class Appender:
    """Appends JSON lines to a file so that a kill at any moment loses no finished line.

    Holds an exclusive lock on the file: a second process is refused with a UserError, and so is a
    file that does not hold JSON lines. A last line without a newline, left by a kill during a
    write, is cut off when the file is opened, unless the newline is all that is missing.
    may_be_damaged: other lines may be damaged too, as long as one is whole: the caller mends them.
    Lines for a device or a pipe are written as they come.
    """

    def __init__(self, path, may_be_damaged=False):
        self.path = Path(path)
        self._may_be_damaged = may_be_damaged
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._is_special = is_special(path)
        if self._is_special:
            self._file = open_special(self.path, buffering=0)
            return
        self._file = open(self.path, "a+b", buffering=0)  # noqa: SIM115 (closed in __exit__)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._mend_last_line()
        except BlockingIOError:
            self._file.close()
            raise UserError(f"{path} is being written by another process") from None
        except UserError:
            self._file.close()
            raise

    def _mend_last_line(self):
        self._file.seek(0)
        *lines, last = self._file.read().split(b"\n")
        if not (self._may_be_damaged and any(map(_is_whole, lines))):
            for number, line in enumerate(lines, start=1):
                parse_json(line, self.path, number)
        if _is_whole(last):
            self._file.write(b"\n")
        elif last:
            if not lines and not last.startswith((b"[", b"{")):
                raise UserError(f"{self.path} does not hold JSON lines: nothing is added to it")
            self._file.truncate(sum(len(line) + 1 for line in lines))
        self._file.seek(0, os.SEEK_END)

    def append(self, values, sync=True):
        """Append one line per value; all of them are on the disk when this returns.

        Without sync they have left the process, so that a kill loses none; a power cut may.
        """
        data = "".join(json.dumps(value) + "\n" for value in values).encode()
        start = 0 if self._is_special else self._file.seek(0, os.SEEK_END)
        try:
            while data:
                data = data[self._file.write(data) :]
            if sync and not self._is_special:
                os.fsync(self._file.fileno())
        except OSError as error:  # a full disk: leave no torn line behind
            if not self._is_special:
                self._file.truncate(start)
            raise OSError(error.errno, error.strerror, str(self.path)) from None

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self._file.close()


def _is_whole(line):
    """Return whether a line without a newline is a whole JSON array or object."""
    try:
        return isinstance(json.loads(line), list | dict)
    except (ValueError, RecursionError):
        return False


def write_lines(path, values):
    """Write a file of JSON lines, whole or not at all; returns what was written, bytes."""
    data = "".join(json.dumps(value) + "\n" for value in values).encode()
    with atomic_write(path) as file:
        file.write(data)
    return data


def real_path(path):
    """Return where a file with metadata beside it is: links of folders are followed, not its own.

    Behind a link of a folder, .. is another folder's parent.
    """
    path = Path(path)
    return path.resolve() if is_special(path) else path.parent.resolve() / path.name


def metadata_path(path):
    """Return the path of a file's metadata: <file>.meta.json."""
    return Path(f"{path}.meta.json")


def write_metadata(path, metadata):
    """Write the Metadata of a file, whole or not at all; a device gets none."""
    if is_special(path):
        return
    with atomic_write(metadata_path(path), "w") as file:
        json.dump(metadata.stated, file, indent=2)
        file.write("\n")


def read_metadata(path):
    """Return the Metadata of a file; it is empty, with a warning, if there is none.

    Raises UserError that names the file and the invalid line or field.
    """
    beside = metadata_path(path)
    try:
        data = beside.read_bytes()
    except FileNotFoundError:
        warn(
            f"{beside} is missing: the search space and the device of {path} are not known, the "
            "default search space is assumed"
        )
        return Metadata()
    return Metadata.of(parse_json(data, beside), beside)
