"""Train a network with the widths that were found: the last step of the width search.

    python train_final.py --data-dir digits --input-size 32 --configuration 0.5xMOBILENET \\
        --num-epochs 10 --lr-mode cosine --save-dir output/final --logging-file output/final.log
    python train_final.py --from-supernet output/ows …                  at the answer's weights
    python train_final.py --use-rec --rec-train train.rec --rec-train-idx train.idx \\
        --rec-val val.rec --rec-val-idx val.idx --num-gpus 4 --dtype float16 … --configuration …
    torchrun --nproc-per-node 4 train_final.py --framework pytorch --num-gpus 1 …
    python -m utils.mxnet_launch -n 4 -s 1 --launcher local \\
        python train_final.py --kv-store dist_sync …

Writes into --save-dir: results.jsonl, one line per epoch; mobilenet-0010.params and .states after
10 epochs, every --save-frequency epochs and at the end; mobilenet-best.params and .states; at the
end curves.png, and mobilenet-best.onnx (with --export tflite also .tflite) and that of the last
epoch, the networks to deploy. With --resume-last a run goes on exactly where its newest files were
written; from those of epoch N with
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
from dataclasses import replace

import msgspec
import numpy as np

from models.arrays import has_average
from models.recipe import mixup_share
from networks import open_network
from pipeline.final import files as final_files
from pipeline.final.exports import check_runtimes, exporters
from pipeline.final.options import parse_options
from pipeline.final.plots import draw_curves
from pipeline.final.record import Record
from pipeline.final.results import Result, named
from pipeline.final.resume import begun, check_paths, start
from pipeline.final.supernet import open_source
from pipeline.final.validation import bar_of_first, validate
from utils.errors import UserError, exits_with_one_line
from utils.images.batches import DatasetBatches
from utils.images.dataset import Recipe
from utils.images.open_dataset import open_dataset
from utils.images.recordio_images import open_records
from utils.memory import check_images_fit, naming_what_needs_memory
from utils.random_streams import MIXUP
from utils.time_estimate import TimeEstimate

JITTER, LIGHTING = 0.4, 0.1  # of the colours of training images, as in gluon-cv


@exits_with_one_line
@naming_what_needs_memory("--batch-size", "--input-size", "--num-workers")
def main(arguments=None):
    """Train, evaluate and save, epoch after epoch; then export."""
    options = parse_options(__doc__, arguments)
    check_paths(options)
    run(*open_source(options, begun(options.files)))


def run(options, supernet):
    """Train as Options ask for, from a Supernet's weights unless it is None; then export."""
    check_images_fit(
        options.data.batch_size, options.data.input_size, "--batch-size", "--input-size"
    )
    with open_training(options.execution, options.data.batch_size) as training:
        data = open_data(options.data, training)
        classes = check_classes(options.data, data, supernet)
        network = open_network(options.network, classes)
        if options.network.endswith(".py"):
            options = replace(options, network_sha256=network.sha256)
        network.check_normalised(options.data.batch_size, options.data.input_size)
        training.build(
            network,
            options.configuration,
            options.data.seed,
            options.schedule,
            options.targets,
            data.steps,
            supernet and supernet.weights,
        )
        is_first = training.rank == 0  # of the processes: the one that writes
        if is_first:
            check_runtimes(options.files.export)
        with Record(options.files, is_first) as record:
            record.note(str(options.as_dict()))
            train(training, data, options, supernet, record)
            if is_first:
                draw_curves(options.files.save_dir)
                for name in (final_files.BEST, final_files.of_epoch(options.schedule.num_epochs)):
                    export_epoch(training, data, options, classes, name, record)


def open_training(execution, batch_size):
    """Open the training of the framework that is asked for; no other one is imported."""
    try:
        if execution.framework == "mxnet":
            from models.gluon.final import open_training as open_in
        else:
            from models.pytorch.final import open_training as open_in
    except ModuleNotFoundError as error:
        package = error.name.partition(".")[0]
        raise UserError(
            f"--framework {execution.framework} needs the Python package {package!r}"
        ) from None
    return open_in(execution, batch_size)


def open_data(options, training):
    """Return the batches of embedded data, of an image folder or of RecordIO files.

    options: the Data that are asked for
    """
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
        training.world_size,
    )
    if not data.steps:
        size = training.batch_size * training.world_size
        raise UserError(f"{len(train)} are too few training images for one batch of {size}")
    return data


def check_classes(options, data, supernet):
    """Return the number of classes, --num-classes or the data's; UserError if it does not fit."""
    # Differs from gluon-cv: its 1000 classes and 1,281,167 images are constants.
    classes = options.num_classes or data.classes
    if classes < data.classes:
        raise UserError(f"--num-classes {classes} is fewer than the data's {data.classes}")
    if supernet and supernet.space.classes != classes:
        folder, trained = supernet.source.folder, supernet.space.classes
        raise UserError(f"{folder} holds a supernet of {trained} classes, not of {classes}")
    return classes


def train(training, data, options, supernet, record):
    """Train the epochs that are not done yet, with a line of results.jsonl and files after each."""
    done, best = start(training, options, supernet, data, record)
    if options.source and not done:
        scores = validate(training, data)[0]
        record.show(
            f"started from {options.source.folder} after epoch {options.source.epoch}  "
            f"validation: loss {scores.loss:.4f} top-1 {scores.top1:.4f}"
        )
    epochs = options.schedule.num_epochs
    estimate = TimeEstimate((epochs - done) * data.steps, record.show)
    for epoch in range(done, epochs):
        began = time.perf_counter()
        train_loss = train_epoch(training, data, epoch, options, record, estimate)
        train_s = time.perf_counter() - began
        scores = validate(training, data)
        for each in scores:
            check_finite(each.loss, f"validation after epoch {epoch + 1}", options)
        result = Result(
            epoch=epoch + 1,
            configuration=options.configuration,
            train_loss=train_loss,
            **named(scores),
            learning_rate=training.learning_rate,
            images_per_s=data.steps * training.batch_size * training.world_size / train_s,
            epoch_s=time.perf_counter() - began,
            from_supernet=options.source,
        )
        is_best = result.val_top1 >= best
        best = max(best, result.val_top1)
        record.append(result)
        if training.rank == 0:
            save(training, options, result, best, is_best)
        record.show(str(result))
    record.show(f"best validation top-1 {best:.4f}")


def train_epoch(training, data, epoch, options, record, estimate):
    """Train for an epoch and return the mean loss; UserError if a loss is not finite."""
    rng = np.random.default_rng((options.data.seed, MIXUP, epoch))
    total, begun = 0.0, time.perf_counter()
    epochs, log_interval = options.schedule.num_epochs, options.files.log_interval
    title = f"epoch {epoch + 1}/{epochs}"
    batches = data.train_batches(epoch)
    progress = bar_of_first(training, batches, title, data.steps)
    for step, (images, labels) in enumerate(progress, start=1):
        share = mixup_share(options.targets, epochs - epoch, rng)
        loss = training.step(images, labels, share)
        estimate.step()
        check_finite(loss, f"epoch {epoch + 1}, batch {step}", options)
        total += loss
        if log_interval and step % log_interval == 0:
            seen = step * training.batch_size * training.world_size
            record.note(
                f"{title}  batch {step}/{data.steps}  loss {total / step:.4f}  "
                f"lr {training.learning_rate:.5f}  "
                f"{seen / (time.perf_counter() - begun):.0f} images/s"
            )
        progress.set_postfix(loss=f"{total / step:.3f}", refresh=False)
    return total / data.steps


def check_finite(loss, when, options):
    """Raise UserError if a loss is NaN or infinite; the files of earlier epochs are left as is."""
    if not math.isfinite(loss):
        lr, folder = options.schedule.lr, options.files.save_dir
        raise UserError(
            f"{when}: the loss is {loss}; try a smaller --lr than {lr} or a longer "
            f"--warmup-epochs. The files in {folder} are of the epochs before"
        )


def save(training, options, result, best, is_best):
    """Write parameters and optimiser states after an epoch that is due, the last or the best."""
    files = options.files
    names = [final_files.BEST] if is_best else []
    if final_files.is_due(result.epoch, files.save_frequency, options.schedule.num_epochs):
        names.append(final_files.of_epoch(result.epoch))
    values = {
        "epoch": result.epoch,
        "val_top1": result.val_top1,
        "best_top1": best,
        "network": options.network,
        "network_sha256": options.network_sha256,
        "configuration": options.configuration,
        "framework": options.execution.framework,
        "average": options.schedule.average,
        "averaged_val_top1": result.averaged_val_top1,
        "from_supernet": msgspec.to_builtins(options.source),
    }
    for name in names:
        final_files.save(training, files.save_dir, name, values)
    if files.keep:
        final_files.keep_newest(files.keep, files.save_dir)


def unused_names(used, classes):
    """Yield names of the classes from len(used) to classes - 1, of which there are no images."""
    for number in range(len(used), classes):
        yield f"{number} (no images)" if str(number) in used else str(number)


def export_epoch(training, data, options, classes, name, record):
    """Export a saved epoch's network and, if there is one, that of the averaged weights."""
    params, states = final_files.paths(options.files.save_dir, name)
    if not params.exists():  # this run saved none: it was resumed from another folder
        return
    names = [*data.class_names, *unused_names(data.class_names, classes)]
    arrays, values = final_files.load_states(states, params)
    about = {
        "network": options.network,
        "configuration": options.configuration,
        "classes": names,
        "training": msgspec.to_builtins(values),
    }
    export(training, data, options, params, about, record)
    if has_average(arrays):
        averaged = params.with_suffix(".averaged.params")
        training.save_averaged(arrays, states, averaged)
        export(training, data, options, averaged, about | {"weights": "averaged"}, record)


def export(training, data, options, params, about, record):
    """Write the network of a parameters file to deploy, checked on validation images."""
    weights, logits = training.deployed(params)
    batch = next(iter(data.val_batches()), None)
    if batch is None:
        raise UserError("none of the validation images can be read: the export is not checked")
    images = training.to_numpy(batch[0])
    framework = options.execution.framework
    for suffix, write in exporters(options.files.export).items():
        path = params.with_suffix(suffix)
        difference = write(path, weights, data.preprocessing, about, images, logits)
        record.show(f"{path}: logits within {difference:.1e} of their size of {framework}'s")


if __name__ == "__main__":
    main()
