"""gluon-cv's ImageNet recipe in MXNet: learning rates, optimiser, targets and losses."""

from dataclasses import dataclass

from utils.mxnet_runtime import mx

# isort: split
# gluoncv imports MXNet, which utils.mxnet_runtime has to do first.

from gluoncv.loss import DistillationSoftmaxCrossEntropyLoss
from gluoncv.model_zoo import get_model
from gluoncv.utils import LRScheduler, LRSequential

from models.mxnet_mobilenet_v1 import MobileNetV1
from utils.errors import UserError
from utils.mxnet_checkpoints import load_parameters

SMOOTHING = 0.1


def learning_rates(options, steps):
    """Return gluon-cv's schedule: a linear warm-up, then --lr-mode, in epochs of `steps` steps."""
    if options.lr_decay_period:
        decays = range(options.lr_decay_period, options.num_epochs, options.lr_decay_period)
    else:
        decays = options.lr_decay_epoch
    warmup = options.warmup_epochs * steps
    updates = options.num_epochs * steps
    return LRSequential(
        [
            _stage("linear", options.warmup_lr, options.lr, warmup),
            _stage(
                options.lr_mode,
                options.lr,
                0,
                updates - warmup,
                step_iter=[epoch * steps - warmup for epoch in decays],
                step_factor=options.lr_decay,
            ),
        ]
    )


def _stage(mode, start, end, updates, **step):
    if updates == 1:  # a schedule of gluon-cv divides by updates - 1
        return LRScheduler("constant", base_lr=start, niters=1)
    return LRScheduler(mode, base_lr=start, target_lr=end, niters=updates, **step)


def make_trainer(net, options, steps):
    """Return the trainer of an initialised network: SGD with Nesterov momentum."""
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
    return mx.gluon.Trainer(net.collect_params(), "nag", settings, update_on_kvstore=False)


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


def mixup_share(options, epoch, rng):
    """Return a batch's share of each image in its mixture, 1 where nothing is mixed."""
    if not options.mixup or epoch >= options.num_epochs - options.mixup_off_epoch:
        return 1.0
    return rng.beta(options.mixup_alpha, options.mixup_alpha)


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
