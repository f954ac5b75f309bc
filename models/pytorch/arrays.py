"""PyTorch networks and optimisers as named arrays and back, and parameter files, without pickle."""

import numpy as np
import torch

from models.arrays import MOMENTUM, NETWORK, SCALE, fitting, with_prefix, without_prefix
from models.parameter_names import COUNTER
from utils import checkpoints
from utils.errors import UserError


def network_arrays(net, prefix=NETWORK):
    """Return {"network/NAME": array} of a network's parameters and running statistics."""
    return with_prefix(prefix, {name: to_array(tensor) for name, tensor in _tensors(net).items()})


def load_network(net, arrays, path, prefix=NETWORK):
    """Set a network's parameters from arrays; UserError, naming path, if they do not fit.

    path: the file that the arrays were read from
    """
    _set(_tensors(net), without_prefix(prefix, arrays), path)


def load_weights(net, weights):
    """Set a PlainNet's parameters from TrainedWeights; without a classifier its own is left."""
    tensors = zip(_tensors(net).values(), weights.arrays(), strict=False)
    with torch.no_grad():
        for tensor, array in tensors:
            tensor.copy_(torch.from_numpy(np.array(array)))  # a copy: what is read may be read-only


def momentum_arrays(optimiser, net):
    """Return {"momentum/NAME": array} of an optimiser's momenta, one for each parameter."""
    return with_prefix(MOMENTUM, {n: to_array(m) for n, m in _momenta(optimiser, net).items()})


def load_momenta(optimiser, net, arrays, path):
    """Set an optimiser's momenta from arrays; UserError, naming path, if they do not fit."""
    _set(_momenta(optimiser, net), without_prefix(MOMENTUM, arrays), path)


def scale_array(scaler):
    """Return a GradScaler's factor and the steps since it changed; empty if it is disabled."""
    state = scaler.state_dict()
    return np.float64([state[name] for name in ("scale", "_growth_tracker") if state])


def load_scale(scaler, arrays, path):
    """Set a GradScaler, if enabled, from scale_array; UserError, naming path, if it is invalid."""
    shape = (2,) if arrays[SCALE].size else (0,)
    scale = checkpoints.floats(arrays[SCALE], SCALE, path, shape=shape).tolist()
    if any(number < 0 for number in scale) or scale[:1] == [0]:
        raise UserError(f"{path}: {SCALE} holds {scale}, expected a factor above 0 and steps")
    if scaler.is_enabled() and scale:
        state = {"scale": scale[0], "_growth_tracker": int(scale[1])}
        scaler.load_state_dict(scaler.state_dict() | state)


def save_parameters(net, path):
    """Write a network's parameters, whole or not at all; UserError if one is not finite."""
    arrays = network_arrays(net)
    checkpoints.refuse_not_finite(arrays, path)
    try:
        checkpoints.save(path, arrays, {"framework": "pytorch"})
    except OSError as error:
        raise UserError(f"{path} cannot be written ({error.strerror})") from None


def load_parameters(net, path):
    """Load a file that save_parameters wrote; UserError, naming the file, if it does not fit."""
    load_network(net, checkpoints.load(path)[0], path)


def to_array(tensor):
    """Return a tensor as a NumPy array."""
    return tensor.detach().cpu().numpy()


def _tensors(net):
    return {n: t for n, t in net.state_dict().items() if not n.endswith(COUNTER)}


def _momenta(optimiser, net):
    """Return {parameter's name: momentum}; an optimiser has them from the start."""
    return {n: optimiser.state[p]["momentum"] for n, p in net.named_parameters()}


def _set(tensors, arrays, path):
    wanted = {n: (t.shape, to_array(t.new_empty(0)).dtype) for n, t in tensors.items()}
    arrays = fitting(arrays, wanted, path)
    with torch.no_grad():
        for name, tensor in tensors.items():
            tensor.copy_(torch.from_numpy(np.ascontiguousarray(arrays[name])))
