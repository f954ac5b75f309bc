"""Gluon networks and optimisers through checkpoints: training goes on as if never interrupted."""

import resource

import numpy as np
import pytest

from models.gluon.arrays import (
    load_network,
    load_optimiser,
    load_parameters,
    network_arrays,
    optimiser_arrays,
    save_parameters,
    set_updates,
)
from models.gluon.plain import PlainNet
from models.gluon.runtime import mx
from networks.mobilenet_v1 import network as mobilenet_v1
from utils import checkpoints
from utils.errors import UserError

TINY = (8,) * 14


def make(devices, optimiser="sgd", momentum=0.9, classes=4, seed=0, configuration=TINY):
    """Return an initialised network and a trainer with a schedule that depends on the updates."""
    mx.random.seed(seed)
    net = PlainNet(mobilenet_v1(classes), configuration)
    net.initialize(ctx=devices)
    schedule = mx.lr_scheduler.FactorScheduler(step=2, factor=0.5, base_lr=0.1)
    settings = {"momentum": momentum, "wd": 1e-4, "lr_scheduler": schedule}
    return net, mx.gluon.Trainer(net.collect_params(), optimiser, settings, update_on_kvstore=False)


def train(net, trainer, devices, steps):
    """Train on the batches of the given numbers; each is made from its number."""
    loss = mx.gluon.loss.SoftmaxCrossEntropyLoss()
    for step in steps:
        rng = np.random.default_rng(step)
        images = mx.nd.array(rng.normal(size=(4, 3, 32, 32)))
        labels = mx.nd.array(rng.integers(4, size=4))
        shards = [mx.gluon.utils.split_and_load(x, devices) for x in (images, labels)]
        with mx.autograd.record():
            losses = [loss(net(x), y) for x, y in zip(*shards, strict=True)]
        mx.autograd.backward(losses)
        mx.nd.waitall()  # or the first step may copy running statistics that are being written
        trainer.step(4)


@pytest.mark.parametrize("optimiser", ["sgd", "nag"])
@pytest.mark.parametrize("momentum", [0.0, 0.9])
@pytest.mark.parametrize("count", [1, 2])
def test_training_goes_on_exactly(tmp_path, optimiser, momentum, count):
    """Oracle: six updates in a row give the same bits as three, a checkpoint, and three more."""
    devices = [mx.cpu(n) for n in range(count)]
    net, trainer = make(devices, optimiser, momentum)
    train(net, trainer, devices, range(3))
    path = tmp_path / "c.npz"
    checkpoints.save(path, network_arrays(net) | optimiser_arrays(trainer, net), {})
    if count == 2:  # the devices' running statistics are saved as their average
        arrays, _ = checkpoints.load(path)
        load_network(net, arrays, path)
    train(net, trainer, devices, range(3, 6))

    other, other_trainer = make(devices, optimiser, momentum, seed=1)
    arrays, _ = checkpoints.load(path)
    load_network(other, arrays, path)
    load_optimiser(other_trainer, other, arrays, path)
    assert other_trainer.learning_rate == pytest.approx(0.05)
    train(other, other_trainer, devices, range(3, 6))

    wanted = network_arrays(net) | optimiser_arrays(trainer, net)
    found = network_arrays(other) | optimiser_arrays(other_trainer, other)
    assert found.keys() == wanted.keys()
    assert found["updates"] == 6
    assert any(name.startswith("momentum/") for name in found) == (momentum > 0)
    assert all(np.array_equal(found[name], array) for name, array in wanted.items())


def test_without_the_momenta_training_differs(tmp_path):
    """Oracle: the twin of the test above, in which the momenta are forgotten."""
    net, trainer = make([mx.cpu()])
    train(net, trainer, [mx.cpu()], range(3))
    arrays = network_arrays(net)
    train(net, trainer, [mx.cpu()], range(3, 4))
    other, other_trainer = make([mx.cpu()])
    load_network(other, arrays, "memory")
    set_updates(other_trainer, 3)
    train(other, other_trainer, [mx.cpu()], range(3, 4))
    wanted, found = network_arrays(net), network_arrays(other)
    assert not all(np.array_equal(found[name], array) for name, array in wanted.items())


@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_float16_states_keep_their_float32_weights(momentum):
    """Oracle: MXNet's own states of float16 weights: (momentum or None, float32 copy)."""
    net = mx.gluon.nn.Dense(2, in_units=3)
    net.cast("float16")
    net.initialize(mx.init.One())
    settings = {"momentum": momentum, "multi_precision": True}
    trainers = [
        mx.gluon.Trainer(net.collect_params(), "nag", settings, update_on_kvstore=False)
        for _ in range(2)
    ]
    updater = trainers[0]._updaters[0]
    for index, parameter in enumerate(trainers[0]._params):
        state = trainers[0]._optimizer.create_state_multi_precision(index, parameter.data())
        updater.states[index] = state
    arrays = optimiser_arrays(trainers[0], net)
    assert arrays["weight32/weight"].dtype == np.float32
    assert np.all(arrays["weight32/weight"] == 1)
    load_optimiser(trainers[1], net, arrays, "memory")
    for index, state in updater.states.items():
        loaded = trainers[1]._updaters[0].states[index]
        assert len(loaded) == len(state) == 2
        assert (loaded[0] is None) == (state[0] is None) == (momentum == 0)
        assert loaded[1].dtype == np.float32
        assert np.array_equal(loaded[1].asnumpy(), state[1].asnumpy())


def test_a_network_that_does_not_fit_is_named():
    """Oracle: the file and the parameter are in the message."""
    net, trainer = make([mx.cpu()])
    train(net, trainer, [mx.cpu()], [0])
    arrays = network_arrays(net) | optimiser_arrays(trainer, net)
    wide, wide_trainer = make([mx.cpu()], configuration=(16, *TINY[1:]))
    with pytest.raises(UserError, match=r"c\.npz .*weight has shape .* in the network it is"):
        load_network(wide, arrays, "c.npz")
    with pytest.raises(UserError, match=r"c\.npz .* has shape"):
        load_optimiser(wide_trainer, wide, arrays, "c.npz")
    with pytest.raises(UserError, match=r"c\.npz holds no optimiser state"):
        load_optimiser(trainer, net, network_arrays(net), "c.npz")
    name = "classifier.bias"
    without = {key: array for key, array in arrays.items() if not key.endswith(name)}
    with pytest.raises(UserError, match=rf"c\.npz .* lacks .*{name}"):
        load_network(net, without, "c.npz")
    more = arrays | {"network/extra": np.zeros(1), "momentum/extra": np.zeros(1)}
    with pytest.raises(UserError, match=r"c\.npz .* has no extra"):
        load_network(net, more, "c.npz")
    with pytest.raises(UserError, match=r"c\.npz .* has no extra"):
        load_optimiser(trainer, net, more, "c.npz")


def test_a_trainer_whose_states_live_elsewhere_is_refused():
    """Oracle: the contract of the argument; two devices make MXNet update on its kvstore."""
    devices = [mx.cpu(0), mx.cpu(1)]
    net, _ = make(devices)
    trainer = mx.gluon.Trainer(net.collect_params(), "sgd", {"momentum": 0.9})
    train(net, trainer, devices, [0])
    with pytest.raises(ValueError, match="update_on_kvstore=False"):
        optimiser_arrays(trainer, net)


def test_parameter_files_are_gluons_own(tmp_path):
    """Oracle: Gluon's load_parameters and ours, bit for bit."""
    net, _ = make([mx.cpu()])
    save_parameters(net, tmp_path / "new" / "n.params")
    for load in (
        lambda other: other.load_parameters(f"{tmp_path}/new/n.params"),
        lambda other: load_parameters(other, tmp_path / "new" / "n.params", [mx.cpu()]),
    ):
        other, _ = make([mx.cpu()], seed=1)
        load(other)
        wanted, found = network_arrays(net), network_arrays(other)
        assert all(np.array_equal(found[name], array) for name, array in wanted.items())
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["n.params"]


def test_numbers_that_are_not_finite_are_not_written(tmp_path):
    net, _ = make([mx.cpu()])
    save_parameters(net, tmp_path / "n.params")
    before = (tmp_path / "n.params").read_bytes()
    parameter = next(iter(net.collect_params().values()))
    parameter.set_data(parameter.data() * np.inf)
    with pytest.raises(UserError, match=r"n\.params is not written, as .* diverged"):
        save_parameters(net, tmp_path / "n.params")
    assert (tmp_path / "n.params").read_bytes() == before


def test_parameter_files_that_do_not_fit_are_named(tmp_path):
    """Oracle: the path is in the message of every kind of misfit."""
    net, _ = make([mx.cpu()])
    path = tmp_path / "n.params"
    save_parameters(net, path)
    content = path.read_bytes()
    with pytest.raises(UserError, match=r"m\.params does not exist"):
        load_parameters(net, tmp_path / "m.params", [mx.cpu()])
    wide, _ = make([mx.cpu()], configuration=(16, *TINY[1:]))
    with pytest.raises(UserError, match=r"n\.params does not fit"):
        load_parameters(wide, path, [mx.cpu()])
    for damaged in (b"", b"text", content[:100], content[:-8]):
        path.write_bytes(damaged)
        with pytest.raises(UserError, match=r"n\.params does not fit"):
            load_parameters(net, path, [mx.cpu()])


def test_parameter_files_of_other_numbers_are_named(tmp_path):
    """Oracle: by hand: half precision fits, infinity, integers and other names do not."""
    net, _ = make([mx.cpu()])
    path = str(tmp_path / "n.params")
    save_parameters(net, path)
    good = mx.nd.load(path)
    name = "classifier.weight"
    mx.nd.save(path, good | {name: good[name].astype("float16")})
    load_parameters(net, path, [mx.cpu()])
    for change, message in (
        ({name: good[name] * float("inf")}, "classifier.weight holds numbers that are not finite"),
        ({name: good[name].astype("int32")}, "n.params does not fit the network"),
        ({name: good[name].tostype("row_sparse")}, "is not a dense array"),
        (
            {name: good[name].T},
            r"classifier.weight has shape \(8, 4\), in the network it is \(4, 8",
        ),
        ({"other": good[name]}, "has no other"),
    ):
        mx.nd.save(path, good | change)
        with pytest.raises(UserError, match=message):
            load_parameters(net, path, [mx.cpu()])


@pytest.mark.parametrize("missing", [1, 100, 20_000])
def test_a_full_disk_keeps_the_last_good_parameters(tmp_path, missing):
    """Oracle: the bytes from before; MXNet itself does not notice that the last bytes are cut."""
    net, _ = make([mx.cpu()])
    path = tmp_path / "n.params"
    save_parameters(net, path)
    before = path.read_bytes()
    room = len(before) - missing
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, hard))
    try:
        with pytest.raises(UserError, match=r"n\.params cannot be written"):
            save_parameters(net, path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["n.params"]


def test_numbers_that_cannot_be_parameters_or_states_are_named():
    """Oracle: file and array are in the message."""
    net, trainer = make([mx.cpu()])
    train(net, trainer, [mx.cpu()], range(1))
    arrays = network_arrays(net) | optimiser_arrays(trainer, net)
    for prefix in ("network/", "momentum/"):
        *_, name = (n for n in arrays if n.startswith(prefix) and n.endswith("weight"))
        for bad in (arrays[name] * np.nan, arrays[name].astype("M8[s]")):
            changed = arrays | {name: bad}
            with pytest.raises(UserError, match=r"c\.npz: .*weight holds"):
                load_network(net, changed, "c.npz")
                load_optimiser(trainer, net, changed, "c.npz")
    for bad in (np.array([1, 2]), np.array("x"), np.array(-5), np.array(np.inf)):
        with pytest.raises(UserError, match=r"c\.npz: updates h"):
            load_optimiser(trainer, net, arrays | {"updates": bad}, "c.npz")
    first = next(n for n in arrays if n.startswith("momentum/"))
    fewer = {n: a for n, a in arrays.items() if n != first}
    with pytest.raises(UserError, match=rf"c\.npz .* lacks {first.removeprefix('momentum/')}"):
        load_optimiser(trainer, net, fewer, "c.npz")
