"""Training steps of train_final.py in MXNet and in PyTorch, from the same parameters."""

import dataclasses

import numpy as np
import pytest
import torch

from models.gluon import recipe as mxnet_recipe
from models.gluon.arrays import save_parameters
from models.gluon.plain import PlainNet as GluonNet
from models.gluon.runtime import mx
from models.pytorch import recipe as torch_recipe
from models.pytorch.arrays import save_parameters as save_torch_parameters
from networks.mobilenet_v1 import network as mobilenet_v1
from pipeline.final.options import parse_options
from tests.helpers.copied_nets import copied, copied_nets, names
from tests.helpers.mxnet_nets import images, randomized

CONFIGURATION = (16, 32, 24, 40, 16, 48, 56, 32, 24, 40, 48, 16, 64, 48)
TEACHER = (24,) * 14
CLASSES, STEPS = 5, 4
NETWORK = mobilenet_v1(CLASSES)
RECIPE = "--lr 0.1 --wd 0.1 --num-epochs 3 --lr-mode cosine"
TARGETS = [
    "",
    "--no-wd --label-smoothing",
    "--mixup",
    "--no-wd --mixup --label-smoothing --teacher",
]


def options_of(text, folder, framework):
    """Return the options of a command line, with the teacher's file if one is asked for."""
    if text.endswith("--teacher"):
        widths = ",".join(map(str, TEACHER))
        text += f" {folder}/{framework}.params --teacher-configuration {widths} --temperature 3"
    words = f"{RECIPE} {text} --configuration MOBILENET --framework {framework}"
    return parse_options("", words.split())


class Both:
    """The two frameworks' nets, objectives and optimisers, in double precision.

    In single precision batch statistics amplify what kernels round differently to about 1e-4.
    """

    def __init__(self, text, folder):
        self.gluon, self.net = copied_nets(CONFIGURATION, NETWORK, fused=False)
        gluon_teacher = randomized(GluonNet(NETWORK, TEACHER, fused=False), seed=1)
        save_parameters(gluon_teacher, folder / "mxnet.params")
        save_torch_parameters(copied(gluon_teacher), folder / "pytorch.params")
        options = [options_of(text, folder, framework) for framework in ("mxnet", "pytorch")]
        asked = options[0].targets, NETWORK, [mx.cpu()], options[0].execution
        objective = mxnet_recipe.make_objective(*asked)
        self.gluon.cast("float64")
        if objective.teacher:  # with its BatchNorm and ReLU fused, it has single precision only
            gluon_teacher.cast("float64")
            objective = dataclasses.replace(objective, teacher=gluon_teacher)
        self.gluon_objective = dataclasses.replace(objective, dtype="float64")
        self.objective = torch_recipe.make_objective(
            options[1].targets, NETWORK, torch.device("cpu")
        )
        self.net.double()
        if self.objective.teacher:
            self.objective.teacher.double()
        self.trainer = mxnet_recipe.make_trainer(self.gluon, options[0].schedule, STEPS)
        self.optimiser = torch_recipe.make_optimiser(self.net, options[1].schedule, STEPS)

    def step(self, seed, share):
        """Make a step in both; return their losses and gradients, and make the updates."""
        x = images(12, 64, seed).astype("float64")
        y = np.random.default_rng(seed).integers(CLASSES, size=12)
        gluon_losses = self.gluon_objective(self.gluon, x, mx.nd.array(y), share)
        gluon_losses.backward()
        self.net.train()
        self.optimiser.zero_grad()
        losses = self.objective(self.net, torch.tensor(x.asnumpy()), torch.tensor(y), share)
        losses.mean().backward()
        learned = dict(self.net.named_parameters())
        gradients = [
            (parameter.grad().asnumpy() / 12, learned[name].grad.numpy())
            for name, parameter in zip(names(self.net), self.parameters(), strict=True)
            if name in learned
        ]
        mx.nd.waitall()
        self.trainer.step(12)
        self.optimiser.step()
        return (gluon_losses.asnumpy(), losses.detach().numpy()), gradients

    def parameters(self):
        """Return the Gluon net's parameters and statistics, in the order of `names`."""
        return self.gluon.collect_params().values()


def difference(pair):
    """Return the greatest difference of two arrays relative to the greatest entry."""
    one, other = pair
    return np.abs(one - other).max() / np.abs(other).max()


@pytest.mark.parametrize("text", TARGETS)
def test_losses_gradients_and_an_update_agree(text, tmp_path):
    """Oracle: the other framework. Running variances are not compared: PyTorch's are unbiased."""
    both = Both(text, tmp_path)
    losses, gradients = both.step(seed=0, share=0.3 if "mixup" in text else 1.0)
    assert difference(losses) < 1e-5
    assert max(map(difference, gradients)) < 1e-4
    state = both.net.state_dict()
    for name, parameter in zip(names(both.net), both.parameters(), strict=True):
        if not name.endswith("running_var"):
            assert difference((parameter.data().asnumpy(), state[name].numpy())) < 1e-4, name


@pytest.mark.parametrize("momentum", [0.9, 0])
def test_updates_agree(momentum):
    """Oracle: MXNet's `nag`, over many updates of random gradients with changing learning rates."""
    text = f"--lr 0.3 --wd 0.2 --momentum {momentum} --num-epochs 4 --lr-mode cosine"
    schedule = parse_options("", [*text.split(), "--configuration", "MOBILENET"]).schedule
    layer = mx.gluon.nn.Dense(3, in_units=4, use_bias=False)
    layer.initialize()
    weight = torch.nn.Linear(4, 3, bias=False)
    weight.weight.data = torch.tensor(layer.weight.data().asnumpy())
    trainer = mxnet_recipe.make_trainer(layer, schedule, steps=5)
    optimiser = torch_recipe.make_optimiser(weight, schedule, steps=5)
    rng = np.random.default_rng(0)
    for _ in range(22):  # two more than there are in the schedule
        gradient = rng.standard_normal((3, 4), dtype=np.float32)
        layer.weight.grad()[:] = mx.nd.array(gradient)
        weight.weight.grad = torch.from_numpy(gradient)
        trainer._updaters[0](0, layer.weight.grad(), layer.weight.data())
        optimiser.step()
        assert trainer.learning_rate == optimiser.learning_rate
        pair = layer.weight.data().asnumpy(), weight.weight.detach().numpy()
        np.testing.assert_allclose(*pair, rtol=1e-5, atol=1e-6)
