"""The files of train_final.py's epochs: pairs of parameters and optimiser states, by name.

mobilenet-0010.params and .states are those after 10 epochs, mobilenet-best.* of the best epoch. The
states hold a digest of the parameters, and the averaged weights if there are any. A pair is first
written under hidden names, then put in its place: a kill at any moment leaves the pair from before
or the new one, and finish_pairs tidies up. What is made of a pair at the end is named after it:
mobilenet-best.onnx and, of averaged weights, mobilenet-best.averaged.params and .averaged.onnx.
"""

import operator
import os
import re
import shutil
from pathlib import Path
from typing import Annotated, Literal, NamedTuple

import msgspec

from networks import MOBILENET_V1
from pipeline.final.supernet import Source
from utils import checkpoints
from utils.digest import Digest, digest
from utils.errors import UserError
from utils.json_types import Positive, checked
from utils.metadata import same_network

BEST, RESULTS, CURVES = "best", "results.jsonl", "curves.png"
EXPORTS = ("onnx", "tflite")
MADE_OF_PAIR = (*EXPORTS, "averaged.params", *(f"averaged.{kind}" for kind in EXPORTS))
KINDS = ("params", "states", *MADE_OF_PAIR)
HIDDEN = re.compile(rf"\.+mobilenet-(\d+|{BEST})\.({'|'.join(KINDS)})(\..*)?")

Share = Annotated[float, msgspec.Meta(ge=0, le=1)]


class Values(msgspec.Struct, frozen=True):
    """What a states file holds beside its arrays."""

    epoch: Positive
    val_top1: Share  # of this epoch
    best_top1: Share  # of all epochs until this one
    configuration: list[Positive]
    framework: Literal["mxnet", "pytorch"]
    parameters: Digest
    network: str = MOBILENET_V1
    network_sha256: Digest | None = None  # of what a FILE.py described; older files lack it
    average: Share | None = None  # decay of averaged weights, None if there are none
    averaged_val_top1: Share | None = None
    from_supernet: Source | None = None

    @property
    def is_best(self):
        """Whether no epoch before was better."""
        return self.val_top1 == self.best_top1


class Pair(NamedTuple):
    """The paths of an epoch's parameters and of their states, empty for none."""

    epoch: int = 0
    params: Path | str = ""
    states: Path | str = ""


def of_epoch(epoch):
    """Return the name of the pair of an epoch."""
    return f"{epoch:04d}"


def paths(folder, name):
    """Return the paths of a pair's parameters and states."""
    return tuple(Path(folder) / f"mobilenet-{name}.{kind}" for kind in ("params", "states"))


def save(training, folder, name, values):
    """Write a pair from a framework's training; values: the fields of Values but the digest."""
    params, states = map(_hidden, paths(folder, name))
    try:
        training.save_parameters(params)
        values = values | {"parameters": digest(params)}
        arrays = training.optimiser_arrays()
        checkpoints.refuse_not_finite(arrays, paths(folder, name)[1])
        checkpoints.save(states, arrays, values)
    except (UserError, OSError):  # the disk is full, or the training diverged
        params.unlink(missing_ok=True)
        raise
    _put_in_place(folder, name)


def copy(pair, folder, name):
    """Write a pair under another name, too."""
    for source, target in zip(pair[1:], paths(folder, name), strict=True):
        shutil.copyfile(source, _hidden(target))
    _put_in_place(folder, name)


def _hidden(path):
    return path.with_name(f".{path.name}")


def _put_in_place(folder, name):
    """Rename a whole pair from its hidden names; remove what was made of other parameters.

    The states come last, in case of a kill in between.
    """
    params, states = paths(folder, name)
    for kind in MADE_OF_PAIR:
        params.with_suffix(f".{kind}").unlink(missing_ok=True)
    if _hidden(params).exists():
        os.replace(_hidden(params), params)
    os.replace(_hidden(states), states)


def finish_pairs(folder):
    """Put a whole pair that a killed run left into place; remove what else it left half-done."""
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
        same = same_network if name == "network" else operator.eq
        if not same(getattr(values, name), value):
            raise UserError(f"{states} is of {name} {getattr(values, name)}, not of {value}")
    if not Path(params).exists():
        raise UserError(f"{params} is missing, which {states} belongs to")
    if values.parameters != digest(params):
        raise UserError(f"{states} is of other parameters than those in {params}")
    return arrays, values


def _load(states):
    arrays, values = checkpoints.load(states)
    return arrays, checked(values, Values, f"{states} is not a states file of train_final.py")


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


def is_due(epoch, frequency, last):
    """Return whether a numbered pair is saved after an epoch.

    frequency: epochs between pairs, 0 for none before the last
    """
    return epoch == last or bool(frequency and epoch % frequency == 0)


def names_after(epoch, folder):
    """Return the names of a folder's pairs of later epochs, whole or not, but not the best."""
    return [of_epoch(each) for each in _epochs(folder) if each > epoch]


def names_of_best(folder):
    """Return [BEST] if a folder has any of its files."""
    return [BEST] if any(Path(folder).glob(f"mobilenet-{BEST}.*")) else []


def set_aside(names, folder):
    """Move pairs, what was made of them and the curves into a new folder earlier-N; return it.

    results.jsonl is copied: it is locked, and may be continued.
    """
    folder = Path(folder)
    numbers = [re.fullmatch(r"earlier-(\d+)", path.name) for path in folder.glob("earlier-*")]
    number = 1 + max((int(match[1]) for match in numbers if match), default=0)
    target = folder / f"earlier-{number}"
    target.mkdir()
    shutil.copyfile(folder / RESULTS, target / RESULTS)
    files = [f"mobilenet-{name}.{kind}" for name in names for kind in KINDS]
    moved = [folder / file for file in (*files, CURVES) if (folder / file).exists()]
    for path in moved:  # all of them, before the first one goes: a kill must not split a pair
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
    """Remove all but the newest pairs of a folder and the best, and what was made of them."""
    for epoch in _epochs(folder)[:-count]:
        for kind in reversed(KINDS):
            (Path(folder) / f"mobilenet-{of_epoch(epoch)}.{kind}").unlink(missing_ok=True)


def _epochs(folder):
    """Return the epochs that a folder has files of, in order."""
    names = (path.name for path in Path(folder).glob("mobilenet-*.*"))
    matches = (re.fullmatch(rf"mobilenet-(\d+)\.({'|'.join(KINDS)})", name) for name in names)
    return sorted({int(match[1]) for match in matches if match})
