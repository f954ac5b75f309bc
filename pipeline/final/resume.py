"""Where a training of train_final.py starts, and what becomes of the files of an earlier run."""

import os
from pathlib import Path

from models.arrays import has_average
from models.recipe import SUPERNET
from pipeline.final import files as final_files
from pipeline.final.files import BEST, CURVES, RESULTS, Pair
from pipeline.final.results import (
    epochs_and_damage,
    forget_damaged_lines,
    forget_epochs_after,
    last_result,
    lines_until,
)
from pipeline.final.supernet import open_supernet
from utils.digest import digest
from utils.errors import UserError
from utils.output_paths import LOG, refuse_overwriting


def check_paths(options):
    """Raise UserError for a path in the options that would fail only after the training."""
    files = options.files
    for path, expected in (
        (files.resume_params, "parameters of a network"),
        (files.resume_states, "states of an optimiser"),
    ):
        if path and not Path(path).is_file():
            raise UserError(f"{path} does not exist: expected {expected}")
    _check_folder(files.save_dir, "--save-dir")
    if files.tensorboard:
        _check_folder(Path(files.tensorboard), "--tensorboard")
    if not files.logging_file.exists():  # an existing one is opened before training
        _check_folder(files.logging_file.parent, "--logging-file")
    if files.logging_file.is_dir():
        raise UserError(f"--logging-file: {files.logging_file} is a folder")
    _refuse_overwriting(options)


def _refuse_overwriting(options):
    files, data = options.files, options.data
    read = [files.resume_params, files.resume_states]
    if options.network.endswith(".py"):
        read.append(options.network)
    teacher = options.targets.teacher
    if teacher and teacher != SUPERNET:
        read.append(teacher)
        is_here = Path(teacher).expanduser().resolve().parent == files.save_dir.resolve()
        if is_here and Path(teacher).match("mobilenet-*"):
            raise UserError(
                f"--teacher: {teacher} is in --save-dir, where this training's own files replace "
                "it: choose another --save-dir"
            )
    if data.use_rec:
        read += [data.rec_train, data.rec_train_idx, data.rec_val, data.rec_val_idx]
    refuse_overwriting(
        [Path(path).expanduser() for path in read if path],
        [
            (files.logging_file, LOG),
            (files.save_dir / RESULTS, None),
            (files.save_dir / CURVES, None),
        ],
    )


def _check_folder(folder, option):
    """Raise UserError unless a folder can be written to, or be made."""
    try:
        str(folder).encode()
    except UnicodeEncodeError:  # neither MXNet nor ONNX Runtime could open it
        raise UserError(f"{option}: the path {str(folder)!a} is not UTF-8") from None
    there = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    if not there.is_dir():
        raise UserError(f"{option}: {there} is not a folder")
    if not os.access(there, os.W_OK | os.X_OK):
        raise UserError(f"{option}: {there} cannot be written to")


def begun(files):
    """Return (configuration, Source or None) of the run that Files resume; None if there is none.

    Raises UserError, naming the file, for states that cannot be read.
    """
    if files.resume_states:
        _, values = final_files.load_states(files.resume_states, files.resume_params)
        return tuple(values.configuration), values.from_supernet
    last = last_result(files.save_dir / RESULTS) if files.resume_last else None
    return last and (last.configuration, last.from_supernet)


def start(training, options, supernet, data, record):
    """Load what the options resume or start from; clear --save-dir of other runs' files.

    supernet: the Supernet of --from-supernet, if it was opened
    Returns (epochs done, best top-1 so far). Nothing that was trained is removed: what will be
    rewritten is set aside. Raises UserError, naming the file, if one does not fit.
    """
    files = options.files
    if training.rank == 0:
        final_files.finish_pairs(files.save_dir)
    training.sum_over_processes(0)  # wait for the first process
    pair = Pair(files.resume_epoch, files.resume_params, files.resume_states)
    if files.resume_last:
        pair = _newest(files.save_dir, record)
    _check_same_files(training, pair)
    values = None
    if pair.params:
        values = _load(training, options, pair, data.steps, record)
    elif options.source:
        weights = _first_weights(options, supernet)
        training.start_at(weights, data.statistics_batches())
    best = values.best_top1 if values else 0.0
    training.sum_over_processes(0)  # all have read the files
    if training.rank == 0:
        _clear(files, pair, record)
        if files.resume_last and pair.params:
            best = _complete(options, pair, values, record)
        elif (
            values
            and _is_in(files.save_dir, pair)
            and not final_files.epoch_of(files.save_dir, BEST)
        ):
            best = _take_as_best(pair, values, files.save_dir, record)
    record.begin(pair.epoch)
    return pair.epoch, best


def _first_weights(options, supernet):
    """Return the TrainedWeights of the sub-network that training starts at.

    supernet: None if a run is resumed that was killed before its first files were written
    """
    folder = options.files.from_supernet
    if not folder:
        raise UserError(
            f"{options.files.save_dir} holds no saved epoch of the run to be resumed, which "
            f"started from a supernet: give --from-supernet {options.source.folder}"
        )
    supernet = supernet or open_supernet(folder, options.network, options.source)
    return supernet.sub_network(options.configuration)


def _newest(folder, record):
    """Return the newest whole Pair of a folder, Pair() if it has none; UserError if all are bad."""
    pair, problems = final_files.newest(folder)
    if problems and not pair.params:
        others = f"; and {len(problems) - 3} more" if len(problems) > 3 else ""
        raise UserError(
            f"--resume-last: {'; '.join(problems[:3])}{others}. Go on from parameters alone "
            "by --resume-epoch and --resume-params, or choose another --save-dir"
        )
    for problem in problems:
        record.warn(problem)
    if not pair.params:
        record.show(f"{folder} holds no saved epoch: training starts from the beginning")
    return pair


def _check_same_files(training, pair):
    mark = pair.epoch + (int(digest(pair.params)[:4], 16) if pair.params else 0)
    if training.sum_over_processes(mark) != mark * training.world_size:
        raise UserError("not all processes see the same files to resume from")


def _load(training, options, pair, steps, record):
    """Load a network and, from states, its optimiser; return the states' Values, None without."""
    arrays = values = None
    updates = pair.epoch * steps
    if pair.states:
        wanted = {
            "framework": options.execution.framework,
            "epoch": pair.epoch,
            "network": options.network,
            "configuration": list(options.configuration),
        }
        arrays, values = final_files.load_states(pair.states, pair.params, wanted)
        if values.network_sha256 not in {None, options.network_sha256}:
            raise UserError(
                f"{pair.states}: {options.network} no longer describes the network that was trained"
            )
    training.load_parameters(pair.params)
    if pair.states:
        training.load_optimiser(arrays, pair.states)
        if training.averages and not has_average(arrays):
            record.warn(
                f"{pair.states} holds no averaged weights: the average starts after epoch "
                f"{pair.epoch}"
            )
        if arrays["updates"] != updates:
            record.warn(
                f"{pair.states} was written after {arrays['updates']} updates, with this data and "
                f"batch size it would be {updates}: the learning rates are those after epoch "
                f"{pair.epoch}"
            )
    training.set_updates(updates)
    return values


def _is_in(folder, pair):
    """Return whether a pair's parameters are in a folder."""
    return pair.params and Path(pair.params).resolve().parent == folder.resolve()


def _clear(files, pair, record):
    """Set aside what --save-dir has of other runs, or of later epochs than the resumed one."""
    folder, results = files.save_dir, files.save_dir / RESULTS
    kept = pair.epoch if _is_in(folder, pair) else 0  # epochs
    goes_on = files.resume_last and kept
    epochs, damaged = epochs_and_damage(results) if goes_on else ((), [])
    # Lines after the newest pair will be written again, as will that of a first epoch killed before
    # its pair was written; another run's will not.
    again = 1 if files.resume_last else kept
    loses_lines = not goes_on and lines_until(again, results) < results.stat().st_size
    names = final_files.names_after(kept, folder)
    if not (pair.states and 0 < final_files.epoch_of(folder, BEST) <= kept):
        names += final_files.names_of_best(folder)
    if names or damaged or loses_lines:
        target = final_files.set_aside(names, folder)
        record.show(f"{folder}: what is not of this run, or is damaged, is now in {target}")
    if damaged:
        record.warn(f"{results}: lines that cannot be read are left out: {damaged}")
        forget_damaged_lines(results)
    if goes_on and kept not in epochs:
        record.warn(f"{results} has no line of epoch {kept}, after which training goes on")
    forget_epochs_after(kept, results)


def _complete(options, pair, values, record):
    """Finish what a kill interrupted after the newest pair was written; return the best top-1."""
    folder, best = options.files.save_dir, values.best_top1
    names = []
    if final_files.is_due(pair.epoch, options.files.save_frequency, options.schedule.num_epochs):
        names.append(final_files.of_epoch(pair.epoch))
    if values.is_best:
        names.append(BEST)
    elif not final_files.epoch_of(folder, BEST):
        best = _take_as_best(pair, values, folder, record)
    for name in names:
        if final_files.epoch_of(folder, name) != pair.epoch:
            final_files.copy(pair, folder, name)
    if options.files.keep:
        final_files.keep_newest(options.files.keep, folder)
    return best


def _take_as_best(pair, values, folder, record):
    """Make a pair the best epoch of a folder that has none; return its top-1."""
    record.warn(f"{folder} lacks the best epoch: epoch {pair.epoch} is the best of what is left")
    final_files.copy(pair, folder, BEST)
    return values.val_top1
