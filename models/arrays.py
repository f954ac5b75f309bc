"""Networks and optimisers as named arrays: naming and checking them, without a framework."""

from utils import checkpoints
from utils.errors import UserError

NETWORK, AVERAGE, MOMENTUM, WEIGHT32 = "network/", "average/", "momentum/", "weight32/"
UPDATES, SCALE = "updates", "loss_scale"
LEAST_VARIANCE = 1e-6  # less is rounding: BatchNorm adds 1e-5


def with_prefix(prefix, arrays):
    """Return arrays with a prefix added to their names."""
    return {prefix + name: array for name, array in arrays.items()}


def without_prefix(prefix, arrays):
    """Return the arrays whose names have a prefix, with the prefix removed."""
    return {n.removeprefix(prefix): a for n, a in arrays.items() if n.startswith(prefix)}


def has_average(arrays):
    """Return whether a checkpoint's arrays hold averaged weights."""
    return any(name.startswith(AVERAGE) for name in arrays)


def parameter(array, name, path, dtype):
    """Return a parameter or running statistic of a network: floats, variances at least 0.

    Rounding is allowed for: MXNet's running variance of a channel that is always 0 may be -1e-12.
    """
    array = checkpoints.floats(array, name, path, dtype)
    if name.endswith("running_var") and (array < -LEAST_VARIANCE).any():
        raise UserError(f"{path}: {name} holds a variance below 0")
    return array


def fitting(saved, wanted, path):
    """Return saved arrays as the wanted types; all are checked before any is returned.

    saved: {name: array}, read from path; wanted: {name: (shape, dtype)} of the network
    Raises UserError, naming path, for the first array that does not fit.
    """
    misfit = f"{path} does not fit the network"
    for name in wanted.keys() - saved.keys():
        raise UserError(f"{misfit}: it lacks {name}")
    for name in saved.keys() - wanted.keys():
        raise UserError(f"{misfit}, which has no {name}")
    for name, (shape, _) in wanted.items():
        if saved[name].shape != tuple(shape):
            raise UserError(
                f"{misfit}: {name} has shape {saved[name].shape}, "
                f"in the network it is {tuple(shape)}"
            )
    return {name: parameter(saved[name], name, path, dtype) for name, (_, dtype) in wanted.items()}
