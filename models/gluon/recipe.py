"""gluon-cv's ImageNet recipe in MXNet: optimiser, targets and losses."""

from dataclasses import dataclass

from models.gluon.runtime import mx

# isort: split
# gluoncv imports MXNet, which models.gluon.runtime has to do first.

from gluoncv.loss import DistillationSoftmaxCrossEntropyLoss
from gluoncv.model_zoo import get_model

from models.gluon.arrays import load_parameters
from models.gluon.mobilenet_v1 import MobileNetV1
from models.recipe import SMOOTHING, learning_rates
from utils.errors import UserError


def make_trainer(net, options, steps, kvstore="device"):
    """Return the trainer of an initialised network: SGD with Nesterov momentum.

    kvstore: what adds up the gradients of several devices, a name or a KVStore
    """
    if options.no_wd:
        for parameter in net.collect_params(".*beta|.*gamma|.*bias").values():
            parameter.wd_mult = 0.0
    settings = {
        "wd": options.wd,
        "momentum": options.momentum,
        "lr_scheduler": learning_rates(options, steps),
        "multi_precision": options.dtype != "float32",
    }
    # The momenta are saved from the trainer, so they must not live in MXNet's kvstore.
    return mx.gluon.Trainer(
        net.collect_params(), "nag", settings, kvstore=kvstore, update_on_kvstore=False
    )


@dataclass(frozen=True)
class Objective:
    """The training loss: cross entropy with smoothed, mixed or a teacher's targets, as asked for.

    objective(net, images, labels, share) -> recorded losses (B,), where each image is `share` of
    itself and 1 - share of the image at the same place from the batch's end.
    """

    classes: int
    dtype: str
    soft: bool  # the targets are distributions, not class numbers
    smoothing: float
    loss: object
    teacher: object  # a network, or None
    temperature: float

    def __call__(self, net, images, labels, share):
        """Return the losses (B,) of images (B, 3, H, W) and labels (B,)."""
        targets = self._distributions(labels) if self.soft else labels
        if share < 1:
            images, targets = (share * x + (1 - share) * x[::-1] for x in (images, targets))
        images = images.astype(self.dtype, copy=False)
        taught = []
        if self.teacher is not None:
            logits = self.teacher(images).astype("float32", copy=False)
            taught = [mx.nd.softmax(logits / self.temperature)]
        with mx.autograd.record():
            logits = net(images).astype("float32", copy=False)
            return self.loss(logits, targets, *taught)

    def _distributions(self, labels):
        off = self.smoothing / self.classes
        return mx.nd.one_hot(labels, self.classes, 1 - self.smoothing + off, off)


def make_objective(options, classes, contexts):
    """Return the Objective that the options ask for."""
    soft = options.mixup or options.label_smoothing
    teacher = load_teacher(options, classes, contexts) if options.teacher else None
    if teacher is None:
        loss = mx.gluon.loss.SoftmaxCrossEntropyLoss(sparse_label=not soft)
    else:
        loss = DistillationSoftmaxCrossEntropyLoss(
            options.temperature, options.hard_weight, sparse_label=not soft
        )
    return Objective(
        classes,
        options.dtype,
        soft,
        SMOOTHING if options.label_smoothing else 0.0,
        loss,
        teacher,
        options.temperature,
    )


def load_teacher(options, classes, contexts):
    """Return the network to distil, from a .params file or downloaded by its gluon-cv name.

    Raises UserError if it cannot be had or has other classes.
    """
    # Differs from gluon-cv: a teacher may also be a file written by this project.
    if options.teacher.endswith(".params"):
        teacher = MobileNetV1(options.teacher_configuration, classes)
        load_parameters(teacher, options.teacher, contexts)
    else:
        try:
            teacher = get_model(options.teacher, pretrained=True, classes=classes, ctx=contexts)
        # Of a missing network, an unknown name, other classes, a broken download.
        except (OSError, ValueError, RuntimeError, AssertionError, KeyError) as error:
            raise UserError(
                f"teacher {options.teacher} is no .params file and cannot be fetched from "
                f"gluon-cv's model zoo for {classes} classes ({str(error).splitlines()[0]})"
            ) from None
    teacher.cast(options.dtype)
    if options.mode == "hybrid":
        teacher.hybridize(static_alloc=True, static_shape=True)
    return teacher
