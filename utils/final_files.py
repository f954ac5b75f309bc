"""The files of train_final.py's epochs: pairs of parameters and optimiser states, by name.

mobilenet-0010.params and .states are those after 10 epochs, mobilenet-best.* of the best epoch. The
states hold a digest of the parameters: a kill between the two files leaves a pair that is known to
be none.
"""

import hashlib
import re
from pathlib import Path

from utils import checkpoints
from utils.errors import UserError

BEST = "best"


def of_epoch(epoch):
    """Return the name of the pair after so many epochs."""
    return f"{epoch:04d}"


def paths(folder, name):
    """Return the paths of a pair's parameters and states."""
    return tuple(Path(folder) / f"mobilenet-{name}.{suffix}" for suffix in ("params", "states"))


def save(training, folder, name, values):
    """Write a pair from a framework's training; values: what JSON can hold, into the states."""
    params, states = paths(folder, name)
    training.save_parameters(params)
    digest = {"parameters": _digest(params)}
    checkpoints.save(states, training.optimiser_arrays(), values | digest)


def load_states(states, params, wanted):
    """Return (arrays, values) of a states file, whose values must be the wanted ones.

    Raises UserError that names what differs, or if the states are of other parameters than params.
    """
    arrays, values = checkpoints.load(states)
    for name, value in wanted.items():
        if values.get(name) != value:
            raise UserError(f"{states} is of {name} {values.get(name)}, not of {value}")
    if values.get("parameters") != _digest(params):
        raise UserError(f"{states} is of other parameters than those in {params}")
    return arrays, values


def newest(folder, last_epoch):
    """Return (epoch, params, states) of a folder's newest whole pair; (0, "", "") if it has none.

    last_epoch: later ones are another run's
    """
    found = [(0, "", "")]
    for name in (BEST, *map(of_epoch, _epochs(folder))):
        params, states = paths(folder, name)
        try:
            values = checkpoints.load(states)[1]
            whole = values["parameters"] == _digest(params)
        except (UserError, OSError, KeyError):
            continue
        if whole and values["epoch"] <= last_epoch:
            found.append((values["epoch"], str(params), str(states)))
    return max(found)


def forget_pairs_after(epoch, folder):
    """Remove the pairs of later epochs, but for the best, which an earlier run wrote."""
    _remove(folder, [each for each in _epochs(folder) if each > epoch])


def keep_newest(count, folder):
    """Remove all but the newest pairs of a folder and the best."""
    _remove(folder, _epochs(folder)[:-count])


def _epochs(folder):
    """Return the epochs that a folder has files of, in order."""
    names = (path.name for path in Path(folder).glob("mobilenet-*.*"))
    matches = (re.fullmatch(r"mobilenet-(\d+)\.(params|states)", name) for name in names)
    return sorted({int(match[1]) for match in matches if match})


def _remove(folder, epochs):
    for epoch in epochs:
        for path in reversed(paths(folder, of_epoch(epoch))):  # states without parameters: no pair
            path.unlink(missing_ok=True)


def _digest(path):
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
