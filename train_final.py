"""Train MobileNet-v1 with one width per layer from scratch: the last step of the width search.

    python train_final.py --data-dir digits --input-size 32 --configuration 0.5xMOBILENET \\
        --num-epochs 10 --lr-mode cosine --save-dir output/final --logging-file output/final.log
    python train_final.py --use-rec --rec-train train.rec --rec-train-idx train.idx \\
        --rec-val val.rec --rec-val-idx val.idx --num-gpus 4 --dtype float16 … --configuration …

Writes into --save-dir: results.jsonl, one line per epoch; mobilenet-0010.params and .states after
10 epochs, every --save-frequency epochs and at the end; mobilenet-best.params and .states; in the
end curves.png. A run goes on exactly where the files of epoch N were written with
    --resume-epoch N --resume-params mobilenet-N.params --resume-states mobilenet-N.states
Options, defaults and recipe are those of gluon-cv's ImageNet script; what differs is marked.
"""

import math
import time
from dataclasses import asdict

import numpy as np
from tqdm import tqdm

from models.mxnet_mobilenet_v1 import MobileNetV1
from utils import checkpoints
from utils.data import DatasetBatches, open_dataset
from utils.errors import UserError, exits_with_one_line
from utils.final_options import parse_options
from utils.final_recipe import mixup_share
from utils.final_results import Result, curves_of, draw_curves, forget_epochs_after
from utils.image_dataset import Recipe
from utils.log import Log
from utils.mxnet_checkpoints import (
    load_optimiser,
    load_parameters,
    optimiser_arrays,
    save_parameters,
    set_updates,
)
from utils.mxnet_data import batches
from utils.mxnet_recipe import make_objective, make_trainer
from utils.mxnet_runtime import check_dtype, contexts, mx
from utils.record_images import open_records
from utils.records import Appender
from utils.tensorboard import ScalarLog

JITTER, LIGHTING = 0.4, 0.1  # of the colours of training images, as in gluon-cv
MIXUP_STREAM = 1  # sets the mixtures' random numbers apart from those of the order of the images


@exits_with_one_line
def main(arguments=None):
    """Train, evaluate and save, epoch after epoch."""
    options = parse_options(__doc__, arguments)
    devices = contexts(options.num_gpus)
    check_dtype(options.dtype, devices)
    data = open_data(options, len(devices))
    classes = check_classes(options, data)

    mx.random.seed(options.seed)
    net = make_network(options, classes, devices)
    objective = make_objective(options, classes, devices)
    trainer = make_trainer(net, options, data.steps)
    done, best = resume(net, trainer, options, devices, data.steps)

    options.save_dir.mkdir(parents=True, exist_ok=True)
    results_path = options.save_dir / "results.jsonl"
    with (
        Log(options.logging_file) as log,
        Appender(results_path) as results,
        ScalarLog(options.tensorboard, done) as curves,
    ):
        forget_epochs_after(done, results_path)
        log.note(str(vars(options)))
        for epoch in range(done, options.num_epochs):
            start = time.perf_counter()
            train_loss = train_epoch(net, trainer, objective, data, epoch, options, devices, log)
            train_s = time.perf_counter() - start
            val_loss, top1, top5 = evaluate(net, data, options.dtype, devices)
            check_finite(val_loss, f"validation after epoch {epoch + 1}", options)
            result = Result(
                epoch=epoch + 1,
                configuration=options.configuration,
                train_loss=train_loss,
                val_loss=val_loss,
                val_top1=top1,
                val_top5=top5,
                learning_rate=trainer.learning_rate,
                images_per_s=data.steps * data.batch_size / train_s,
                epoch_s=time.perf_counter() - start,
            )
            is_best = top1 >= best
            best = max(best, top1)
            results.append([asdict(result)])
            curves.scalars(result.epoch, curves_of(result))
            save(net, trainer, options, result.epoch, best, is_best)
            log.show(str(result))
        log.show(f"best validation top-1 {best:.4f}")
    draw_curves(options.save_dir)


def open_data(options, devices):
    """Return the batches of embedded data, of an image folder or of RecordIO files."""
    batch_size = options.batch_size * devices
    colours = {"colour_jitter": JITTER, "lighting": LIGHTING}
    if options.use_rec:
        train, val = open_records(
            (options.rec_train, options.rec_train_idx),
            (options.rec_val, options.rec_val_idx),
            Recipe(options.input_size, options.crop_ratio, **colours),
            options.seed,
        )
    else:
        train, val = open_dataset(
            options.data_dir,
            options.input_size,
            options.seed,
            crop_ratio=options.crop_ratio,
            **colours,
        )
    data = DatasetBatches(train, val, batch_size, options.num_workers, options.seed, batches)
    if not data.steps:
        raise UserError(f"there are too few training images for one batch of {batch_size}")
    return data


def check_classes(options, data):
    """Return the number of classes, --num-classes or the data's; UserError if it is too small."""
    # Differs from gluon-cv: its 1000 classes and 1,281,167 images are constants.
    classes = options.num_classes or data.classes
    if classes < data.classes:
        raise UserError(f"--num-classes {classes} is fewer than the data's {data.classes}")
    return classes


def make_network(options, classes, devices):
    """Return the initialised network on its devices."""
    net = MobileNetV1(options.configuration, classes)
    net.initialize(ctx=devices)
    net.cast(options.dtype)
    if options.mode == "hybrid":
        net.hybridize(static_alloc=True, static_shape=True)
    return net


def train_epoch(net, trainer, objective, data, epoch, options, devices, log):
    """Train for an epoch and return the mean loss; UserError if a loss is not finite."""
    rng = np.random.default_rng((options.seed, epoch, MIXUP_STREAM))
    total, start = 0.0, time.perf_counter()
    title = f"epoch {epoch + 1}/{options.num_epochs}"
    progress = tqdm(data.train_batches(epoch), title, data.steps, leave=False, unit="batch")
    for step, (images, labels) in enumerate(progress, start=1):
        share = mixup_share(options, epoch, rng)
        losses = [objective(net, x, y, share) for x, y in shards(images, labels, devices)]
        mx.autograd.backward(losses)
        # Layers ask for new memory layouts of their weights while they run; if the update did not
        # wait, it would sometimes come first, and equal seeds would give unequal losses.
        mx.nd.waitall()
        trainer.step(len(images))
        loss = sum(float(part.sum().asscalar()) for part in losses) / len(images)
        check_finite(loss, f"epoch {epoch + 1}, batch {step}", options)
        total += loss
        if options.log_interval and step % options.log_interval == 0:
            speed = step * data.batch_size / (time.perf_counter() - start)
            log.note(
                f"{title}  batch {step}/{data.steps}  loss {total / step:.4f}  "
                f"lr {trainer.learning_rate:.5f}  {speed:.0f} images/s"
            )
        progress.set_postfix(loss=f"{total / step:.3f}", refresh=False)
    return total / data.steps


def evaluate(net, data, dtype, devices):
    """Return (mean cross entropy, top-1 accuracy, top-5 accuracy) on the validation images."""
    cross_entropy = mx.gluon.loss.SoftmaxCrossEntropyLoss()
    losses, ranks = [], []
    progress = tqdm(data.val_batches(), "validation", data.val_steps, leave=False, unit="batch")
    for images, labels in progress:
        for x, y in shards(images, labels, devices):
            logits = net(x.astype(dtype, copy=False)).astype("float32", copy=False)
            losses.append(cross_entropy(logits, y).asnumpy())
            of_label = mx.nd.pick(logits, y, keepdims=True)
            ranks.append(mx.nd.broadcast_lesser_equal(of_label, logits).sum(axis=1).asnumpy())
        mx.nd.waitall()
    ranks = np.concatenate(ranks)  # 1 where no other class has as great a logit
    return (
        float(np.concatenate(losses).mean()),
        float((ranks <= 1).mean()),
        float((ranks <= 5).mean()),
    )


def shards(images, labels, devices):
    """Return each device's share (images, float32 labels) of a batch, on the device."""
    devices = devices[: len(images)]  # a last batch may have fewer images than there are devices
    split = mx.gluon.utils.split_and_load
    images = split(images, devices, even_split=False)
    labels = split(labels.astype("float32"), devices, even_split=False)
    return zip(images, labels, strict=True)


def check_finite(loss, when, options):
    """Raise UserError if a loss is NaN or infinite; the files of earlier epochs are left as is."""
    if not math.isfinite(loss):
        raise UserError(
            f"{when}: the loss is {loss}; try a smaller --lr than {options.lr} or a longer "
            f"--warmup-epochs. The files in {options.save_dir} are of the epochs before"
        )


def save(net, trainer, options, epoch, best, is_best):
    """Write parameters and optimiser states after an epoch that is due, the last or the best."""
    names = ["mobilenet-best"] if is_best else []
    due = options.save_frequency and epoch % options.save_frequency == 0
    if due or epoch == options.num_epochs:
        names.append(f"mobilenet-{epoch:04d}")
    values = {"epoch": epoch, "best_top1": best, "configuration": options.configuration}
    for name in names:
        save_parameters(net, options.save_dir / f"{name}.params")
        states = optimiser_arrays(trainer, net)
        checkpoints.save(options.save_dir / f"{name}.states", states, values)


def resume(net, trainer, options, devices, steps):
    """Load what the options resume from; return (epochs done, best top-1 so far)."""
    if not options.resume_params:
        return 0, 0.0
    load_parameters(net, options.resume_params, devices)
    set_updates(trainer, options.resume_epoch * steps)
    if not options.resume_states:
        return options.resume_epoch, 0.0
    arrays, values = checkpoints.load(options.resume_states)
    asked = {"epoch": options.resume_epoch, "configuration": list(options.configuration)}
    for name, value in asked.items():
        if values.get(name) != value:
            raise UserError(
                f"{options.resume_states} is of {name} {values.get(name)}, not of {value}"
            )
    load_optimiser(trainer, net, arrays, options.resume_states)
    return options.resume_epoch, values["best_top1"]


if __name__ == "__main__":
    main()
