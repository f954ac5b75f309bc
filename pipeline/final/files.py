"""The files of train_final.py's epochs: pairs of parameters and optimiser states, by name.

mobilenet-0010.params and .states are those after 10 epochs, mobilenet-best.* of the best epoch. The
states hold a digest of the parameters. A pair is first written under hidden names, then put in its
place: a kill at any moment leaves the pair from before or the new one, and finish_pairs tidies up.
"""

import hashlib
import os
import re
import shutil
from pathlib import Path
from typing import Annotated, Literal, NamedTuple

import msgspec

from utils import checkpoints
from utils.errors import UserError
from utils.json_types import Positive

BEST, RESULTS, CURVES = "best", "results.jsonl", "curves.png"
KINDS = ("params", "states", "onnx")
HIDDEN = re.compile(rf"\.+mobilenet-(\d+|{BEST})\.({'|'.join(KINDS)})(\..*)?")

Share = Annotated[float, msgspec.Meta(ge=0, le=1)]
Digest = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")]  # SHA-256


class Values(msgspec.Struct, frozen=True):
    """What a states file tells beside its arrays."""

    epoch: Positive
    val_top1: Share  # of this epoch
    best_top1: Share  # of all epochs until this one
    configuration: list[Positive]
    framework: Literal["mxnet", "pytorch"]
    parameters: Digest

    @property
    def is_best(self):
        """Whether no epoch before was better."""
        return self.val_top1 == self.best_top1


class Pair(NamedTuple):
    """The paths of parameters and of their states, empty for none, after so many epochs."""

    epoch: int = 0
    params: Path | str = ""
    states: Path | str = ""


def of_epoch(epoch):
    """Return the name of the pair after so many epochs."""
    return f"{epoch:04d}"


def paths(folder, name):
    """Return the paths of a pair's parameters and states."""
    return tuple(Path(folder) / f"mobilenet-{name}.{kind}" for kind in ("params", "states"))


def save(training, folder, name, values):
    """Write a pair from a framework's training; values: those of Values but the digest."""
    params, states = map(_hidden, paths(folder, name))
    try:
        training.save_parameters(params)
        values = values | {"parameters": digest(params)}
        checkpoints.save(states, training.optimiser_arrays(), values)
    except (UserError, OSError):  # the disk is full
        params.unlink(missing_ok=True)
        raise
    _put_in_place(folder, name)


def copy(pair, folder, name):
    """Write a pair under one more name."""
    for source, target in zip(pair[1:], paths(folder, name), strict=True):
        shutil.copyfile(source, _hidden(target))
    _put_in_place(folder, name)


def _hidden(path):
    return path.with_name(f".{path.name}")


def _put_in_place(folder, name):
    """Give a pair that is whole under hidden names its own; an ONNX file of other parameters goes.

    The states come last, for a kill in between.
    """
    params, states = paths(folder, name)
    params.with_suffix(".onnx").unlink(missing_ok=True)
    if _hidden(params).exists():
        os.replace(_hidden(params), params)
    os.replace(_hidden(states), states)


def finish_pairs(folder):
    """Put in its place a pair that a killed run wrote whole; remove what else it left half-done."""
    for path in Path(folder).glob(".mobilenet-*.states"):
        match = HIDDEN.fullmatch(path.name)
        if match and _is_whole_under_hidden_names(folder, match[1]):
            _put_in_place(folder, match[1])
    for path in Path(folder).glob(".*mobilenet-*"):
        if HIDDEN.fullmatch(path.name):
            path.unlink()


def _is_whole_under_hidden_names(folder, name):
    params, states = paths(folder, name)
    try:
        wanted = _load(_hidden(states))[1].parameters
    except UserError:
        return False
    placed = _hidden(params) if _hidden(params).exists() else params
    return placed.exists() and digest(placed) == wanted


def load_states(states, params, wanted=None):
    """Return (arrays, Values) of a states file, whose values must be the wanted ones.

    wanted: {name of a value: value}
    Raises UserError that names what differs, or if the states are of other parameters than params.
    """
    arrays, values = _load(states)
    for name, value in (wanted or {}).items():
        if getattr(values, name) != value:
            raise UserError(f"{states} is of {name} {getattr(values, name)}, not of {value}")
    if not Path(params).exists():
        raise UserError(f"{params} is missing, which {states} belongs to")
    if values.parameters != digest(params):
        raise UserError(f"{states} is of other parameters than those in {params}")
    return arrays, values


def _load(states):
    arrays, values = checkpoints.load(states)
    return arrays, checkpoints.typed(values, Values, states, "a states file of train_final.py")


def newest(folder):
    """Return (Pair, problems): a folder's newest whole pair, Pair() if it has none.

    problems: one line for each pair that is not whole and may be newer
    """
    found, problems = [Pair()], []
    for name in (BEST, *map(of_epoch, reversed(_epochs(folder)))):
        params, states = paths(folder, name)
        if not (params.exists() or states.exists()):
            continue
        try:
            found.append(Pair(load_states(states, params)[1].epoch, params, states))
        except UserError as error:
            problems.append(str(error))
            continue
        if name != BEST:
            break
    return max(found, key=lambda pair: pair.epoch), problems


def epoch_of(folder, name):
    """Return the epoch of a folder's pair of a name, 0 if it has none that is whole."""
    params, states = paths(folder, name)
    try:
        return load_states(states, params)[1].epoch
    except UserError:
        return 0


def is_due(options, epoch):
    """Return whether the options ask for a numbered pair after an epoch."""
    due = options.save_frequency and epoch % options.save_frequency == 0
    return due or epoch == options.num_epochs


def names_after(epoch, folder):
    """Return the names of what a folder has of later epochs, whole or not, but for the best."""
    return [of_epoch(each) for each in _epochs(folder) if each > epoch]


def names_of_best(folder):
    """Return [BEST] if a folder has any of its files."""
    return [BEST] if any(Path(folder).glob(f"mobilenet-{BEST}.*")) else []


def set_aside(names, folder):
    """Move pairs, their ONNX files and the curves into a new folder earlier-N, which is returned.

    results.jsonl is copied: it is locked, and its lines may go on.
    """
    folder = Path(folder)
    numbers = [re.fullmatch(r"earlier-(\d+)", path.name) for path in folder.glob("earlier-*")]
    number = 1 + max((int(match[1]) for match in numbers if match), default=0)
    target = folder / f"earlier-{number}"
    target.mkdir()
    shutil.copyfile(folder / RESULTS, target / RESULTS)
    files = [f"mobilenet-{name}.{kind}" for name in names for kind in KINDS]
    moved = [folder / file for file in (*files, CURVES) if (folder / file).exists()]
    for path in moved:  # all of them, before the first one goes: a kill must not part a pair
        _link(path, target / path.name)
    for path in moved:
        path.unlink()
    return target


def _link(source, target):
    try:
        os.link(source, target)
    except OSError:  # some file systems have no links
        shutil.copyfile(source, target)


def keep_newest(count, folder):
    """Remove all but the newest pairs of a folder and the best, and their ONNX files."""
    for epoch in _epochs(folder)[:-count]:
        for kind in reversed(KINDS):
            (Path(folder) / f"mobilenet-{of_epoch(epoch)}.{kind}").unlink(missing_ok=True)


def _epochs(folder):
    """Return the epochs that a folder has files of, in order."""
    names = (path.name for path in Path(folder).glob("mobilenet-*.*"))
    matches = (re.fullmatch(rf"mobilenet-(\d+)\.({'|'.join(KINDS)})", name) for name in names)
    return sorted({int(match[1]) for match in matches if match})


def digest(path):
    """Return the SHA-256 of a file in hexadecimal digits."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
