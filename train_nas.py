"""Train a slimmable MobileNet-v1 and find its best widths under a latency target.

    OWS   python train_nas.py --data /imagenet --latency-target 0.04 \
              --latency-model output/model_trt16_K100.0.jsonl \
              --expname output/ows-trt16-0.04 --resume-last
    AOWS  the same with --AOWS, which also steers the widths drawn during training

Latencies are milliseconds per image. In the folder --expname it writes
    checkpoint-NNNN.npz   network, optimiser and width statistics after epoch NNNN; the newest two
    results.jsonl         per epoch the best configuration, its predicted latency and the losses
    aows.jsonl            with --AOWS: temperature, multiplier, decision and probabilities
    widths.png, probabilities.png
Source: Berman et al., AOWS, CVPR 2020.
"""

import time
from contextlib import nullcontext
from dataclasses import asdict
from pathlib import Path

import numpy as np
from tqdm import tqdm

from nas.latency_table import LatencyTable
from nas.search_space import SearchSpace
from nas.supernet_search import SupernetSearch
from utils import checkpoints
from utils.data import open_dataset
from utils.errors import UserError, exits_with_one_line
from utils.nas_options import parse_options
from utils.records import Appender, read_lines, write_lines

RESULTS, DECISIONS = "results.jsonl", "aows.jsonl"
CHECKPOINTS_KEPT = 2


def search_space_of(options, table):
    """Return the search space: the table's own, unless an option says otherwise."""
    fields = {"input_size": table.input_size, "classes": table.classes}
    fields |= table.metadata.get("search_space", {})
    for name in ("input_size", "min_width", "max_width", "levels"):
        if getattr(options, name) is not None:
            fields[name] = getattr(options, name)
    return SearchSpace.from_dict(fields)


def open_search(options):
    """Return the search: the latency table on the space, with the target checked."""
    table = LatencyTable.load(options.latency_model)
    schedule = {
        "epochs": options.epochs,
        "warmup": options.AOWS_warmup,
        "minimum": options.AOWS_min_temp,
    }
    return SupernetSearch(
        search_space_of(options, table),
        table,
        options.latency_target,
        window=options.window,
        gamma_iterations=options.gamma_iter,
        method=options.search,
        schedule=schedule if options.AOWS else None,
    )


def open_data(options, space):
    """Return the training and validation images; their classes must be the table's."""
    train, val = open_dataset(options.data, space.input_size, options.seed)
    if len(train.classes) != space.classes:
        raise UserError(
            f"{options.data} has {len(train.classes)} classes, {options.latency_model} was made "
            f"for {space.classes}: measure with --classes {len(train.classes)}"
        )
    return train, val


def open_network(options, space):
    """Return the slimmable network with its optimiser."""
    # Imported here: a bad table or target is reported before a framework has been loaded.
    from models.mxnet_supernet import MXNetSupernet

    net = MXNetSupernet(
        space,
        num_gpus=0 if options.no_cuda else options.num_gpus,
        momentum=options.momentum,
        weight_decay=options.wd,
        batch_size=options.batch_size,
        workers=options.workers,
        seed=options.seed,
    )
    tqdm.write(f"training on {net.device}")
    return net


def learning_rate(options, progress):
    """Return the learning rate when so many epochs are done."""
    share = progress / options.epochs
    course = {"constant": 1.0, "cosine": (1 + np.cos(np.pi * share)) / 2, "linear": 1 - share}
    return options.lr * options.batch_size / 256 * float(course[options.lr_schedule])


def train_epoch(options, net, search, train, epoch, log):
    """Train one epoch; returns the mean loss of each pass, and the images per second.

    log: the Appender of aows.jsonl; not used by OWS
    """
    steps = net.steps(train)
    means, start = {}, time.perf_counter()
    title = f"epoch {epoch + 1}/{options.epochs}"
    bar = tqdm(net.batches(train, epoch), title, steps, leave=False)
    for step, (images, labels) in enumerate(bar):
        progress = epoch + step / steps
        rng = np.random.default_rng((options.seed, epoch, step))
        states, decision = search.draw(progress, rng, len(labels))
        widths = search.space.widths(states)
        losses = net.step(images, labels, widths, learning_rate(options, progress))
        try:
            search.record(states, losses.random, losses.full)
        except FloatingPointError as error:
            raise UserError(
                f"epoch {epoch + 1}, step {step + 1}: {error}: the training diverged. Continue "
                f"from the last checkpoint in {options.expname} with a lower --lr"
            ) from None
        for name, loss in vars(losses).items():
            means[name] = means.get(name, 0.0) + float(loss.mean()) / steps
        bar.set_postfix(loss=f"{losses.full.mean():.3f}", refresh=False)
        if decision and (step % options.print_freq == 0 or step == steps - 1):
            log.append([{"progress": progress, "target_ms": search.target_ms} | asdict(decision)])
    return means, steps * options.batch_size / (time.perf_counter() - start)


def answer(search, epoch):
    """Return the search's answer as a line for results.jsonl."""
    result = search.best()
    return {
        "epoch": epoch,
        "configuration": search.space.configuration(result.states),
        "latency_ms": result.latency_ms,
        "target_ms": search.target_ms,
        "score": result.score,
        "bound": result.bound,
        "gap": result.gap,
        "gamma": result.gamma,
    }


def save_checkpoint(options, net, search, epoch):
    """Write the checkpoint after `epoch` epochs."""
    windows = {f"windows/{name}": array for name, array in search.to_arrays().items()}
    values = {
        "epoch": epoch,
        "search_space": search.space.as_dict(),
        "AOWS": options.AOWS,
        "latency_target": options.latency_target,
    }
    path = checkpoints.checkpoint_path(options.expname, epoch)
    checkpoints.save(path, net.to_arrays() | windows, values)
    checkpoints.keep_newest(options.expname, CHECKPOINTS_KEPT)


def load_checkpoint(options, search):
    """Load the statistics of the checkpoint to resume from into the search, if there is one.

    Returns (epochs done, a function that loads the rest into a network).
    """
    path = options.resume or (options.resume_last and checkpoints.latest(options.expname))
    if not path:
        return 0, lambda net: None
    arrays, values = checkpoints.load(path)
    if SearchSpace.from_dict(values["search_space"]) != search.space:
        raise UserError(f"{path} was trained for another search space: {values['search_space']}")
    if values["AOWS"] and values["latency_target"] != options.latency_target:
        tqdm.write(
            f"warning: AOWS trained {path} for {values['latency_target']} ms, and that target "
            "decided which widths were trained; train anew for another one"
        )
    search.load_arrays({k[8:]: arrays.pop(k) for k in list(arrays) if k.startswith("windows/")})
    tqdm.write(f"continuing after epoch {values['epoch']} from {path}")
    return values["epoch"], lambda net: net.load_arrays(arrays, path)


def forget_later_lines(path, is_kept):
    """Remove from a file of JSON lines what came after the checkpoint that training resumes."""
    if path.is_file() and path.stat().st_size:
        with Appender(path):  # cuts a torn last line
            lines = [line for _, line in read_lines(path)]
        write_lines(path, [line for line in lines if is_kept(line)])


def train_epochs(options, net, search, data, done):
    """Train the epochs that are not done yet, with a checkpoint and a result after each."""
    train, val = data
    for epoch in range(done, options.epochs):
        decisions = Path(options.expname, DECISIONS)
        with Appender(decisions) if options.AOWS else nullcontext() as log:
            means, speed = train_epoch(options, net, search, train, epoch, log)
        line = answer(search, epoch + 1) | {"losses": means, "images_per_s": speed}
        accuracies = net.accuracies([search.space.largest, line["configuration"]], train, val)
        line |= dict(zip(("accuracy_full", "accuracy"), accuracies, strict=True))
        with Appender(Path(options.expname, RESULTS)) as results:
            results.append([line])
        save_checkpoint(options, net, search, epoch + 1)
        losses = ", ".join(f"{name} {loss:.3f}" for name, loss in means.items())
        tqdm.write(
            f"epoch {epoch + 1}/{options.epochs}: losses {losses}; accuracy full "
            f"{line['accuracy_full']:.2%}, best {line['accuracy']:.2%}; best predicted "
            f"{line['latency_ms']:.4g} ms; {speed:.0f} images/s"
        )


def draw_pictures(options, space, line):
    """Draw the widths of the answer and, for AOWS, the probabilities over training."""
    from utils.plotting.search import plot_probabilities, plot_widths

    folder = Path(options.expname)
    plot_widths({"best configuration": line["configuration"]}, space, folder / "widths.png")
    decisions = folder / DECISIONS
    if options.AOWS and decisions.is_file() and decisions.stat().st_size:
        lines = [line for _, line in read_lines(decisions)]
        plot_probabilities(lines, space, folder / "probabilities.png")


@exits_with_one_line
def main(arguments=None):
    options = parse_options(__doc__, arguments)
    search = open_search(options)
    Path(options.expname).mkdir(parents=True, exist_ok=True)
    done, load_network = load_checkpoint(options, search)
    if done < options.epochs:
        data = open_data(options, search.space)
        net = open_network(options, search.space)
        load_network(net)
        forget_later_lines(Path(options.expname, RESULTS), lambda line: line["epoch"] <= done)
        forget_later_lines(Path(options.expname, DECISIONS), lambda line: line["progress"] < done)
        train_epochs(options, net, search, data, done)
    line = answer(search, max(done, options.epochs))
    if done >= options.epochs:  # a new target for a finished training
        with Appender(Path(options.expname, RESULTS)) as results:
            results.append([line])
    draw_pictures(options, search.space, line)
    print(
        f"best configuration: {line['configuration']}\n"
        f"predicted {line['latency_ms']:.4g} ms per image, target {line['target_ms']:.4g} ms"
    )


if __name__ == "__main__":
    main()
