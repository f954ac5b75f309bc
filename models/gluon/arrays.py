"""Gluon networks and optimisers as named arrays and back, and parameter files, without pickle.

gluon.Trainer's own save_states pickles the optimiser; loading such a file could run any code.
"""

from pathlib import Path

import numpy as np

from models.gluon.arrays_file import read_arrays
from models.gluon.runtime import mx
from utils import checkpoints
from utils.atomic_files import whole_file
from utils.errors import UserError

NETWORK, MOMENTUM, WEIGHT32, UPDATES = "network/", "momentum/", "weight32/", "updates"


def network_arrays(net):
    """Return {"network/NAME": array} of a network's parameters and running statistics."""
    _finish_updates()
    return {NETWORK + name: p._reduce().asnumpy() for name, p in _parameters(net).items()}


def load_network(net, arrays, path):
    """Set an initialised network's parameters from arrays; UserError, naming path, if they differ.

    path: the file that the arrays are from
    """
    _finish_updates()
    saved = _with_prefix(arrays, NETWORK)
    parameters = _parameters(net)
    _check_names(saved, parameters, path)
    for name, parameter in parameters.items():
        _check_shape(saved[name], parameter, name, path)
        saved[name] = checkpoints.parameter(saved[name], name, path, parameter.dtype)
    for name, parameter in parameters.items():
        parameter.set_data(mx.nd.array(saved[name], dtype=parameter.dtype))


def optimiser_arrays(trainer, net):
    """Return the state of a trainer with SGD or NAG: momenta and the number of updates.

    {"momentum/NAME": array, "updates": int}, and "weight32/NAME", the float32 copies of float16
    weights. The trainer must have been made with update_on_kvstore=False.
    """
    names = {parameter: name for name, parameter in _parameters(net).items()}
    arrays = {UPDATES: np.int64(trainer._optimizer.num_update)}
    for index, state in _updaters(trainer)[0].states.items():
        momentum, weight32 = state if isinstance(state, tuple) else (state, None)
        name = names[trainer._params[index]]
        if momentum is not None:
            arrays[MOMENTUM + name] = momentum.asnumpy()
        if weight32 is not None:
            arrays[WEIGHT32 + name] = weight32.asnumpy()
    return arrays


def load_optimiser(trainer, net, arrays, path):
    """Set a trainer's momenta and number of updates; UserError, naming path, if they do not fit."""
    if UPDATES not in arrays:
        raise UserError(f"{path} holds no optimiser state")
    updates = int(checkpoints.integers(arrays[UPDATES], UPDATES, path))
    momenta, weights32 = (
        _states(arrays, prefix, trainer, net, path) for prefix in (MOMENTUM, WEIGHT32)
    )
    start_kvstore(trainer)
    names = {parameter: name for name, parameter in _parameters(net).items()}
    for index, parameter in enumerate(trainer._params):
        name = names[parameter]
        for updater, context in zip(_updaters(trainer), parameter.list_ctx(), strict=True):
            momentum, weight32 = (
                mx.nd.array(saved[name], ctx=context, dtype=saved[name].dtype)
                if name in saved
                else None
                for saved in (momenta, weights32)
            )
            if momentum is None and weight32 is None:
                updater.states.pop(index, None)
                continue
            updater.states[index] = momentum if weight32 is None else (momentum, weight32)
            updater.states_synced[index] = True
    set_updates(trainer, updates)


def _states(arrays, prefix, trainer, net, path):
    """Return {parameter's name: array} of one kind of state, of all parameters or of none.

    Only float16 parameters have weights in float32.
    """
    trained = {n: p for n, p in _parameters(net).items() if p.grad_req != "null"}
    if prefix == WEIGHT32:
        trained = {n: p for n, p in trained.items() if np.dtype(p.dtype) == np.float16}
    saved = _with_prefix(arrays, prefix)
    for name in saved.keys() - trained.keys():
        raise UserError(f"{path} has a state of {name}, which the network has not")
    if saved:
        _check_names(saved, trained, path)
    for name, array in saved.items():
        _check_shape(array, trained[name], name, path)
        dtype = np.float32 if WEIGHT32 + name in arrays else trained[name].dtype
        saved[name] = checkpoints.floats(array, prefix + name, path, dtype)
    return saved


def start_kvstore(trainer):
    """Give all devices and processes the first one's parameters, as a trainer's first step would.

    That step would do it after its forward pass, and give all the first one's running statistics.
    """
    if not trainer._kv_initialized:
        trainer._init_kvstore()
    if trainer._params_to_init:
        trainer._init_params()


def set_updates(trainer, updates):
    """Set how many updates a trainer has made, by which its learning-rate schedule goes."""
    optimiser = trainer._optimizer
    optimiser.num_update = optimiser.begin_num_update = updates
    for counts in optimiser._all_index_update_counts.values():
        counts.clear()


def save_parameters(net, path):
    """Write a network's parameters in Gluon's own format, whole or not at all."""
    _finish_updates()
    try:
        with whole_file(path) as new:
            net.save_parameters(str(new))
            if not _holds(new, net):  # MXNet does not notice a full disk
                raise UserError(f"{path} cannot be written whole: is the disk full?")
    except mx.base.MXNetError as error:
        raise UserError(f"{path} cannot be written ({_reason(error)})") from None


def load_parameters(net, path, contexts):
    """Load a file of Gluon's format into a network; UserError that names a file that does not fit.

    The format holds numbers only, in nothing of it is code.
    """
    if not Path(path).is_file():
        raise UserError(f"{path} does not exist: expected parameters of a network")
    _check_parameters(net, path)
    try:
        # A file of a float16 network may be loaded into a float32 one.
        net.load_parameters(str(path), ctx=contexts, cast_dtype=True)
        mx.nd.waitall()
    except (mx.base.MXNetError, AssertionError, ValueError, KeyError) as error:
        raise UserError(f"{path} does not fit the network ({_reason(error)})") from None


def _check_parameters(net, path):
    """Raise UserError unless a file holds a network's parameters: MXNet reads it unchecked."""
    misfit = f"{path} does not fit the network"
    try:
        saved = read_arrays(path)
    except ValueError as error:
        raise UserError(f"{misfit}: {error}") from None
    parameters = _parameters(net)
    _check_names(saved, parameters, f"{misfit}: it")
    for name, parameter in parameters.items():
        _check_shape(saved[name], parameter, name, misfit)
        checkpoints.parameter(saved[name], name, path, parameter.dtype)


def _finish_updates():
    # The fused BatchNorm and ReLU sets its running statistics behind the engine's back: reading
    # them waits for nothing.
    mx.nd.waitall()


def _holds(path, net):
    try:
        saved = read_arrays(path)
    except ValueError:
        return False
    parameters = _parameters(net)
    return saved.keys() == parameters.keys() and all(
        np.array_equal(saved[name], p._reduce().asnumpy(), equal_nan=True)
        for name, p in parameters.items()
    )


def _parameters(net):
    return net._collect_params_with_prefix()  # names by structure, the same in every process


def _updaters(trainer):
    if trainer._update_on_kvstore:
        raise ValueError("make the trainer with update_on_kvstore=False: its states are elsewhere")
    return trainer._updaters


def _with_prefix(arrays, prefix):
    return {n.removeprefix(prefix): a for n, a in arrays.items() if n.startswith(prefix)}


def _check_names(saved, parameters, path):
    for name in parameters.keys() - saved.keys():
        raise UserError(f"{path} lacks the network's parameter {name}")
    for name in saved.keys() - parameters.keys():
        raise UserError(f"{path} has a parameter {name}, which the network has not")


def _check_shape(array, parameter, name, path):
    if array.shape != parameter.shape:
        raise UserError(
            f"{path}: {name} has shape {array.shape}, in the network it is {parameter.shape}"
        )


def _reason(error):
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__
