"""Checkpoints of train_nas.py: how far training is, the network, and the search's statistics."""

from dataclasses import dataclass, field

from tqdm import tqdm

from nas.search_space import SearchSpace
from utils import checkpoints
from utils.errors import UserError
from utils.records import Appender, read_lines, write_lines

WINDOWS = "windows/"


@dataclass(frozen=True)
class Position:
    """How far training is: whole epochs, and steps of the epoch after them."""

    epoch: int = 0
    step: int = 0
    loss_sums: dict = field(default_factory=dict)  # name of a pass -> sum of its steps' mean losses


def save(options, net, search, position):
    """Write the checkpoint of a position; of the older ones --keep less one are left."""
    windows = {WINDOWS + name: array for name, array in search.to_arrays().items()}
    values = {
        "epoch": position.epoch,
        "step": position.step,
        "loss_sums": position.loss_sums,
        "framework": options.framework,
        "search_space": search.space.as_dict(),
        "batch_size": options.batch_size,
        "seed": options.seed,
        "AOWS": options.AOWS,
        "limits": _limits(search),
    }
    path = checkpoints.checkpoint_path(options.expname, position.epoch, position.step)
    checkpoints.save(path, net.to_arrays() | windows, values)
    checkpoints.keep_newest(options.expname, options.keep)


def load(options, search):
    """Load the statistics of the checkpoint to resume from into the search, if there is one.

    Returns (Position, a function that loads the rest into a network).
    """
    path = options.resume or (options.resume_last and checkpoints.latest(options.expname))
    if not path:
        return Position(), lambda net: None
    arrays, values = checkpoints.load(path)
    if SearchSpace.from_dict(values["search_space"]) != search.space:
        raise UserError(f"{path} was trained for another search space: {values['search_space']}")
    if values["AOWS"] and values["limits"] != _limits(search):
        tqdm.write(
            f"warning: AOWS trained {path} for {_as_text(values['limits'])}, and these limits "
            "decided which widths were trained; train anew for others"
        )
    position = Position(values["epoch"], values["step"], values["loss_sums"])
    for name in ("batch_size", "seed"):
        if position.step and values[name] != getattr(options, name):
            raise UserError(
                f"{path} is within an epoch of {name} {values[name]}, not of "
                f"{getattr(options, name)}: other images would follow"
            )
    windows = {name: arrays.pop(name) for name in list(arrays) if name.startswith(WINDOWS)}
    search.load_arrays({name.removeprefix(WINDOWS): array for name, array in windows.items()})
    within = f" and {position.step} steps" if position.step else ""
    tqdm.write(f"continuing after epoch {position.epoch}{within} from {path}")

    def load_network(net):
        framework = values.get("framework", "mxnet")
        if framework != options.framework:
            raise UserError(f"{path} was trained with --framework {framework}")
        net.load_arrays(arrays, path)

    return position, load_network


def _limits(search):
    return [[constraint.limit, constraint.unit] for constraint in search.constraints]


def _as_text(limits):
    return ", ".join(f"{limit:.4g} {unit}" for limit, unit in limits)


def forget_later_lines(path, is_kept):
    """Remove from a file of JSON lines what came after the checkpoint that training resumes."""
    if path.is_file() and path.stat().st_size:
        with Appender(path):  # cuts a torn last line
            lines = [line for _, line in read_lines(path)]
        write_lines(path, [line for line in lines if is_kept(line)])
