"""gluon-cv's ImageNet recipe in MXNet: optimiser, targets and losses."""

from dataclasses import dataclass

from models.gluon.runtime import mx

# isort: split
# gluoncv imports MXNet, which models.gluon.runtime has to do first.

from gluoncv.loss import DistillationSoftmaxCrossEntropyLoss
from gluoncv.model_zoo import get_model

from models.gluon.arrays import load_parameters, load_weights
from models.gluon.plain import PlainNet
from models.recipe import SUPERNET, learning_rates
from utils.user_error import UserError, first_line


def make_trainer(net, schedule, steps, dtype="float32", kvstore="device"):
    """Return the trainer of an initialised network for a Schedule, with epochs of `steps` steps.

    kvstore: what sums the gradients of several devices, a name or a KVStore
    """
    if schedule.no_wd:
        for parameter in net.collect_params(".*beta|.*gamma|.*bias").values():
            parameter.wd_mult = 0.0
    settings = {
        "wd": schedule.wd,
        "momentum": schedule.momentum,
        "lr_scheduler": learning_rates(schedule, steps),
        "multi_precision": dtype != "float32",
    }
    # The momenta are saved from the trainer, so they must not live in MXNet's kvstore.
    return mx.gluon.Trainer(
        net.collect_params(), "nag", settings, kvstore=kvstore, update_on_kvstore=False
    )


@dataclass(frozen=True)
class Objective:
    """The training loss: cross entropy with smoothed, mixed or a teacher's targets, as configured.

    objective(net, images, labels, share) -> recorded losses (B,), where each image is `share` of
    itself plus 1 - share of the image at the same position from the batch's end.
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


def make_objective(targets, network, contexts, execution, supernet=None):
    """Return the Objective of Targets; a teacher runs as the Execution says.

    supernet: TrainedWeights of its widest network, if that is the teacher
    """
    soft, teacher = targets.mixup or targets.label_smoothing, None
    if targets.teacher:
        teacher = load_teacher(targets, network, contexts, execution, supernet)
    if teacher is None:
        loss = mx.gluon.loss.SoftmaxCrossEntropyLoss(sparse_label=not soft)
    else:
        loss = DistillationSoftmaxCrossEntropyLoss(
            targets.temperature, targets.hard_weight, sparse_label=not soft
        )
    return Objective(
        network.classes,
        execution.dtype,
        soft,
        targets.smoothing,
        loss,
        teacher,
        targets.temperature,
    )


def load_teacher(targets, network, contexts, execution, supernet=None):
    """Return the teacher: a supernet, from a .params file or downloaded by its gluon-cv name.

    Raises UserError if it cannot be loaded or has other classes.
    """
    # Differs from gluon-cv: a teacher may also be a file written by this project.
    if targets.teacher == SUPERNET:
        teacher = PlainNet(network, targets.teacher_configuration)
        teacher.initialize(ctx=contexts)
        load_weights(teacher, supernet)
    elif targets.teacher.endswith(".params"):
        teacher = PlainNet(network, targets.teacher_configuration)
        load_parameters(teacher, targets.teacher, contexts)
    else:
        try:
            about = {"classes": network.classes, "ctx": contexts}
            teacher = get_model(targets.teacher, pretrained=True, **about)
        # No connection, an unknown name, other classes, a broken download.
        except (OSError, ValueError, RuntimeError, AssertionError, KeyError) as error:
            raise UserError(
                f"teacher {targets.teacher} is not a .params file and cannot be fetched from "
                f"gluon-cv's model zoo for {network.classes} classes ({first_line(error)})"
            ) from None
    teacher.cast(execution.dtype)
    if execution.mode == "hybrid":
        teacher.hybridize(static_alloc=True, static_shape=True)
    return teacher
