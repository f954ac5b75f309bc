"""Gluon networks and optimisers as named arrays and back, and parameter files, without pickle.

gluon.Trainer's own save_states pickles the optimiser; loading such a file could run any code.
"""

from pathlib import Path

import numpy as np

from models.arrays import (
    MOMENTUM,
    NETWORK,
    UPDATES,
    WEIGHT32,
    fitting,
    with_prefix,
    without_prefix,
)
from models.gluon.arrays_file import read_arrays
from models.gluon.runtime import mx
from utils import checkpoints
from utils.atomic_files import whole_file
from utils.errors import UserError


def network_arrays(net, prefix=NETWORK):
    """Return {"network/NAME": array} of a network's parameters and running statistics."""
    _finish_updates()
    return with_prefix(prefix, {n: p._reduce().asnumpy() for n, p in _parameters(net).items()})


def load_network(net, arrays, path, prefix=NETWORK):
    """Set an initialised network's parameters; UserError, naming path, if the arrays do not fit.

    path: the file that the arrays were read from
    """
    _finish_updates()
    parameters = _parameters(net)
    saved = fitting(without_prefix(prefix, arrays), _kinds(parameters), path)
    for name, parameter in parameters.items():
        parameter.set_data(mx.nd.array(saved[name], dtype=parameter.dtype))


def load_weights(net, weights):
    """Set an initialised PlainNet's parameters from TrainedWeights; without a classifier its own
    is left.
    """
    parameters = _parameters(net).values()
    for parameter, array in zip(parameters, weights.arrays(), strict=False):
        parameter.set_data(mx.nd.array(array, dtype=parameter.dtype))
    mx.nd.waitall()


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
    momenta, weights32 = (_states(arrays, prefix, net, path) for prefix in (MOMENTUM, WEIGHT32))
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


def _states(arrays, prefix, net, path):
    """Return {parameter's name: array} of one kind of state, of all parameters or of none.

    Only float16 parameters have weights in float32.
    """
    trained = {n: p for n, p in _parameters(net).items() if p.grad_req != "null"}
    if prefix == WEIGHT32:
        trained = {n: p for n, p in trained.items() if np.dtype(p.dtype) == np.float16}
    saved = without_prefix(prefix, arrays)
    precise = {name for name in trained if WEIGHT32 + name in arrays}
    kinds = {
        name: (shape, np.float32 if name in precise else dtype)
        for name, (shape, dtype) in _kinds(trained).items()
    }
    return fitting(saved, kinds, path) if saved else {}


def start_kvstore(trainer):
    """Copy the first device's parameters to all devices and processes, as a first step would.

    That step would do so after its forward pass, and copy the running statistics as well.
    """
    if not trainer._kv_initialized:
        trainer._init_kvstore()
    if trainer._params_to_init:
        trainer._init_params()


def set_updates(trainer, updates):
    """Set the number of updates a trainer has made, which its learning-rate schedule depends on."""
    optimiser = trainer._optimizer
    optimiser.num_update = optimiser.begin_num_update = updates
    for counts in optimiser._all_index_update_counts.values():
        counts.clear()


def save_parameters(net, path):
    """Write a network's parameters in Gluon's own format, whole or not at all.

    Raises UserError if one is not finite, or if the file cannot be written.
    """
    checkpoints.refuse_not_finite(network_arrays(net), path)
    try:
        with whole_file(path) as new:
            net.save_parameters(str(new))
            if not _holds(new, net):  # MXNet does not notice a full disk
                raise UserError(f"{path} cannot be written whole: is the disk full?")
    except mx.base.MXNetError as error:
        raise UserError(f"{path} cannot be written ({_reason(error)})") from None


def load_parameters(net, path, contexts):
    """Load a file in Gluon's format into a network; UserError, naming the file, if it does not fit.

    The format holds only numbers, never code.
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
    try:
        saved = read_arrays(path)
    except ValueError as error:
        raise UserError(f"{path} does not fit the network: {error}") from None
    fitting(saved, _kinds(_parameters(net)), path)


def _finish_updates():
    # The fused BatchNorm and ReLU sets its running statistics behind the engine's back, so that
    # reading them would not wait.
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


def _kinds(parameters):
    """Return {name: (shape, dtype)} of parameters."""
    return {name: (p.shape, p.dtype) for name, p in parameters.items()}


def _reason(error):
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__
