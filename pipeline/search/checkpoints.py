"""Checkpoints of train_nas.py: how far training is, the network, and the search's statistics."""

from dataclasses import dataclass, field, fields
from pathlib import Path

import msgspec
import numpy as np
from tqdm import tqdm

from models.supernet import SandwichLosses
from pipeline.search.initial import Origin, open_initial
from utils import checkpoints
from utils.digest import digest
from utils.errors import UserError
from utils.formatting import as_typed
from utils.json_types import Finite, Natural, Positive, checked
from utils.metadata import first_difference
from utils.processes import rank
from utils.progress import warn

WINDOWS = "windows/"
LOSSES = sorted(each.name for each in fields(SandwichLosses))


@dataclass(frozen=True)
class Position:
    """How far training is: whole epochs, and steps of the epoch after them; where it began."""

    epoch: int = 0
    step: int = 0
    loss_sums: dict = field(default_factory=dict)  # name of a pass -> sum of its steps' mean losses
    origin: Origin | None = None  # of the first weights; None: they were random
    steered_for: list | None = None  # limits for which an earlier run drew widths by AOWS, if any

    def is_after_draws_of(self, schedule):
        """Return whether AOWS's Schedule had a step before this that it does not draw uniformly."""
        last = self.epoch if self.step else self.epoch - 1e-6
        return not schedule.is_warming_up(last)


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
    init: Origin | None = None


def finite_arrays(options, net, position):
    """Return a network's arrays, for a checkpoint; UserError if they are not finite."""
    arrays = net.to_arrays()
    path = checkpoints.checkpoint_path(options.run.expname, position.epoch, position.step)
    checkpoints.refuse_not_finite(arrays, path)
    return arrays


def save(options, arrays, search, position):
    """Write the checkpoint of a position; --keep less one of the older ones are left.

    options: the settings.Options of the run; arrays: the network's finite_arrays
    If several processes train together, the first one writes.
    """
    if rank():
        return
    steered_for, schedule = position.steered_for, options.question.adaptive
    if not steered_for and schedule and position.is_after_draws_of(schedule):
        steered_for = _limits(search)
    values = Values(
        epoch=position.epoch,
        step=position.step,
        loss_sums=position.loss_sums,
        search_space=search.space.as_dict(),
        batch_size=options.schedule.batch_size,
        seed=options.schedule.seed,
        AOWS=bool(steered_for),
        limits=steered_for or _limits(search),
        framework=options.execution.framework,
        init=position.origin,
    )
    windows = {WINDOWS + name: array for name, array in search.to_arrays().items()}
    path = checkpoints.checkpoint_path(options.run.expname, position.epoch, position.step)
    checkpoints.save(path, arrays | windows, msgspec.to_builtins(values))
    checkpoints.keep_newest(options.run.expname, options.run.keep)


def load(options, search):
    """Load the statistics of the checkpoint to resume from into the search, if there is one.

    options: the settings.Options of the run; what its --init names is read only without a
             checkpoint
    Returns (Position, a function that loads the rest into a network, given training images).
    """
    run = options.run
    path = run.resume or (checkpoints.latest(run.expname) if run.resume_last else None)
    if not path:
        if run.resume_last:
            tqdm.write(f"there is no checkpoint in {run.expname}: training starts at epoch 1")
        if not run.init:
            return Position(), lambda net, train: None
        origin, load_network = open_initial(run.init, search.space)
        return Position(origin=origin), load_network
    try:
        arrays, values = _read(path, search)
    except UserError as error:
        previous = run.resume_last and not run.resume and checkpoints.before(path)
        raise UserError(f"{error}; try --resume {previous}" if previous else str(error)) from None
    if values.AOWS and values.limits != _limits(search):
        limits = ", ".join(f"{as_typed(limit)} {unit}" for limit, unit in values.limits)
        warn(
            f"AOWS trained {path} for {limits}, and these limits decided which widths "
            "were trained; train anew for others"
        )
    _check_same_images(values, options.schedule, path)
    _check_same_origin(values, run.init, path)
    position = Position(
        values.epoch,
        values.step,
        values.loss_sums,
        values.init,
        values.limits if values.AOWS else None,
    )
    if position.epoch < options.schedule.epochs:
        _warn_of_other_draws(position, options.question.adaptive, path)
    within = f" and {position.step} steps" if position.step else ""
    tqdm.write(f"continuing after epoch {position.epoch}{within} from {path}")

    def load_network(net, train):
        del train
        if values.framework != options.execution.framework:
            raise UserError(f"{path} was trained with --framework {values.framework}")
        net.load_arrays(arrays, path)

    return position, load_network


def _check_same_images(values, schedule, path):
    """Raise UserError if the rest of a checkpoint's epoch would have other images."""
    for name in ("batch_size", "seed"):
        if values.step and getattr(values, name) != getattr(schedule, name):
            raise UserError(
                f"{path} is within an epoch of {name} {getattr(values, name)}, not of "
                f"{getattr(schedule, name)}: other images would follow"
            )


def _warn_of_other_draws(position, schedule, path):
    """Warn if a checkpoint's epochs drew widths by AOWS where those to come do not, or vice versa.

    schedule: AOWS's Schedule, or None
    """
    if position.steered_for and not schedule:
        warn(f"{path} was trained with --AOWS: without it the epochs to come draw all widths alike")
    elif schedule and not position.steered_for and position.is_after_draws_of(schedule):
        warn(
            f"{path} was trained without --AOWS, longer than --AOWS-warmup: its later epochs did "
            "not draw widths for the target"
        )


def _check_same_origin(values, init, path):
    """Raise UserError if --init names another file than a checkpoint's training began at.

    Its content tells; its name, where the file is gone.
    """
    if not init:
        return
    began = values.init.file if values.init else "random weights"
    if values.init and Path(init).is_file():
        is_same = digest(init) == values.init.sha256
    else:
        is_same = began == Path(init).name
    if not is_same:
        began += f" (SHA-256 {values.init.sha256[:12]}…)" if values.init else ""
        raise UserError(f"{path} was trained from {began}, not from {init}: leave out --init")


def _read(path, search):
    """Return (arrays, Values) of a checkpoint and give the search its windows, all checked."""
    arrays, values = checkpoints.load(path)
    values = checked(values, Values, f"{path} is not a checkpoint of train_nas.py")
    difference = first_difference(values.search_space, search.space.as_dict(), "search space")
    if difference:
        name, then, now = difference
        raise UserError(f"{path} was trained for another {name}: {then!r}, now it is {now!r}")
    if values.step and sorted(values.loss_sums) != LOSSES:
        raise UserError(f"{path} is within an epoch, but loss_sums lacks {', '.join(LOSSES)}")
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

    def read(check, name, **expected):
        return check(arrays[WINDOWS + name], WINDOWS + name, path, **expected)

    shape = len(space.sizes), max(space.sizes)
    windows = {
        "window": read(checkpoints.integers, "window", least=1),
        "counts": read(checkpoints.integers, "counts", shape=shape),
    }
    kept = int(np.minimum(windows["counts"], windows["window"]).sum())
    windows["values"] = read(checkpoints.floats, "values", dtype=np.float32, shape=(kept,))
    if WINDOWS + "run" in arrays:
        windows["run"] = read(checkpoints.integers, "run", least=1)
    if WINDOWS + "sums" in arrays:
        windows["sums"] = read(checkpoints.floats, "sums", dtype=np.float64, shape=shape)
    return windows


def _limits(search):
    return [(constraint.limit, constraint.unit) for constraint in search.constraints]
