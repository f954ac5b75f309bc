"""PyTorch networks and optimisers as arrays and back; files that do not fit are named."""

import pickle

import numpy as np
import pytest
import torch

from models.pytorch.arrays import (
    load_momenta,
    load_network,
    load_parameters,
    momentum_arrays,
    network_arrays,
    save_parameters,
)
from models.pytorch.plain import PlainNet
from models.pytorch.sgd import NesterovSGD
from networks.mobilenet_v1 import network as mobilenet_v1
from utils import checkpoints
from utils.errors import UserError

TINY, WIDER = (8,) * 14, (16,) * 14


def trained(seed=0):
    """Return a net and its optimiser after an update."""
    torch.manual_seed(seed)
    net = PlainNet(mobilenet_v1(4), TINY)
    optimiser = NesterovSGD([{"params": list(net.parameters()), "wd": 0.1}], lambda n: 0.1, 0.9)
    net(torch.randn(4, 3, 32, 32)).square().sum().backward()
    optimiser.step()
    return net, optimiser


def test_parameters_and_momenta_come_back(tmp_path):
    """Oracle: the tensors, bit for bit, and running statistics among them."""
    net, optimiser = trained()
    save_parameters(net, tmp_path / "n.params")
    other, others = trained(1)
    load_parameters(other, tmp_path / "n.params")
    load_momenta(others, other, momentum_arrays(optimiser, net), "memory")
    wanted, found = net.state_dict(), other.state_dict()
    assert any(name.endswith("running_var") for name in wanted)
    for name in wanted:
        assert torch.equal(found[name], wanted[name]), name
    for one, same in zip(net.parameters(), other.parameters(), strict=True):
        assert torch.equal(others.state[same]["momentum"], optimiser.state[one]["momentum"])


def test_numbers_that_are_not_finite_are_not_written(tmp_path):
    """The losses of a step are of the weights before it, and do not tell of the last step's."""
    net, _ = trained()
    save_parameters(net, tmp_path / "n.params")
    before = (tmp_path / "n.params").read_bytes()
    with torch.no_grad():
        next(net.parameters())[0, 0, 1, 2] = np.nan
    with pytest.raises(UserError, match=r"n\.params is not written, as .* diverged"):
        save_parameters(net, tmp_path / "n.params")
    assert (tmp_path / "n.params").read_bytes() == before


def test_files_that_do_not_fit_are_named(tmp_path):
    """Oracle: the file and the difference are in the message; pickles are not opened."""
    net, optimiser = trained()
    save_parameters(net, tmp_path / "n.params")
    with pytest.raises(UserError, match=r"n\.params does not fit .* has shape \(8, 3, 3, 3\)"):
        load_parameters(PlainNet(mobilenet_v1(4), WIDER), tmp_path / "n.params")
    with pytest.raises(UserError, match=r"m\.states does not fit the network: it lacks"):
        load_momenta(optimiser, net, {}, "m.states")
    arrays = network_arrays(net) | {"network/extra": np.zeros(1)}
    checkpoints.save(tmp_path / "extra.params", arrays, {})
    with pytest.raises(UserError, match="which has no extra"):
        load_parameters(net, tmp_path / "extra.params")
    (tmp_path / "p.params").write_bytes(pickle.dumps(net.state_dict()))
    with pytest.raises(UserError, match=r"p\.params is not a checkpoint or is damaged"):
        load_parameters(net, tmp_path / "p.params")


def test_numbers_that_cannot_be_parameters_are_named_and_nothing_is_set():
    """Oracle: file and parameter are in the message; the network's own numbers from before."""
    net, optimiser = trained()
    before = network_arrays(net)
    for arrays, load in (
        (network_arrays(net), lambda a: load_network(net, a, "n.params")),
        (momentum_arrays(optimiser, net), lambda a: load_momenta(optimiser, net, a, "n.params")),
    ):
        *_, name = (n for n in arrays if n.endswith("weight"))
        plain = name.partition("/")[2]
        for bad in (arrays[name] * np.nan, arrays[name].astype("M8[s]")):
            changed = {n: a + np.float32(1) for n, a in arrays.items()} | {name: bad}
            with pytest.raises(UserError, match=rf"n\.params: {plain} holds"):
                load(changed)
    for name, array in network_arrays(net).items():
        np.testing.assert_array_equal(array, before[name])
