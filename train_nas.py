"""Train a slimmable MobileNet-v1 and find its best widths under a latency target.

    OWS   python train_nas.py --data /imagenet --latency-target 0.04 \
              --latency-model output/model_trt16_K100.0.jsonl \
              --expname output/ows-trt16-0.04 --resume-last
    AOWS  the same with --AOWS, which also steers the widths drawn during training

Latencies are milliseconds per image. In the folder --expname it writes
    checkpoint-NNNN.npz   network, optimiser and width statistics after epoch NNNN; the newest ones
    results.jsonl         per epoch the best configuration, its predicted latency and the losses
    aows.jsonl            with --AOWS: temperature, multipliers, decision and probabilities
    baselines.jsonl       what simpler searches answer from the same statistics
    abandoned-1/          what was trained after an earlier checkpoint that --resume continued
    curves.png, widths.png, probabilities.png, and what --pareto, --rerank, --score-check and
    --verify write
Source: Berman et al., AOWS, CVPR 2020.
"""

if __name__ == "__main__":  # before the imports that take seconds
    from utils.startup import prepare

    prepare()

import time

import numpy as np
from tqdm import tqdm

from nas.constraint import Constraint, macs, parameters
from nas.search_space import SearchSpace
from nas.supernet_search import Schedule, SupernetSearch
from pipeline.search import checkpoints as supernet_checkpoints
from pipeline.search.answers import (
    answer_as_text,
    answer_line,
    answers_of,
    compare_baselines,
    curves_of,
    draw_pictures,
    refuse_inputs_in_folder,
    write_front,
)
from pipeline.search.checkpoints import Position
from pipeline.search.folder import SearchFolder
from pipeline.search.limits import open_limits, warn_of_loose
from pipeline.search.options import parse_options
from pipeline.search.reranking import rerank
from utils.errors import UserError, exits_with_one_line
from utils.formatting import within
from utils.images.open_dataset import open_dataset
from utils.memory import check_images_fit, naming_what_needs_memory
from utils.processes import rank, silent_unless_first
from utils.progress import progress_bar


def search_space_of(options, table):
    """Return the search space: the table's own, unless an option says otherwise."""
    fields = {"input_size": table.input_size, "classes": table.classes}
    fields |= table.metadata.get("search_space", {})
    for name in ("input_size", "min_width", "max_width", "levels"):
        if getattr(options, name) is not None:
            fields[name] = getattr(options, name)
    return SearchSpace.from_dict(fields)


def open_search(options, limits):
    """Return the search: the limits on the search space, checked to be within reach."""
    space = search_space_of(options, limits[0].table)
    constraints = [limit.constraint(space) for limit in limits]
    if options.max_macs:
        constraints.append(Constraint(macs(space), options.max_macs, "cost", "MACs"))
    if options.max_params:
        constraints.append(Constraint(parameters(space), options.max_params, "size", "parameters"))
    warn_of_loose(constraints, space)
    schedule = Schedule(
        options.epochs, options.AOWS_warmup, options.AOWS_min_temp, options.sampling
    )
    return SupernetSearch(
        space,
        constraints,
        window=options.window,
        scores=options.scores,
        method=options.search,
        iterations=options.gamma_iter,
        schedule=schedule if options.AOWS else None,
    )


def open_data(options, space):
    """Return the training and validation images; their classes must be the table's."""
    train, val = open_dataset(options.data, space.input_size, options.seed)
    if len(train.classes) != space.classes:
        raise UserError(
            f"{options.data} has {len(train.classes)} classes, {options.latency_model[0]} was made "
            f"for {space.classes}: measure with --classes {len(train.classes)}"
        )
    return train, val


def open_network(options, space):
    """Return the slimmable network with its optimiser."""
    settings = {
        "num_gpus": 0 if options.no_cuda else options.num_gpus,
        "momentum": options.momentum,
        "weight_decay": options.wd,
        "batch_size": options.batch_size,
        "workers": options.workers,
        "seed": options.seed,
    }
    # Imported here: a bad table or target is reported before a framework has been loaded.
    if options.framework == "mxnet":
        from models.gluon.supernet import MXNetSupernet

        net = MXNetSupernet(space, **settings)
    else:
        from models.pytorch.supernet import TorchSupernet

        net = TorchSupernet(
            space,
            **settings,
            dtype=options.dtype,
            compile_passes=options.compile,
            configurations_per_batch=options.configurations_per_batch,
        )
    tqdm.write(f"training on {net.device}")
    return net


def learning_rate(options, progress):
    """Return the learning rate when so many epochs are done."""
    share = progress / options.epochs
    course = {"constant": 1.0, "cosine": (1 + np.cos(np.pi * share)) / 2, "linear": 1 - share}
    return options.lr * options.batch_size / 256 * float(course[options.lr_schedule])


def train_epoch(options, net, search, train, start, folder):
    """Train an epoch from a Position on; returns the mean loss of each pass, and the images/s."""
    steps = net.steps(train)
    sums, epoch, begun = dict(start.loss_sums), start.epoch, time.perf_counter()
    batches = enumerate(net.batches(train, epoch, start.step), start.step)
    title = f"epoch {epoch + 1}/{options.epochs}"
    bar = progress_bar(batches, title, steps, initial=start.step, leave=False)
    for step, (images, labels) in bar:
        progress = epoch + step / steps
        rng = np.random.default_rng((options.seed, epoch, step))
        states, decision = search.draw(
            progress, rng, options.batch_size, options.configurations_per_batch
        )
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
            sums[name] = sums.get(name, 0.0) + float(loss.mean())
        bar.set_postfix(loss=f"{losses.full.mean():.3f}", refresh=False)
        if decision and (step % options.print_freq == 0 or step == steps - 1):
            folder.append_decision({"progress": progress} | decision.as_dict())
        done = step + 1
        if options.checkpoint_steps and done % options.checkpoint_steps == 0 and done < steps:
            supernet_checkpoints.save(options, net, search, Position(epoch, done, sums))
    images = (steps - start.step) * options.batch_size
    means = {name: total / steps for name, total in sums.items()}
    return means, images / (time.perf_counter() - begun)


def train_epochs(options, net, search, limits, data, start, folder):
    """Train the epochs that are not done yet, with a checkpoint and a result after each."""
    train, val = data
    for epoch in range(start.epoch, options.epochs):
        position = start if epoch == start.epoch else Position(epoch)
        means, speed = train_epoch(options, net, search, train, position, folder)
        line = answer_line(search, limits, search.best(), epoch + 1)
        line |= {"losses": means, "images_per_s": speed}
        accuracies = net.accuracies([search.space.largest, line["configuration"]], train, val)
        line |= dict(zip(("accuracy_full", "accuracy"), accuracies, strict=True))
        folder.append_result(line)
        folder.curves.scalars(epoch + 1, curves_of(line))
        supernet_checkpoints.save(options, net, search, Position(epoch + 1))
        losses = ", ".join(f"{name} {loss:.3f}" for name, loss in means.items())
        tqdm.write(
            f"epoch {epoch + 1}/{options.epochs}: losses {losses}; accuracy full "
            f"{line['accuracy_full']:.2%}, best {line['accuracy']:.2%}; best predicted "
            f"{within(line['latency_ms'], line['target_ms'])} ms; {speed:.0f} images/s"
        )


def train_and_check(options, search, limits, start, load_network, folder):
    """Train what is left of the training, and evaluate sub-networks if asked to.

    Returns the SearchResult of --rerank, None without it.
    """
    if start.epoch >= options.epochs and not options.score_check and not options.rerank:
        return None
    data = open_data(options, search.space)
    net = open_network(options, search.space)
    load_network(net)
    if start.epoch < options.epochs:
        steps = net.steps(data[0])
        if 0 < steps <= start.step:
            raise UserError(
                f"the checkpoint is of step {start.step} of an epoch, which has {steps}"
            )
        folder.begin(options, start, steps)
        train_epochs(options, net, search, limits, data, start, folder)
    epochs = max(start.epoch, options.epochs)
    if options.score_check:
        # Imported here: it takes a second, which no other run need wait for.
        from pipeline.search.score_check import check_score

        check_score(options, net, search, data, epochs)
    return rerank(options, net, search, data, epochs) if options.rerank else None


def report_answer(options, search, limits, start, reranked, folder):
    """Write and print the answer, measured if asked to, and what stands beside it.

    reranked: the SearchResult of --rerank, None without it
    """
    result, measured, others = reranked or search.best(), {}, {}
    epochs = max(start.epoch, options.epochs)
    if reranked:
        others["reranked"] = reranked.states
    if options.verify:
        from pipeline.search.verification import verify

        verified = verify(options, search, limits)
        result, limits = verified.result, verified.limits
        measured = {"measured_ms": verified.measured_ms, "rounds": verified.rounds}
        others["verified"] = result.states
    line = answer_line(search, limits, result, epochs) | measured
    if others or start.epoch >= options.epochs:  # else it is the last epoch's
        folder.append_result(line)
    answers = answers_of(options, search, others)
    print(compare_baselines(options, search, answers))
    if options.pareto:
        print(write_front(options, search, answers, epochs))
    draw_pictures(options, search.space, answers)
    print(answer_as_text(line))


@exits_with_one_line
@naming_what_needs_memory("--batch-size", "--window", "--workers")
def main(arguments=None):
    options = parse_options(__doc__, arguments)
    with silent_unless_first():
        refuse_inputs_in_folder(options)
        limits = open_limits(options.latency_model, options.latency_target, options.confidence)
        search = open_search(options, limits)
        if options.verify:
            from pipeline.search.verification import refuse_unverifiable

            refuse_unverifiable(options, limits[0].table)  # now, not after the training
        check_images_fit(options.batch_size, search.space.input_size, "--batch-size")
        start, load_network = supernet_checkpoints.load(options, search)
        with SearchFolder(options) as folder:
            reranked = train_and_check(options, search, limits, start, load_network, folder)
            if rank() == 0:
                report_answer(options, search, limits, start, reranked, folder)


if __name__ == "__main__":
    main()
