"""Checkpoints: named arrays and JSON values in one .npz file. Loading one never runs code."""

import io
import json
import re
import zipfile
from pathlib import Path

import numpy as np

from utils.atomic_files import atomic_write
from utils.user_error import UserError, first_line

VALUES = "values"
ARRAYS = "arrays/"


def checkpoint_path(folder, epoch, step=0):
    """Return the path of the checkpoint after `epoch` epochs and `step` steps of the next one."""
    within = f"-{step:06d}" if step else ""
    return Path(folder) / f"checkpoint-{epoch:04d}{within}.npz"


def latest(folder):
    """Return the path of a folder's most advanced checkpoint, None if it has none."""
    paths = list(_by_progress(folder).values())
    return paths[-1] if paths else None


def later(folder, epoch, step):
    """Return the paths of a folder's checkpoints beyond this epoch and step, in order."""
    return [path for progress, path in _by_progress(folder).items() if progress > (epoch, step)]


def before(path):
    """Return the path of the checkpoint before this one in its folder, None if it is the first."""
    paths = list(_by_progress(path.parent).values())
    return paths[paths.index(path) - 1] if path in paths[1:] else None


def keep_newest(folder, count):
    """Remove all but the `count` most advanced of a folder's checkpoints."""
    for path in list(_by_progress(folder).values())[:-count]:
        path.unlink()


def _by_progress(folder):
    """Return {(epoch, step): path} of a folder's checkpoints, in order."""
    found = {}
    for path in Path(folder).glob("checkpoint-*.npz"):
        numbers = re.fullmatch(r"checkpoint-(\d+)(?:-(\d+))?\.npz", path.name)
        if numbers:
            found[int(numbers[1]), int(numbers[2] or 0)] = path
    return dict(sorted(found.items()))


def refuse_not_finite(arrays, path):
    """Raise UserError, before a path is written, if one of {name: array} holds NaN or infinity."""
    for name, array in arrays.items():
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            raise UserError(
                f"{path} is not written, as {name} holds numbers that are not finite: the training "
                "diverged. Continue from the file before it with a lower --lr"
            )


def save(path, arrays, values):
    """Write a checkpoint, whole or not at all: a full disk leaves the last good one in its place.

    arrays: {name: array of numbers, bools or strings}
    values: anything that JSON can hold
    Raises TypeError for anything that would need pickle, OSError if the file cannot be written.
    """
    arrays = {name: np.asarray(array) for name, array in arrays.items()}
    for name, array in arrays.items():
        if array.dtype.hasobject:
            raise TypeError(f"array {name!r} holds Python objects, which a checkpoint must not")
    text = json.dumps(values)
    content = io.BytesIO()  # zipfile complains on standard error when a real file is full
    np.savez(content, **{VALUES: text}, **{ARRAYS + name: a for name, a in arrays.items()})
    with atomic_write(path) as file:
        file.write(content.getbuffer())


def load(path):
    """Return (arrays, values) of a checkpoint: {name: array} and the JSON values.

    Arrays have this machine's byte order. The caller checks that they and the values are what it
    expects, by `utils.json_types.checked`, `floats` and `integers`.
    Raises UserError that names a file that is missing, truncated or not a checkpoint; OSError if
    it cannot be read. Nothing in the file is executed: arrays that would need pickle are refused.
    """
    if not Path(path).is_file():
        raise UserError(f"{path} is not a file: expected a checkpoint")
    content = Path(path).read_bytes()
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            members = {name: _read_array(archive, name) for name in archive.namelist()}
        values = json.loads(str(members.pop(f"{VALUES}.npy")))
    except MemoryError:
        raise
    # Whatever the decoders of zip, npy and JSON raise for invalid bytes.
    except Exception as error:
        raise UserError(f"{path} is not a checkpoint or is damaged ({first_line(error)})") from None
    return {_array_name(member): array for member, array in members.items()}, values


def _read_array(archive, member):
    with archive.open(member) as file:
        array = np.lib.format.read_array(file, allow_pickle=False)
    return array.astype(array.dtype.newbyteorder("="), copy=False)


def _array_name(member):
    return member.removeprefix(ARRAYS).removesuffix(".npy")


def floats(array, name, path, dtype=None, shape=None):
    """Return an array of floating-point numbers; UserError that names the path and the array.

    dtype: of the result, None for the array's own; shape: the expected one, None for any
    Raises UserError unless the numbers are finite in that dtype and have that shape.
    """
    _check(array, "f", name, path, shape)
    if array.dtype.itemsize > 8:  # long double, which no framework has
        raise UserError(f"{path}: {name} holds {array.dtype}")
    with np.errstate(over="ignore"):  # too large becomes infinite, and is refused
        array = array.astype(dtype or array.dtype, copy=False)
    if not np.isfinite(array).all():
        raise UserError(f"{path}: {name} holds numbers that are not finite")
    return array


def integers(array, name, path, shape=(), least=0):
    """Return an array of whole numbers as int64; UserError that names the path and the array.

    Raises UserError unless all are at least `least` and the shape is as expected.
    """
    _check(array, "iu", name, path, shape)
    if (array < least).any() or (array > np.iinfo(np.int64).max).any():
        raise UserError(f"{path}: {name} holds a number out of range, expected at least {least}")
    return array.astype(np.int64, copy=False)


def _check(array, kinds, name, path, shape):
    if array.dtype.kind not in kinds:
        expected = "floating-point" if kinds == "f" else "whole"
        raise UserError(f"{path}: {name} holds {array.dtype}, expected {expected} numbers")
    if shape is not None and array.shape != shape:
        raise UserError(f"{path}: {name} has shape {array.shape}, expected {shape}")
