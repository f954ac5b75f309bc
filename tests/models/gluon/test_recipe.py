"""gluon-cv's recipe in MXNet: targets, losses and updates against formulas in NumPy."""

import math

import numpy as np
import pytest

from models.gluon.arrays import save_parameters
from models.gluon.plain import PlainNet, reestimate_batch_norm
from models.gluon.recipe import make_objective, make_trainer
from models.gluon.runtime import mx
from networks.mobilenet_v1 import network as mobilenet_v1
from pipeline.final.options import parse_options
from utils.errors import UserError

TINY = ",".join(["8"] * 14)
CPU = [mx.cpu()]


def options_of(text):
    """Return the options of a command line, for a tiny network."""
    return parse_options("", [*text.split(), "--configuration", TINY])


def objective_of(text, classes=4):
    """Return the Objective that a command line asks for."""
    options = options_of(text)
    return make_objective(options.targets, mobilenet_v1(classes), CPU, options.execution)


# The loss


class Linear:
    """A network: logits = images' means per channel @ weights; counts its calls."""

    def __init__(self, weights):
        self.weights = mx.nd.array(weights)
        self.weights.attach_grad()

    def __call__(self, images):
        return mx.nd.dot(images.mean(axis=(2, 3)), self.weights)


def softmax(x):
    """Return the softmax of rows."""
    e = np.exp(x - x.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def batch(seed=0, size=6, classes=4):
    """Return images, labels and a Linear network."""
    rng = np.random.default_rng(seed)
    images = rng.normal(size=(size, 3, 2, 2)).astype(np.float32)
    labels = rng.integers(classes, size=size).astype(np.float32)
    return images, labels, Linear(rng.normal(size=(3, classes)))


@pytest.mark.parametrize("share", [1.0, 0.3])
@pytest.mark.parametrize("text", ["--mixup", "--mixup --label-smoothing", "--label-smoothing", ""])
def test_loss_is_cross_entropy_with_mixed_and_smoothed_targets(text, share):
    """Oracle: the formulas of mixup (Zhang 2018) and of label smoothing by 0.1, in NumPy."""
    if "mixup" not in text and share < 1:
        return
    images, labels, net = batch()
    objective = objective_of(text)
    losses = objective(net, mx.nd.array(images), mx.nd.array(labels), share).asnumpy()

    targets = np.eye(4)[labels.astype(int)]
    if "smoothing" in text:
        targets = 0.9 * targets + 0.1 / 4
    targets = share * targets + (1 - share) * targets[::-1]
    mixed = share * images + (1 - share) * images[::-1]
    logits = mixed.mean(axis=(2, 3)) @ net.weights.asnumpy()
    assert losses == pytest.approx(-(targets * np.log(softmax(logits))).sum(axis=1), rel=1e-5)


@pytest.mark.parametrize("hard_weight", [0, 0.3, 1])
@pytest.mark.parametrize("text", ["", "--mixup --label-smoothing"])
def test_distillation_loss(tmp_path, hard_weight, text):
    """Oracle: h CE(labels) + (1 - h) T² CE(teacher at T), in NumPy, on the mixed images."""
    teacher = PlainNet(mobilenet_v1(4), (8,) * 14)
    teacher.initialize()
    images, labels, net = batch()
    images = np.repeat(np.repeat(images, 16, axis=2), 16, axis=3)
    reestimate_batch_norm(teacher, [images])
    teacher.classifier.weight.set_data(mx.nd.arange(32).reshape((4, 8)) / 8)
    save_parameters(teacher, tmp_path / "teacher.params")
    arguments = (
        f"--teacher {tmp_path}/teacher.params --teacher-configuration {TINY} "
        f"--temperature 3 --hard-weight {hard_weight} {text}"
    )
    objective = objective_of(arguments)
    share = 0.3 if text else 1.0
    losses = objective(net, mx.nd.array(images), mx.nd.array(labels), share).asnumpy()

    targets = np.eye(4)[labels.astype(int)]
    if text:
        targets = 0.9 * targets + 0.1 / 4
    targets = share * targets + (1 - share) * targets[::-1]
    mixed = share * images + (1 - share) * images[::-1]
    logits = mixed.mean(axis=(2, 3)) @ net.weights.asnumpy()
    taught = softmax(teacher(mx.nd.array(mixed)).asnumpy() / 3)
    hard = -(targets * np.log(softmax(logits))).sum(axis=1)
    soft = -9 * (taught * np.log(softmax(logits / 3))).sum(axis=1)
    assert np.ptp(taught) > 0.1  # the teacher says something
    assert losses == pytest.approx(hard_weight * hard + (1 - hard_weight) * soft, rel=1e-4)


def test_the_loss_is_recorded_for_the_student_only(tmp_path):
    """Oracle: the gradient of the student is there; the teacher's parameters have none."""
    teacher = PlainNet(mobilenet_v1(4), (8,) * 14)
    teacher.initialize()
    save_parameters(teacher, tmp_path / "teacher.params")
    images, labels, net = batch()
    text = f"--teacher {tmp_path}/teacher.params --teacher-configuration {TINY}"
    objective = objective_of(text)
    images = mx.nd.array(np.repeat(np.repeat(images, 16, axis=2), 16, axis=3))
    mx.autograd.backward(objective(net, images, mx.nd.array(labels), 1.0))
    assert np.abs(net.weights.grad.asnumpy()).max() > 0
    gradients = [p.grad().asnumpy() for p in objective.teacher.collect_params(".*weight").values()]
    assert all(np.all(gradient == 0) for gradient in gradients)


def test_teachers_that_cannot_be_had(tmp_path):
    """Oracle: each message names the teacher."""
    with pytest.raises(UserError, match=r"nothing\.params does not exist"):
        objective_of(f"--teacher {tmp_path}/nothing.params")
    with pytest.raises(UserError, match=r"teacher nonsense50 .* cannot be fetched"):
        objective_of("--teacher nonsense50")
    small = PlainNet(mobilenet_v1(4), (8,) * 14)
    small.initialize()
    save_parameters(small, tmp_path / "small.params")
    with pytest.raises(UserError, match=r"small\.params does not fit"):  # it is no MOBILENET
        objective_of(f"--teacher {tmp_path}/small.params")


def test_a_teacher_that_cannot_be_downloaded_is_named(monkeypatch, tmp_path):
    """Oracle: gluon-cv's download of a real name from an address where nobody listens."""
    monkeypatch.setenv("MXNET_HOME", str(tmp_path))
    monkeypatch.setenv("MXNET_GLUON_REPO", "http://127.0.0.1:9/")
    with pytest.raises(UserError, match=r"teacher mobilenet0\.25 .* cannot be fetched"):
        objective_of("--teacher mobilenet0.25", 1000)


# The optimiser


@pytest.mark.parametrize("text", ["", "--no-wd"])
def test_weight_decay_of_biases_and_batch_norm(text):
    """Oracle: one update with zero gradients shrinks what is decayed by lr × wd, nothing else."""
    net = PlainNet(mobilenet_v1(4), (8,) * 14)
    net.initialize()
    net(mx.nd.zeros((1, 3, 32, 32)))
    trainer = make_trainer(net, options_of(f"--lr 0.5 --wd 0.1 --momentum 0 {text}").schedule, 10)
    parameters = net.collect_params()
    learned = {n: p for n, p in parameters.items() if p.grad_req != "null"}
    for parameter in learned.values():
        parameter.set_data(mx.nd.ones(parameter.shape))
    with mx.autograd.record():
        loss = net(mx.nd.zeros((2, 3, 32, 32))).sum() * 0
    loss.backward()
    trainer.step(1)
    for name, parameter in learned.items():
        spared = text and not name.endswith("weight")
        assert np.allclose(parameter.data().asnumpy(), 1 if spared else 0.95), name


def test_the_optimiser_is_nesterov_momentum_with_the_schedule():
    """Oracle: g = 1 thrice: w -= lr (1 + m + … ) by hand for momentum 0.9, without decay."""
    net = mx.gluon.nn.Dense(1, in_units=1, use_bias=False)
    net.initialize(mx.init.Zero())
    schedule = options_of("--lr 0.1 --wd 0 --lr-mode constant --num-epochs 5").schedule
    trainer = make_trainer(net, schedule, steps=10)
    velocity, weight = 0.0, 0.0
    for _ in range(3):
        with mx.autograd.record():
            loss = net(mx.nd.ones((1, 1)))
        loss.backward()
        trainer.step(1)
        velocity = 0.9 * velocity + 1
        weight -= 0.1 * (1 + 0.9 * velocity)
        assert net.weight.data().asscalar() == pytest.approx(weight, rel=1e-5)
    assert trainer.learning_rate == pytest.approx(0.1)
    assert math.isclose(schedule.momentum, 0.9)
