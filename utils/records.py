"""Files of JSON lines, with metadata beside them: read, append safely, write at once."""

import fcntl
import json
import os
import tempfile
from contextlib import contextmanager
from pathlib import Path

from utils.errors import UserError
from utils.progress import warn


def read_lines(path):
    """Yield (line number, value) for each line of a file of JSON lines.

    Raises UserError that names the file and line of anything that is not JSON, and for a file
    without a single line; OSError if the file cannot be read.
    """
    number = 0
    with open(path, encoding="utf-8", errors="replace") as file:
        for number, line in enumerate(file, start=1):
            try:
                yield number, json.loads(line)
            except json.JSONDecodeError as error:
                raise UserError(f"{path}, line {number}: not JSON ({error.msg})") from None
    if not number:
        raise UserError(f"{path} is empty")


class Appender:
    """Appends JSON lines to a file so that a kill at any moment loses no finished line.

    Holds an exclusive lock on the file: a second process is refused with a UserError. A last line
    without its line end, which a kill during a write leaves, is cut off when the file is opened,
    unless the line end is all that it lacks.
    """

    def __init__(self, path):
        self.path = Path(path)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._file = open(self.path, "a+b", buffering=0)  # noqa: SIM115 (closed in __exit__)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._file.close()
            raise UserError(f"{path} is being written by another process") from None
        self._mend_last_line()

    def _mend_last_line(self):
        self._file.seek(0)
        content = self._file.read()
        finished = content.rfind(b"\n") + 1
        if _is_whole(content[finished:]):
            self._file.write(b"\n")
        else:
            self._file.truncate(finished)
        self._file.seek(0, os.SEEK_END)

    def append(self, values, sync=True):
        """Append one line per value; all of them are on the disk when this returns.

        Without sync they have left the process, so that a kill loses none; a power cut may.
        """
        data = "".join(json.dumps(value) + "\n" for value in values).encode()
        start = self._file.seek(0, os.SEEK_END)
        try:
            while data:
                data = data[self._file.write(data) :]
            if sync:
                os.fsync(self._file.fileno())
        except OSError as error:  # a full disk: leave no torn line behind
            self._file.truncate(start)
            raise OSError(error.errno, error.strerror, str(self.path)) from None

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self._file.close()


def _is_whole(line):
    """Return whether a line that lacks its line end is a whole JSON array or object."""
    try:
        return isinstance(json.loads(line), list | dict)
    except ValueError:
        return False


@contextmanager
def atomic_write(path, mode="wb"):
    """Open a file for writing that replaces `path` only once it is complete and on the disk."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    encoding = None if "b" in mode else "utf-8"
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, mode, encoding=encoding) as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from None
    finally:
        Path(temporary).unlink(missing_ok=True)


def write_lines(path, values):
    """Write a file of JSON lines, whole or not at all."""
    with atomic_write(path, "w") as file:
        file.writelines(json.dumps(value) + "\n" for value in values)


def metadata_path(path):
    """Return where the metadata of a file stands: <file>.meta.json."""
    return Path(f"{path}.meta.json")


def write_metadata(path, metadata):
    """Write the metadata of a file, a dictionary, whole or not at all."""
    with atomic_write(metadata_path(path), "w") as file:
        json.dump(metadata, file, indent=2)
        file.write("\n")


def read_metadata(path):
    """Return the metadata of a file; an empty dictionary, with a warning, if there is none."""
    try:
        text = metadata_path(path).read_text(encoding="utf-8")
    except FileNotFoundError:
        warn(
            f"{metadata_path(path)} is missing: the search space and the device of "
            f"{path} are not known, the default search space is assumed"
        )
        return {}
    try:
        metadata = json.loads(text)
    except json.JSONDecodeError as error:
        raise UserError(
            f"{metadata_path(path)}, line {error.lineno}: not JSON ({error.msg})"
        ) from None
    if not isinstance(metadata, dict):
        raise UserError(f"{metadata_path(path)} does not hold a JSON object")
    return metadata
