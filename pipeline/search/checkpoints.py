"""Checkpoints of train_nas.py: how far training is, the network, and the search's statistics."""

from dataclasses import dataclass, field, fields

import msgspec
import numpy as np
from tqdm import tqdm

from models.supernet import SandwichLosses
from utils import checkpoints
from utils.errors import UserError
from utils.formatting import as_typed
from utils.json_types import Finite, Natural, Positive
from utils.processes import rank
from utils.progress import warn

WINDOWS = "windows/"
LOSSES = sorted(each.name for each in fields(SandwichLosses))


@dataclass(frozen=True)
class Position:
    """How far training is: whole epochs, and steps of the epoch after them."""

    epoch: int = 0
    step: int = 0
    loss_sums: dict = field(default_factory=dict)  # name of a pass -> sum of its steps' mean losses


class Values(msgspec.Struct, frozen=True):
    """The JSON values of a checkpoint."""

    epoch: Natural
    step: Natural
    loss_sums: dict[str, Finite]
    search_space: dict
    batch_size: Positive
    seed: Natural
    AOWS: bool
    limits: list[tuple[Finite, str]]
    framework: str = "mxnet"


def save(options, net, search, position):
    """Write the checkpoint of a position; of the older ones --keep less one are left.

    Of processes that train together the first one does.
    """
    if rank():
        return
    values = Values(
        epoch=position.epoch,
        step=position.step,
        loss_sums=position.loss_sums,
        search_space=search.space.as_dict(),
        batch_size=options.batch_size,
        seed=options.seed,
        AOWS=options.AOWS,
        limits=_limits(search),
        framework=options.framework,
    )
    windows = {WINDOWS + name: array for name, array in search.to_arrays().items()}
    path = checkpoints.checkpoint_path(options.expname, position.epoch, position.step)
    checkpoints.save(path, net.to_arrays() | windows, msgspec.to_builtins(values))
    checkpoints.keep_newest(options.expname, options.keep)


def load(options, search):
    """Load the statistics of the checkpoint to resume from into the search, if there is one.

    Returns (Position, a function that loads the rest into a network).
    """
    path = options.resume
    if options.resume_last and not path:
        path = checkpoints.latest(options.expname)
        if not path:
            tqdm.write(f"there is no checkpoint in {options.expname}: training starts at epoch 1")
    if not path:
        return Position(), lambda net: None
    try:
        arrays, values = _read(path, search)
    except UserError as error:
        previous = options.resume_last and not options.resume and checkpoints.before(path)
        raise UserError(f"{error}; try --resume {previous}" if previous else str(error)) from None
    if values.AOWS and values.limits != _limits(search):
        limits = ", ".join(f"{as_typed(limit)} {unit}" for limit, unit in values.limits)
        warn(
            f"AOWS trained {path} for {limits}, and these limits decided which widths "
            "were trained; train anew for others"
        )
    position = Position(values.epoch, values.step, values.loss_sums)
    for name in ("batch_size", "seed"):
        if position.step and getattr(values, name) != getattr(options, name):
            raise UserError(
                f"{path} is within an epoch of {name} {getattr(values, name)}, not of "
                f"{getattr(options, name)}: other images would follow"
            )
    within = f" and {position.step} steps" if position.step else ""
    tqdm.write(f"continuing after epoch {position.epoch}{within} from {path}")

    def load_network(net):
        if values.framework != options.framework:
            raise UserError(f"{path} was trained with --framework {values.framework}")
        net.load_arrays(arrays, path)

    return position, load_network


def _read(path, search):
    """Return (arrays, Values) of a checkpoint and give the search its windows, all checked."""
    arrays, values = checkpoints.load(path)
    values = checkpoints.typed(values, Values, path, "a checkpoint of train_nas.py")
    if values.search_space != search.space.as_dict():
        raise UserError(f"{path} was trained for another search space: {values.search_space}")
    if values.step and sorted(values.loss_sums) != LOSSES:
        raise UserError(f"{path} is within an epoch, but loss_sums has not {', '.join(LOSSES)}")
    windows = _windows(arrays, search.space, path)
    try:
        search.load_arrays(windows)
    except UserError as error:
        raise UserError(f"{path}: {error}") from None
    return {n: array for n, array in arrays.items() if not n.startswith(WINDOWS)}, values


def _windows(arrays, space, path):
    """Return the arrays of the windows by their names there, of the types and shapes they need."""
    for name in ("window", "counts", "values"):
        if WINDOWS + name not in arrays:
            raise UserError(f"{path} lacks {WINDOWS}{name}")

    def checked(check, name, **expected):
        return check(arrays[WINDOWS + name], WINDOWS + name, path, **expected)

    shape = len(space.sizes), max(space.sizes)
    windows = {
        "window": checked(checkpoints.integers, "window", least=1),
        "counts": checked(checkpoints.integers, "counts", shape=shape),
    }
    kept = int(np.minimum(windows["counts"], windows["window"]).sum())
    windows["values"] = checked(checkpoints.floats, "values", dtype=np.float32, shape=(kept,))
    if WINDOWS + "sums" in arrays:
        windows["sums"] = checked(checkpoints.floats, "sums", dtype=np.float64, shape=shape)
    return windows


def _limits(search):
    return [(constraint.limit, constraint.unit) for constraint in search.constraints]
