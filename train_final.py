"""Train MobileNet-v1 with one width per layer from scratch: the last step of the width search.

    python train_final.py --data-dir digits --input-size 32 --configuration 0.5xMOBILENET \\
        --num-epochs 10 --lr-mode cosine --save-dir output/final --logging-file output/final.log
    python train_final.py --use-rec --rec-train train.rec --rec-train-idx train.idx \\
        --rec-val val.rec --rec-val-idx val.idx --num-gpus 4 --dtype float16 … --configuration …
    torchrun --nproc-per-node 4 train_final.py --framework pytorch --num-gpus 1 …
    python -m utils.mxnet_launch -n 4 -s 1 --launcher local \\
        python train_final.py --kv-store dist_sync …

Writes into --save-dir: results.jsonl, one line per epoch; mobilenet-0010.params and .states after
10 epochs, every --save-frequency epochs and at the end; mobilenet-best.params and .states; in the
end curves.png, and mobilenet-best.onnx and that of the last epoch, the networks to deploy. A run
goes on exactly where its newest files were written with --resume-last, or from those of epoch N
with
    --resume-epoch N --resume-params mobilenet-N.params --resume-states mobilenet-N.states
Files of another run, and of later epochs, are moved to a new folder earlier-1, … in --save-dir.
Options, defaults and recipe are those of gluon-cv's ImageNet script; what differs is marked. What
depends on the framework is in models/gluon/final.py and models/pytorch/final.py.
"""

if __name__ == "__main__":  # before the imports that take seconds
    from utils.startup import prepare

    prepare()

import math
import time

import msgspec
import numpy as np

from models.recipe import mixup_share
from pipeline.final import files as final_files
from pipeline.final.onnx_export import check_onnxruntime, export_onnx
from pipeline.final.options import parse_options
from pipeline.final.results import Record, Result, draw_curves
from pipeline.final.resume import check_paths, start
from utils.errors import UserError, exits_with_one_line
from utils.images.batches import DatasetBatches
from utils.images.dataset import Recipe
from utils.images.open_dataset import open_dataset
from utils.images.recordio_images import open_records
from utils.memory import check_images_fit, naming_what_needs_memory
from utils.progress import progress_bar

JITTER, LIGHTING = 0.4, 0.1  # of the colours of training images, as in gluon-cv
HEARTBEAT_S = 60  # between two signs of life of the process that validates
MIXUP_STREAM = 1  # sets the mixtures' random numbers apart from those of the order of the images


@exits_with_one_line
@naming_what_needs_memory("--batch-size", "--input-size", "--num-workers")
def main(arguments=None):
    """Train, evaluate and save, epoch after epoch; then export."""
    options = parse_options(__doc__, arguments)
    check_paths(options)
    check_images_fit(options.batch_size, options.input_size, "--batch-size", "--input-size")
    with open_training(options) as training:
        data = open_data(options, training)
        classes = check_classes(options, data)
        training.build(classes, data.steps)
        is_first = training.rank == 0  # of the processes: the one that writes
        if is_first:
            check_onnxruntime()

        with Record(options, is_first) as record:
            record.note(str(vars(options)))
            done, best = start(training, options, data.steps, record)
            for epoch in range(done, options.num_epochs):
                began = time.perf_counter()
                train_loss = train_epoch(training, data, epoch, options, record)
                train_s = time.perf_counter() - began
                val_loss, top1, top5 = validate(training, data, epoch, options)
                result = Result(
                    epoch=epoch + 1,
                    configuration=options.configuration,
                    train_loss=train_loss,
                    val_loss=val_loss,
                    val_top1=top1,
                    val_top5=top5,
                    learning_rate=training.learning_rate,
                    images_per_s=data.steps * training.batch_size * training.ranks / train_s,
                    epoch_s=time.perf_counter() - began,
                )
                is_best = top1 >= best
                best = max(best, top1)
                record.append(result)
                if is_first:
                    save(training, options, result, best, is_best)
                record.show(str(result))
            record.show(f"best validation top-1 {best:.4f}")
            if is_first:
                draw_curves(options.save_dir)
                for name in (final_files.BEST, final_files.of_epoch(options.num_epochs)):
                    export(training, data, options, classes, name, record)


def open_training(options):
    """Return the training of the framework that the options name; no other one is imported."""
    try:
        if options.framework == "mxnet":
            from models.gluon.final import MXNetFinalTraining as Training
        else:
            from models.pytorch.final import TorchFinalTraining as Training
    except ModuleNotFoundError as error:
        package = error.name.partition(".")[0]
        raise UserError(
            f"--framework {options.framework} needs the Python package {package!r}"
        ) from None
    return Training(options)


def open_data(options, training):
    """Return the batches of embedded data, of an image folder or of RecordIO files."""
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
    data = DatasetBatches(
        train,
        val,
        training.batch_size,
        options.num_workers,
        options.seed,
        training.read,
        training.rank,
        training.ranks,
    )
    if not data.steps:
        size = training.batch_size * training.ranks
        raise UserError(f"{len(train)} are too few training images for one batch of {size}")
    return data


def check_classes(options, data):
    """Return the number of classes, --num-classes or the data's; UserError if it is too small."""
    # Differs from gluon-cv: its 1000 classes and 1,281,167 images are constants.
    classes = options.num_classes or data.classes
    if classes < data.classes:
        raise UserError(f"--num-classes {classes} is fewer than the data's {data.classes}")
    return classes


def train_epoch(training, data, epoch, options, record):
    """Train for an epoch and return the mean loss; UserError if a loss is not finite."""
    rng = np.random.default_rng((options.seed, epoch, MIXUP_STREAM))
    total, start = 0.0, time.perf_counter()
    title = f"epoch {epoch + 1}/{options.num_epochs}"
    batches = data.train_batches(epoch)
    progress = bar_of_first(training, batches, title, data.steps)
    for step, (images, labels) in enumerate(progress, start=1):
        loss = training.step(images, labels, mixup_share(options, epoch, rng))
        check_finite(loss, f"epoch {epoch + 1}, batch {step}", options)
        total += loss
        if options.log_interval and step % options.log_interval == 0:
            seen = step * training.batch_size * training.ranks
            record.note(
                f"{title}  batch {step}/{data.steps}  loss {total / step:.4f}  "
                f"lr {training.learning_rate:.5f}  "
                f"{seen / (time.perf_counter() - start):.0f} images/s"
            )
        progress.set_postfix(loss=f"{total / step:.3f}", refresh=False)
    return total / data.steps


def validate(training, data, epoch, options):
    """Return (mean cross entropy, top-1 accuracy, top-5 accuracy) on the validation images.

    The first process validates, with statistics from the images of all; the others wait for it.
    """
    training.average_statistics()
    measured = np.zeros(3)
    if training.rank == 0:
        batches = bar_of_first(training, data.val_batches(), "validation", data.val_steps)
        batches = others_waiting(training, batches)
        shares = zip(
            *(training.evaluate(images, labels) for images, labels in batches), strict=True
        )
        losses, ranks = map(np.concatenate, shares)  # rank 1: no other class has as great a logit
        measured = [losses.mean(), (ranks <= 1).mean(), (ranks <= 5).mean()]
    else:
        wait_for_first(training)
    measured = [training.sum_over_ranks(float(each)) for each in measured]
    check_finite(measured[0], f"validation after epoch {epoch + 1}", options)
    return measured


def bar_of_first(training, batches, title, total):
    """Return a bar over batches, shown by the first process only."""
    others = training.rank > 0
    return progress_bar(batches, title, total, leave=False, unit="batch", disable=others)


def others_waiting(training, batches):
    """Yield batches in the first process, while the others are in wait_for_first.

    Now and then they hear that it goes on; from a process that they hear nothing of they part.
    """
    heard = time.monotonic()
    for batch in batches:
        yield batch
        if time.monotonic() - heard > HEARTBEAT_S:
            training.sum_over_ranks(0.0)
            heard = time.monotonic()
    training.sum_over_ranks(1.0)


def wait_for_first(training):
    """Wait until the first process has come to the end of its batches."""
    while not training.sum_over_ranks(0.0):
        pass


def check_finite(loss, when, options):
    """Raise UserError if a loss is NaN or infinite; the files of earlier epochs are left as is."""
    if not math.isfinite(loss):
        raise UserError(
            f"{when}: the loss is {loss}; try a smaller --lr than {options.lr} or a longer "
            f"--warmup-epochs. The files in {options.save_dir} are of the epochs before"
        )


def save(training, options, result, best, is_best):
    """Write parameters and optimiser states after an epoch that is due, the last or the best."""
    names = [final_files.BEST] if is_best else []
    if final_files.is_due(options, result.epoch):
        names.append(final_files.of_epoch(result.epoch))
    values = {
        "epoch": result.epoch,
        "val_top1": result.val_top1,
        "best_top1": best,
        "configuration": options.configuration,
        "framework": options.framework,
    }
    for name in names:
        final_files.save(training, options.save_dir, name, values)
    if options.keep:
        final_files.keep_newest(options.keep, options.save_dir)


def export(training, data, options, classes, name, record):
    """Write a saved epoch's network as ONNX, checked on validation images."""
    params, states = final_files.paths(options.save_dir, name)
    if not params.exists():  # this run saved none, it was resumed from another folder
        return
    names = [*data.class_names, *map(str, range(data.classes, classes))]
    _, values = final_files.load_states(states, params)
    about = {"configuration": options.configuration, "classes": names}
    about["training"] = msgspec.structs.asdict(values)
    weights, logits = training.deployed(params)
    images = training.to_numpy(next(iter(data.val_batches()))[0])
    path = params.with_suffix(".onnx")
    difference = export_onnx(path, weights, data.preprocessing, about, images, logits)
    record.show(f"{path}: logits within {difference:.1e} of their size of {options.framework}'s")


if __name__ == "__main__":
    main()
