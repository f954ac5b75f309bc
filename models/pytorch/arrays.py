"""PyTorch networks and optimisers as named arrays and back, and parameter files, without pickle."""

import numpy as np
import torch

from utils import checkpoints
from utils.errors import UserError

NETWORK, MOMENTUM = "network/", "momentum/"
COUNTER = "num_batches_tracked"  # BatchNorm counts batches for an average that is not used here


def network_arrays(net):
    """Return {"network/NAME": array} of a network's parameters and running statistics."""
    return {NETWORK + name: to_array(tensor) for name, tensor in _tensors(net).items()}


def load_network(net, arrays, path):
    """Set a network's parameters from arrays; UserError, naming path, if they do not fit.

    path: the file that the arrays are from
    """
    _set(_tensors(net), _with_prefix(arrays, NETWORK), path)


def momentum_arrays(optimiser, net):
    """Return {"momentum/NAME": array} of an optimiser's momenta, one for each parameter."""
    return {MOMENTUM + name: to_array(m) for name, m in _momenta(optimiser, net).items()}


def load_momenta(optimiser, net, arrays, path):
    """Set an optimiser's momenta from arrays; UserError, naming path, if they do not fit."""
    _set(_momenta(optimiser, net), _with_prefix(arrays, MOMENTUM), path)


def save_parameters(net, path):
    """Write a network's parameters, whole or not at all."""
    try:
        checkpoints.save(path, network_arrays(net), {"framework": "pytorch"})
    except OSError as error:
        raise UserError(f"{path} cannot be written ({error.strerror})") from None


def load_parameters(net, path):
    """Load a file of save_parameters into a network; UserError that names a file that misfits."""
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
    for name in tensors.keys() - arrays.keys():
        raise UserError(f"{path} does not fit the network: it lacks {name}")
    for name in arrays.keys() - tensors.keys():
        raise UserError(f"{path} does not fit the network, which has no {name}")
    for name, tensor in tensors.items():
        if arrays[name].shape != tensor.shape:
            raise UserError(
                f"{path} does not fit the network: {name} has shape {arrays[name].shape}, "
                f"in the network it is {tuple(tensor.shape)}"
            )
    # All are checked before any is set.
    checked = {
        name: checkpoints.parameter(arrays[name], name, path, _dtype(tensor))
        for name, tensor in tensors.items()
    }
    with torch.no_grad():
        for name, tensor in tensors.items():
            tensor.copy_(torch.from_numpy(np.ascontiguousarray(checked[name])))


def _dtype(tensor):
    return to_array(tensor.new_empty(0)).dtype


def _with_prefix(arrays, prefix):
    return {n.removeprefix(prefix): a for n, a in arrays.items() if n.startswith(prefix)}
