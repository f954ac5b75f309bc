"""Training in PyTorch as train_nas.py asks for it: against MXNet's, and against itself resumed."""

import subprocess
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch

from models.execution import Execution
from models.gluon.runtime import mx
from models.gluon.supernet import MXNetSupernet
from models.pytorch.plain import convolutions
from models.pytorch.sgd import MomentumSGD
from models.pytorch.slimmable import SlimmableNet, cut_out
from models.pytorch.supernet import SCALE, TorchSupernet
from models.supernet import TrainingSchedule
from nas.search_space import SearchSpace
from tests.helpers.torch_nets import batch_of, copy_from_gluon, slimmable
from utils.errors import UserError
from utils.images.broken import BROKEN
from utils.images.open_dataset import open_dataset

ROOT = Path(__file__).parents[3]
SPACE = SearchSpace(input_size=16, classes=10, min_width=0.1, max_width=0.3, levels=3)
SCHEDULE = TrainingSchedule(
    epochs=1, batch_size=16, lr=0.1, lr_schedule="constant", momentum=0.9, wd=1e-3, seed=0
)
EXECUTION = Execution(num_gpus=0)


def batches(count):
    """Return count batches as step takes them, without the learning rate."""
    drawn = (batch_of(SPACE, 16, 32, seed) for seed in range(count))
    return [(images, labels, widths.numpy()) for images, labels, widths in drawn]


def supernet(dtype="float32", compile=False, **schedule):
    execution = replace(EXECUTION, dtype=dtype, compile=compile)
    return TorchSupernet(SPACE, replace(SCHEDULE, **schedule), execution)


def train(net, steps):
    return [
        net.step(*batch, learning_rate=0.1 / (index + 1))
        for index, batch in enumerate(batches(max(steps) + 1))
        if index in steps
    ]


def same(one, other):
    return all(np.array_equal(other[name], array) for name, array in one.items())


def test_weights_after_a_step_agree_with_mxnets():
    """From the same weights. One step has every term but momentum, which the next test covers."""
    gluon, net = MXNetSupernet(SPACE, SCHEDULE, EXECUTION), supernet()
    names = copy_from_gluon(gluon._net.full, net._net.wide)
    images, labels, widths = batches(1)[0]
    ours = net.step(images, labels, widths, 0.1)
    theirs = gluon.step(*(mx.nd.array(a.numpy()) for a in (images, labels)), widths, 0.1)
    for name, loss in vars(theirs).items():
        np.testing.assert_allclose(vars(ours)[name], loss, rtol=1e-4, atol=1e-5)
    state = net._net.wide.state_dict()
    parameters = gluon._net.full.collect_params().values()
    for name, parameter in zip(names, parameters, strict=True):
        if "running_var" not in name:  # PyTorch's are of unbiased variances
            expected = parameter.data().asnumpy()
            np.testing.assert_allclose(state[name].numpy(), expected, rtol=1e-4, atol=1e-4)


def test_evaluations_agree_with_mxnets():
    """From the same weights, of sub-networks whose statistics are of the same images."""
    gluon, net = MXNetSupernet(SPACE, SCHEDULE, EXECUTION), supernet()
    copy_from_gluon(gluon._net.full, net._net.wide)
    digits, val = open_dataset("digits", SPACE.input_size, 0)
    both = [each.evaluate([SPACE.smallest, SPACE.largest], digits, val) for each in (gluon, net)]
    for theirs, ours in zip(*both, strict=True):
        assert ours.loss == pytest.approx(theirs.loss, rel=1e-3)
        assert ours.accuracy == pytest.approx(theirs.accuracy, abs=3 / len(val))
    assert both[0][0].loss != both[0][1].loss


def test_sgd_is_mxnets_while_the_learning_rate_changes():
    """Oracle: MXNet's optimiser on the same gradients."""
    rng = np.random.default_rng(0)
    weights = rng.standard_normal(20).astype(np.float32)
    ours = torch.nn.Parameter(torch.tensor(weights))
    optimiser = MomentumSGD([ours], momentum=0.9, weight_decay=0.01)
    theirs = mx.nd.array(weights)
    oracle = mx.optimizer.SGD(momentum=0.9, wd=0.01)
    state = oracle.create_state(0, theirs)
    for rate in (0.1, 0.05, 0.2, 0.01):
        gradient = rng.standard_normal(20).astype(np.float32)
        ours.grad = torch.tensor(gradient)
        optimiser.learning_rate = rate
        optimiser.step()
        oracle.lr = rate
        oracle.update(0, theirs, mx.nd.array(gradient), state)
    np.testing.assert_allclose(ours.detach().numpy(), theirs.asnumpy(), rtol=1e-5, atol=1e-6)


def test_a_checkpoint_continues_to_the_same_numbers():
    whole, first, second = supernet(), supernet(), supernet(seed=5)
    train(whole, range(4))
    train(first, range(2))
    second.load_arrays(first.to_arrays(), "checkpoint")
    train(second, range(2, 4))
    assert same(whole.to_arrays(), second.to_arrays())


def test_a_checkpoint_holds_numbers_under_names_by_structure():
    arrays = supernet().to_arrays()
    assert "network/features.1.pointwise.conv.weight" in arrays
    assert "momentum/features.1.pointwise.conv.weight" in arrays
    assert all(array.dtype.kind in "fiu" for array in arrays.values())


def test_a_misfitting_checkpoint_is_named():
    arrays = supernet().to_arrays()
    arrays.pop("momentum/classifier.bias")
    with pytest.raises(UserError, match=r"c\.npz .*classifier\.bias"):
        supernet().load_arrays(arrays, "c.npz")


def test_the_seed_decides_and_nothing_else_does():
    one, same_seed, other = supernet(), supernet(), supernet(seed=1)
    torch.manual_seed(123)  # PyTorch's own random numbers play no part
    losses = [train(net, range(2))[1].random for net in (one, same_seed, other)]
    np.testing.assert_array_equal(losses[0], losses[1])
    assert not np.array_equal(losses[0], losses[2])


def test_groups_of_images_train_on_cut_out_networks():
    net = supernet(configurations_per_batch=4)
    images, labels, widths = batches(1)[0]
    widths = np.repeat(widths[::4], 4, axis=0)
    losses = [net.step(images, labels, widths, 0.02) for _ in range(8)]
    assert losses[-1].soft_random.mean() < losses[0].soft_random.mean()


def test_what_does_not_divide_is_explained():
    with pytest.raises(UserError, match=r"--batch-size 16 does not divide .* 3 configurations"):
        supernet(configurations_per_batch=3)


def test_what_a_cpu_cannot_is_explained_and_bfloat16_trains():
    with pytest.raises(UserError, match="float16 needs a GPU"):
        supernet(dtype="float16")
    losses = train(supernet(dtype="bfloat16"), range(2))
    assert all(np.isfinite(loss).all() for loss in vars(losses[-1]).values())


def test_the_factor_of_float16_losses_is_in_the_checkpoint(monkeypatch):
    """A stand-in: on a CPU, float16 may not be asked for; its scaler works there all the same."""
    monkeypatch.setattr("models.pytorch.supernet.check_dtype", lambda dtype, device: dtype)
    net = supernet(dtype="float16")
    net._dtype = "float32"  # of the passes
    train(net, range(2))
    arrays = net.to_arrays()
    assert arrays[SCALE].tolist() == [65536.0, 2.0]
    exact = supernet()
    train(exact, range(2))
    for name, array in exact.to_arrays().items():
        np.testing.assert_allclose(arrays[name], array, rtol=1e-4, atol=1e-5, err_msg=name)
    arrays[SCALE] = np.array([1e38, 0.0])  # the gradients overflow: the step is skipped
    net.load_arrays(arrays, "checkpoint")
    losses = train(net, range(1))[0]
    assert np.isfinite(losses.full).all()
    after = net.to_arrays()
    assert after[SCALE].tolist() == pytest.approx([0.5e38, 0.0])
    weights = {n: a for n, a in after.items() if n.endswith(("weight", "bias"))}
    assert same(weights, arrays)


def test_compiled_passes_train_to_the_same_losses(monkeypatch):
    """Traced and differentiated as for any back end; generating C++ would take five minutes."""
    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend="aot_eager"))
    exact, compiled = train(supernet(), range(1)), train(supernet(compile=True), range(1))
    for one, other in zip(exact, compiled, strict=True):
        np.testing.assert_allclose(one.random, other.random, rtol=1e-3, atol=1e-3)


def test_another_class_of_network_may_be_trained():
    class Other(SlimmableNet):
        """As good as any."""

    net = TorchSupernet(SPACE, SCHEDULE, EXECUTION, slimmable=Other)
    assert isinstance(net._net, Other)


def test_evaluations_are_those_of_plain_nets_with_statistics_of_training_images():
    """Oracle: the net cut out, one batch in training mode with a momentum of 1, then inference."""
    net = supernet(batch_size=512)
    digits, val = open_dataset("digits", SPACE.input_size, 0)
    assert net.steps(digits) == 2
    net._net.load_state_dict(slimmable(SPACE).state_dict())
    evaluations = net.evaluate([SPACE.largest, SPACE.smallest], digits, val)
    assert net.accuracies([SPACE.largest], digits, val) == [evaluations[0].accuracy]
    images, labels = (np.array(a) for a in zip(*(val[0, i] for i in range(len(val))), strict=True))
    for configuration, found in zip((SPACE.largest, SPACE.smallest), evaluations, strict=True):
        plain = cut_out(net._net, configuration).train()
        for _, norm in convolutions(plain):
            norm.momentum = 1.0
        with torch.no_grad():
            plain(next(net.batches(digits, epoch=0))[0])
            logits = plain.eval()(torch.tensor(images))
        right = (logits.argmax(1).numpy() == labels).mean()
        assert found.accuracy == pytest.approx(right, abs=3 / len(val))
        loss = torch.nn.functional.cross_entropy(logits, torch.tensor(labels)).item()
        assert found.loss == pytest.approx(loss, rel=1e-2)  # its variances are unbiased
    assert evaluations[0] != evaluations[1]


class WithBroken:
    """A dataset some of whose images cannot be read."""

    def __init__(self, dataset, broken):
        self.dataset, self.broken = dataset, broken

    def __len__(self):
        return len(self.dataset)

    def __getitem__(self, key):
        image, label = self.dataset[key]
        return image, BROKEN if key[1] in self.broken else label

    def where(self, index):
        return f"image {index}"

    def why_broken(self, index):
        return "it was cut"


def test_broken_images_do_not_count_in_accuracies():
    """Oracle: what is right of the images 0 to 99 and of the others adds up to what is of all."""
    net = supernet()
    net._net.load_state_dict(slimmable(SPACE).state_dict())
    digits, val = open_dataset("digits", SPACE.input_size, 0)
    first, others = set(range(100)), set(range(100, len(val)))
    right = []
    for broken in (set(), others, first):
        (accuracy,) = net.accuracies([SPACE.largest], digits, WithBroken(val, broken))
        right.append(accuracy * (len(val) - len(broken)))
    assert right == [pytest.approx(round(number)) for number in right]
    assert right[0] == pytest.approx(right[1] + right[2])
    assert min(right) > 0


def test_batches_may_begin_within_an_epoch():
    net = supernet()
    digits, _ = open_dataset("digits", SPACE.input_size, 0)
    (images, labels), *_ = net.batches(digits, epoch=1, first=net.steps(digits) - 1)
    *_, (last_images, last_labels) = net.batches(digits, epoch=1)
    assert torch.equal(images, last_images)
    assert torch.equal(labels, last_labels)


def test_mxnet_is_not_imported():
    script = (
        "import sys; import models.pytorch.supernet;"
        "print('torch' in sys.modules, 'mxnet' in sys.modules)"
    )
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["True", "False"]
