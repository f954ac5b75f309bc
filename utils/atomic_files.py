"""Files that are written whole or not at all, and what a kill in between leaves behind."""

import fcntl
import os
import re
import stat
import tempfile
from contextlib import contextmanager, suppress
from pathlib import Path

SUFFIX = ".aows-part"  # of a file that is being written: .<name>.<random><SUFFIX>
OWN = {"/dev/stdout": 1, "/dev/stderr": 2}
DESCRIPTORS = ("/dev/fd/", "/dev/std", "/proc/")  # where a process's open files appear


@contextmanager
def atomic_write(path, mode="wb"):
    """Open a file for writing that replaces `path` only once it is complete and on the disk.

    Anything but a regular file, such as a pipe or /dev/null, is written to directly.
    """
    encoding = None if "b" in mode else "utf-8"
    try:
        if is_special(path):
            with open_special(path, mode, encoding) as file:
                yield file
            return
        with whole_file(path) as new, open(new, mode, encoding=encoding) as file:
            yield file
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from None


@contextmanager
def whole_file(path):
    """Yield the path of a new, empty file, which replaces `path` when the block is left.

    It is on the disk by then; on an exception it is removed. A link is followed, and an existing
    file's permissions are kept. What a killed writer of the same file left is removed.
    """
    target = Path(os.path.realpath(path))
    target.parent.mkdir(parents=True, exist_ok=True)
    _remove_abandoned(target.parent, f".{target.name}.")
    handle, new = _locked_file_beside(target)
    try:
        yield Path(new)
        os.fsync(handle)
        os.chmod(new, _permissions(target))
        os.replace(new, target)
    finally:
        os.close(handle)
        Path(new).unlink(missing_ok=True)


def is_special(path):
    """Return whether a path can only be written to: a device, a pipe, /dev/stdout."""
    if str(path).startswith(DESCRIPTORS):
        return True
    try:
        kind = os.stat(path).st_mode
    except FileNotFoundError:
        return False
    return not (stat.S_ISREG(kind) or stat.S_ISDIR(kind))


def own_descriptor(path):
    """Return the number of the open file of this process that a path names; None for any other."""
    named = re.fullmatch(r"/(?:dev|proc/self)/fd/(\d+)", str(path))
    return int(named[1]) if named else OWN.get(str(path))


def open_special(path, mode="wb", encoding=None, buffering=-1):
    """Open what is_special for writing, as `open` does.

    An open file of this process is shared: opened anew, one that the shell redirects to would lose
    what it holds, and be written over from its start.
    """
    number = own_descriptor(path)
    target = path if number is None else os.dup(number)
    return open(target, mode, encoding=encoding, buffering=buffering)


def _locked_file_beside(target):
    """Return (descriptor, path) of a new file, locked while it is open."""
    while True:
        handle, path = tempfile.mkstemp(SUFFIX, f".{target.name}.", target.parent)
        with suppress(OSError):  # a file system without locks: nobody takes it for abandoned
            fcntl.flock(handle, fcntl.LOCK_EX)
        if os.fstat(handle).st_nlink:
            return handle, path
        os.close(handle)  # it was taken for abandoned before it was locked


def _permissions(target):
    try:
        return stat.S_IMODE(os.stat(target).st_mode)
    except FileNotFoundError:
        return 0o644


def remove_leftovers(folder):
    """Remove from a folder what killed writers left; files that are being written stay."""
    if os.path.isdir(folder):
        _remove_abandoned(folder, ".")


def _remove_abandoned(folder, prefix):
    for entry in os.scandir(folder):
        if entry.name.startswith(prefix) and entry.name.endswith(SUFFIX):
            with suppress(OSError), open(entry.path, "rb") as file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # its writer would hold it
                os.unlink(entry.path)
