r"""Train a slimmable network and find its best widths under a latency target.

    OWS   python train_nas.py --data /imagenet --latency-target 0.04 \
              --latency-model output/model_trt16_K100.0.jsonl \
              --expname output/ows-trt16-0.04 --resume-last
    AOWS  the same with --AOWS, which also steers the widths drawn during training

Latencies are milliseconds per image. In the folder --expname it writes
    checkpoint-NNNN.npz   network, optimiser and width statistics after epoch NNNN; the newest ones
    results.jsonl         per epoch the best configuration, its predicted latency and the losses,
                          once all widths that the target needs have been drawn
    aows.jsonl            with --AOWS: temperature, multipliers, decision and probabilities
    baselines.jsonl       what simpler searches answer from the same statistics
    abandoned-1/          what was trained after an earlier checkpoint that --resume continued
    curves.png, widths.png, probabilities.png, and what --scores fitted, --pareto, --score-check
    and --verify write
Source: Berman et al., AOWS, CVPR 2020.
"""

if __name__ == "__main__":  # before the imports that take seconds
    from utils.startup import prepare

    prepare()

import contextlib
import time
from dataclasses import replace

import numpy as np
from tqdm import tqdm

from nas.constraint import Constraint, NoAnswerYetError, macs, parameters
from nas.supernet_search import SupernetSearch
from pipeline.search import checkpoints as supernet_checkpoints
from pipeline.search.answers import (
    answer_as_text,
    answer_line,
    curves_of,
    draw_pictures,
    loss_of,
    refuse_inputs_in_folder,
    write_front,
)
from pipeline.search.comparison import answers_of, compare_baselines
from pipeline.search.folder import SearchFolder
from pipeline.search.limits import open_limits, search_space_of, warn_of_loose, warn_of_unsampled
from pipeline.search.options import parse_options
from utils.digest import digest_of
from utils.errors import UserError, exits_with_one_line
from utils.formatting import within
from utils.images.open_dataset import open_dataset
from utils.memory import check_images_fit, naming_what_needs_memory
from utils.processes import rank, silent_unless_first, world_size
from utils.progress import progress_bar
from utils.time_estimate import TimeEstimate


def open_search(options, limits):
    """Return the search: the limits on the search space, checked to be within reach."""
    question = options.question
    space = search_space_of(question, limits[0].table)
    constraints = [limit.constraint(space) for limit in limits]
    if question.max_macs:
        constraints.append(Constraint(macs(space), question.max_macs, "cost", "MACs"))
    if question.max_params:
        constraints.append(Constraint(parameters(space), question.max_params, "size", "parameters"))
    if not warn_of_loose(constraints, space):
        warn_of_unsampled(limits)
    return SupernetSearch(
        space,
        constraints,
        window=question.window,
        scores=question.scores,
        method=question.search,
        iterations=question.gamma_iter,
        schedule=question.adaptive,
        images_per_configuration=options.schedule.images_per_configuration,
    )


def open_data(options, space):
    """Return the training and validation images; their classes must be the table's."""
    train, val = open_dataset(options.data, space.input_size, options.schedule.seed)
    if len(train.classes) != space.classes:
        raise UserError(
            f"{options.data} has {len(train.classes)} classes, "
            f"{options.question.latency_model[0]} was made for {space.classes}: measure with "
            f"--classes {len(train.classes)}"
        )
    return train, val


@contextlib.contextmanager
def open_net(options, space, **network):
    """Yield the slimmable network with its optimiser; processes are connected in the block.

    network: slimmable, another class of network than the framework's own (PyTorch)
    """
    # Imported here: a bad table or target is reported before a framework has been loaded.
    if options.execution.framework == "mxnet":
        try:
            from models.gluon.supernet import open_supernet
        except ModuleNotFoundError as error:
            raise UserError(
                f"--framework mxnet needs the Python package {error.name!r}; "
                f"--framework pytorch does without"
            ) from None
    else:
        from models.pytorch.supernet import open_supernet

    settings = (space, options.schedule, options.execution, options.workers)
    with open_supernet(*settings, **network) as net:
        tqdm.write(f"training on {net.device}")
        yield net


def refuse_different_starts(net, search, start):
    """Raise UserError unless all processes start at the same Position, weights and statistics."""
    if world_size() == 1:
        return
    digests = search.digest(), digest_of(net.to_arrays())
    marks = [start.epoch, start.step, *(int(digest[:8], 16) for digest in digests)]
    if net.summed(marks) != [mark * world_size() for mark in marks]:
        raise UserError("not all processes see the same files to start from")


def train_epoch(options, net, search, train, start, folder, estimate):
    """Train an epoch from a Position on; returns the mean loss of each pass, and the images/s."""
    schedule, run = options.schedule, options.run
    steps = net.steps(train)
    sums, epoch, begun = dict(start.loss_sums), start.epoch, time.perf_counter()
    batches = enumerate(net.batches(train, epoch, start.step), start.step)
    title = f"epoch {epoch + 1}/{schedule.epochs}"
    bar = progress_bar(batches, title, steps, initial=start.step, leave=False)
    for step, (images, labels) in bar:
        progress = epoch + step / steps
        rng = np.random.default_rng((schedule.seed, epoch, step))
        states, decision = search.draw(
            progress, rng, schedule.batch_size, schedule.configurations_per_batch
        )
        widths = search.space.widths(states)
        losses = net.step(images, labels, widths, schedule.learning_rate(progress))
        estimate.step()
        try:
            search.record(states, losses.random, losses.full)
        except FloatingPointError as error:
            raise UserError(
                f"epoch {epoch + 1}, step {step + 1}: {error}: the training diverged. Continue "
                f"from the last checkpoint in {run.expname} with a lower --lr"
            ) from None
        for name, loss in vars(losses).items():
            sums[name] = sums.get(name, 0.0) + float(loss.mean())
        bar.set_postfix(loss=f"{losses.full.mean():.3f}", refresh=False)
        if decision and (step % run.print_freq == 0 or step == steps - 1):
            folder.append_decision({"progress": progress} | decision.as_dict())
        done = step + 1
        if run.checkpoint_steps and done % run.checkpoint_steps == 0 and done < steps:
            position = replace(start, epoch=epoch, step=done, loss_sums=sums)
            arrays = supernet_checkpoints.finite_arrays(options, net, position)
            supernet_checkpoints.save(options, arrays, search, position)
    images = (steps - start.step) * schedule.batch_size
    means = {name: total / steps for name, total in sums.items()}
    return means, images / (time.perf_counter() - begun)


def train_epochs(options, net, search, limits, data, start, folder):
    """Train the epochs that are not done yet, with a checkpoint and a result after each."""
    (train, val), epochs = data, options.schedule.epochs
    steps = net.steps(train)
    estimate = TimeEstimate((epochs - start.epoch) * steps - start.step, tqdm.write)
    position = start
    while position.epoch < epochs:
        means, speed = train_epoch(options, net, search, train, position, folder, estimate)
        position = replace(position, epoch=position.epoch + 1, step=0, loss_sums={})
        losses = ", ".join(f"{name} {loss:.3f}" for name, loss in means.items())
        told = f"epoch {position.epoch}/{epochs}: losses {losses}; "
        try:
            line = answer_line(search, limits, search.best(), position.epoch, start.origin)
        except NoAnswerYetError as error:
            arrays = supernet_checkpoints.finite_arrays(options, net, position)
            supernet_checkpoints.save(options, arrays, search, position)
            tqdm.write(f"{told}{speed:.0f} images/s; no answer yet: {error}")
            continue
        line |= {"losses": means, "images_per_s": speed}
        accuracies = net.accuracies([search.space.largest, line["configuration"]], train, val)
        line |= dict(zip(("accuracy_full", "accuracy"), accuracies, strict=True))
        arrays = supernet_checkpoints.finite_arrays(options, net, position)
        folder.append_result(line)
        folder.curves.scalars(position.epoch, curves_of(line))
        supernet_checkpoints.save(options, arrays, search, position)
        tqdm.write(
            f"{told}accuracy full {line['accuracy_full']:.2%}, best {line['accuracy']:.2%}; "
            f"best predicted {within(line['latency_ms'], line['target_ms'])} ms; "
            f"{speed:.0f} images/s"
        )


def train_and_check(options, net, search, limits, data, start, folder):
    """Train what is left of the training, and evaluate sub-networks if asked to.

    Returns the Validation of --scores fitted, None without it.
    """
    reports, epochs = options.reports, options.schedule.epochs
    if start.epoch < epochs:
        steps = net.steps(data[0])
        if 0 < steps <= start.step:
            raise UserError(
                f"the checkpoint is of step {start.step} of an epoch, which has {steps}"
            )
        folder.begin(start, steps, options.is_adaptive)
        train_epochs(options, net, search, limits, data, start, folder)
    epochs, validation = max(start.epoch, epochs), None
    if reports.scores == "fitted":
        from pipeline.search.fitting import fit_scores

        validation = fit_scores(reports, net, search, data[0], epochs)
    if reports.score_check:
        # Imported here: it takes a second, which no other run need wait for.
        from pipeline.search.score_check import check_score

        check_score(reports, net, search, data, epochs)
    return validation


def report_answer(options, search, limits, start, validation, folder):
    """Write and print the answer, measured if asked to, and the reports beside it.

    validation: of --scores fitted, None without it
    """
    result, measured, others = search.best(), {}, {}
    reports, epochs = options.reports, max(start.epoch, options.schedule.epochs)
    if reports.verify:
        from pipeline.search.verification import verify

        verified = verify(reports, search, limits)
        result, limits = verified.result, verified.limits
        measured = {"measured_ms": verified.measured_ms, "rounds": verified.rounds}
        others["verified"] = result.states
    line = answer_line(search, limits, result, epochs, start.origin) | measured
    if validation:
        line |= loss_of(search, result) | {"validation": validation.as_dict()}
    is_last_epochs = start.epoch < options.schedule.epochs and not (others or validation)
    if not is_last_epochs:
        folder.append_result(line)
    answers = answers_of(reports, search, others)
    print(compare_baselines(reports, search, answers))
    if reports.pareto:
        print(write_front(reports, search, answers, epochs))
    draw_pictures(reports, search, answers)
    print(answer_as_text(line))


def search_widths(options, **network):
    """Train, search and answer; network: as for open_net."""
    reports = options.reports
    refuse_inputs_in_folder(reports)
    limits = open_limits(options.question)
    search = open_search(options, limits)
    if reports.verify:
        from pipeline.search.verification import refuse_unverifiable

        refuse_unverifiable(reports, limits[0].table)  # now, not after the training
    space, schedule = search.space, options.schedule
    check_images_fit(schedule.batch_size, space.input_size, "--batch-size")
    space.description.check_normalised(schedule.images_per_pass, space.input_size)
    start, load_network = supernet_checkpoints.load(options, search)
    with SearchFolder(options.run) as folder:
        validation, evaluates = None, reports.score_check or reports.scores == "fitted"
        if start.epoch < schedule.epochs or evaluates:
            data = open_data(options, space)
            with open_net(options, space, **network) as net:
                load_network(net, data[0])
                refuse_different_starts(net, search, start)
                validation = train_and_check(options, net, search, limits, data, start, folder)
        if rank() == 0:
            report_answer(options, search, limits, start, validation, folder)


@exits_with_one_line
@naming_what_needs_memory("--batch-size", "--window", "--workers")
def main(arguments=None, **network):
    """Run the script; network: as for open_net."""
    options = parse_options(__doc__, arguments)
    with silent_unless_first():
        search_widths(options, **network)


if __name__ == "__main__":
    main()
