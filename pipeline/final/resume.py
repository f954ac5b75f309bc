"""Where a training of train_final.py starts, and what becomes of the files of an earlier run."""

import os
from pathlib import Path

from pipeline.final import files as final_files
from pipeline.final.files import BEST, CURVES, RESULTS, Pair
from pipeline.final.results import (
    epochs_and_damage,
    forget_damaged_lines,
    forget_epochs_after,
    lines_until,
)
from utils.errors import UserError
from utils.output_paths import LOG, refuse_overwriting


def check_paths(options):
    """Raise UserError for a path of the options that could end a training after its epochs."""
    for path, expected in (
        (options.resume_params, "parameters of a network"),
        (options.resume_states, "states of an optimiser"),
    ):
        if path and not Path(path).is_file():
            raise UserError(f"{path} does not exist: expected {expected}")
    _check_folder(options.save_dir, "--save-dir")
    if options.tensorboard:
        _check_folder(Path(options.tensorboard), "--tensorboard")
    if not options.logging_file.exists():  # an existing one is opened before training
        _check_folder(options.logging_file.parent, "--logging-file")
    if options.logging_file.is_dir():
        raise UserError(f"--logging-file: {options.logging_file} is a folder")
    _refuse_overwriting(options)


def _refuse_overwriting(options):
    read = [options.resume_params, options.resume_states, options.teacher]
    if options.use_rec:
        read += [options.rec_train, options.rec_train_idx, options.rec_val, options.rec_val_idx]
    refuse_overwriting(
        [Path(path).expanduser() for path in read if path],
        [
            (options.logging_file, LOG),
            (options.save_dir / RESULTS, None),
            (options.save_dir / CURVES, None),
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


def start(training, options, steps, record):
    """Load what the options resume from, and clear --save-dir of what is not of this run.

    steps: training batches of an epoch
    Returns (epochs done, best top-1 so far). Nothing that was trained is removed: what will be
    written anew is set aside. Raises UserError that names a file which does not fit.
    """
    if training.rank == 0:
        final_files.finish_pairs(options.save_dir)
    training.sum_over_ranks(0)  # wait for the first process
    pair = Pair(options.resume_epoch, options.resume_params, options.resume_states)
    if options.resume_last:
        pair = _newest(options.save_dir, record)
    _check_same_files(training, pair)
    values = _load(training, options, pair, steps, record) if pair.params else None
    best = values.best_top1 if values else 0.0
    training.sum_over_ranks(0)  # all have read the files
    if training.rank == 0:
        _clear(options, pair, record)
        if options.resume_last and pair.params:
            best = _complete(options, pair, values, record)
    record.begin(pair.epoch)
    return pair.epoch, best


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
    mark = pair.epoch + (int(final_files.digest(pair.params)[:4], 16) if pair.params else 0)
    if training.sum_over_ranks(mark) != mark * training.ranks:
        raise UserError("not all processes see the same files to resume from")


def _load(training, options, pair, steps, record):
    """Load a network and, from states, its optimiser; return the states' Values, None without."""
    arrays = values = None
    updates = pair.epoch * steps
    if pair.states:
        wanted = {
            "framework": options.framework,
            "epoch": pair.epoch,
            "configuration": list(options.configuration),
        }
        arrays, values = final_files.load_states(pair.states, pair.params, wanted)
    training.load_parameters(pair.params)
    if pair.states:
        training.load_optimiser(arrays, pair.states)
        if arrays["updates"] != updates:
            record.warn(
                f"{pair.states} was written after {arrays['updates']} updates, with this data and "
                f"batch size it would be {updates}: the learning rates are those after epoch "
                f"{pair.epoch}"
            )
    training.set_updates(updates)
    return values


def _clear(options, pair, record):
    """Set aside what --save-dir has of other runs, or of later epochs than the resumed one."""
    folder, results = options.save_dir, options.save_dir / RESULTS
    is_own = pair.params and Path(pair.params).resolve().parent == folder.resolve()
    kept = pair.epoch if is_own else 0  # epochs
    goes_on = options.resume_last and kept
    epochs, damaged = epochs_and_damage(results) if goes_on else ((), [])
    # Lines after the newest pair come again, as does that of a first epoch whose pair a kill kept
    # from being written; another run's do not.
    again = 1 if options.resume_last else kept
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
    """Do what a kill kept the newest pair's run from doing after it; return the best top-1."""
    folder, best = options.save_dir, values.best_top1
    names = []
    if final_files.is_due(options, pair.epoch):
        names.append(final_files.of_epoch(pair.epoch))
    if values.is_best:
        names.append(BEST)
    elif not final_files.epoch_of(folder, BEST):
        record.warn(
            f"{folder} lacks the best epoch: epoch {pair.epoch} is the best of what is left"
        )
        names.append(BEST)
        best = values.val_top1
    for name in names:
        if final_files.epoch_of(folder, name) != pair.epoch:
            final_files.copy(pair, folder, name)
    if options.keep:
        final_files.keep_newest(options.keep, folder)
    return best
