"""results.jsonl of train_final.py, one line per epoch, its log and its curves."""

import contextlib
import math
import os
from dataclasses import dataclass

import msgspec

from pipeline.final.files import CURVES, RESULTS
from pipeline.final.supernet import Source
from utils.atomic_files import remove_leftovers
from utils.curves import Panel, plot_curves
from utils.errors import UserError
from utils.json_lines import Appender, read_lines
from utils.log import Log
from utils.tensorboard import ScalarLog


@dataclass(frozen=True)
class Result:
    """One line of results.jsonl."""

    epoch: int  # epochs done
    configuration: tuple[int, ...]
    train_loss: float
    val_loss: float  # cross entropy with the labels
    val_top1: float  # accuracy, 0 to 1
    val_top5: float
    learning_rate: float  # at the end of the epoch
    images_per_s: float  # while training
    epoch_s: float  # with validation
    averaged_val_loss: float | None = None  # of averaged weights, None if there are none
    averaged_val_top1: float | None = None
    averaged_val_top5: float | None = None
    from_supernet: Source | None = None  # of the first weights

    def as_line(self):
        """Return the line's values, {name: value}."""
        return {
            name: value for name, value in msgspec.to_builtins(self).items() if value is not None
        }

    def __str__(self):
        averaged = ""
        if self.averaged_val_loss is not None:
            averaged = f"averaged: loss {self.averaged_val_loss:.4f} "
            averaged += f"top-1 {self.averaged_val_top1:.4f}  "
        return (
            f"epoch {self.epoch}  loss {self.train_loss:.4f}  "
            f"validation: loss {self.val_loss:.4f} top-1 {self.val_top1:.4f} "
            f"top-5 {self.val_top5:.4f}  {averaged}lr {self.learning_rate:.5f}  "
            f"{self.images_per_s:.0f} images/s  {self.epoch_s:.1f} s"
        )


def named(scores):
    """Return {field of a Result: number} of the Scores of the last and the averaged weights."""
    prefixes = ("val_", "averaged_val_")
    return {
        prefix + name: number
        for prefix, each in zip(prefixes, scores, strict=False)
        for name, number in each._asdict().items()
    }


def curves_of(result):
    """Return {name: number}, what TensorBoard shows of a Result."""
    averaged = {
        "loss/validation, averaged": result.averaged_val_loss,
        "accuracy/top-1, averaged": result.averaged_val_top1,
    }
    return {name: number for name, number in averaged.items() if number is not None} | {
        "loss/training": result.train_loss,
        "loss/validation": result.val_loss,
        "accuracy/top-1": result.val_top1,
        "accuracy/top-5": result.val_top5,
        "learning rate": result.learning_rate,
        "images per s": result.images_per_s,
    }


def draw_curves(folder):
    """Draw curves.png of the results.jsonl in a folder, unless no epoch has been trained."""

    results = folder / RESULTS
    if results.stat().st_size:
        plot_final_training([line for _, line in read_lines(results)], folder / CURVES)


def lines_until(done, path):
    """Return the length in bytes of a results.jsonl's lines of the epochs that are done.

    Raises UserError if a line before a later epoch's is not of train_final.py.
    """
    length = 0
    for number, (line, result) in enumerate(_results(path), start=1):
        if result is None:
            raise UserError(
                f"{path}, line {number} is not of train_final.py: choose another --save-dir"
            )
        if result.epoch > done:
            break
        length += len(line)
    return length


def forget_epochs_after(done, path):
    """Cut the lines of later epochs, which an earlier run wrote, from a results.jsonl.

    Raises UserError, and changes nothing, if a line before them is not of train_final.py.
    """
    os.truncate(path, lines_until(done, path))


def epochs_and_damage(path):
    """Return (epochs, numbers of the lines that cannot be read) of a results.jsonl."""
    results = [result for _, result in _results(path)]
    damaged = [number for number, result in enumerate(results, start=1) if result is None]
    return {result.epoch for result in results if result}, damaged


def last_result(path):
    """Return the last Result of a results.jsonl, None if it has none or does not exist."""
    results = [result for _, result in _results(path) if result] if path.is_file() else []
    return results[-1] if results else None


def forget_damaged_lines(path):
    """Cut the lines that cannot be read from a results.jsonl, in place: it is locked."""
    kept = b"".join(line for line, result in _results(path) if result)
    with open(path, "r+b") as file:
        file.write(kept)
        file.truncate()


def _results(path):
    """Return each line of a results.jsonl with its Result, None if it is none."""
    with open(path, "rb") as file:
        return [(line, _result(line)) for line in file]


def _result(line):
    try:
        return msgspec.json.decode(line, type=Result)
    except ValueError:  # of msgspec, and of UTF-8
        return None


class Record:
    """What a run writes about its epochs: results.jsonl, a log, and curves for TensorBoard.

    A context manager. Where processes train together, only one of them `writes`.
    """

    def __init__(self, files, writes):
        """Lock results.jsonl for one run and open the log."""
        self._files = contextlib.ExitStack()
        self._writes = writes
        self._tensorboard = files.tensorboard
        if not writes:
            return
        with contextlib.ExitStack() as opened:
            self._results = opened.enter_context(
                Appender(files.save_dir / RESULTS, may_be_damaged=True)
            )
            remove_leftovers(files.save_dir)
            self._log = opened.enter_context(Log(files.logging_file))
            self._files = opened.pop_all()

    def begin(self, done):
        """Open TensorBoard's curves, which go on after the epochs done."""
        if self._writes:
            self._curves = self._files.enter_context(ScalarLog(self._tensorboard, done))

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self._files.close()

    def note(self, line):
        """Write a line into the log."""
        if self._writes:
            self._log.note(line)

    def show(self, line):
        """Write a line into the log and on the screen."""
        if self._writes:
            self._log.show(line)

    def warn(self, line):
        """Write a warning into the log and on standard error."""
        if self._writes:
            self._log.warn(line)

    def append(self, result):
        """Write the Result of an epoch."""
        if self._writes:
            self._results.append([result.as_line()])
            self._curves.scalars(result.epoch, curves_of(result))


def plot_final_training(lines, path):
    """Draw losses, accuracies and learning rate of train_final.py's results.jsonl; writes a PNG."""

    def curves(names, factor=1):
        """Return the curves {label: values} of {label: name of a value}, if any line has it."""
        return {
            label: [factor * line.get(name, math.nan) for line in lines]
            for label, name in names.items()
            if any(name in line for line in lines)
        }

    losses = {
        "training, with its targets": "train_loss",
        "validation, cross entropy": "val_loss",
        "validation, averaged weights": "averaged_val_loss",
    }
    accuracies = {
        "top-1": "val_top1",
        "top-5": "val_top5",
        "top-1, averaged weights": "averaged_val_top1",
    }
    panels = [
        Panel("loss", curves(losses), may_be_log=True),
        Panel("accuracy (validation, %)", curves(accuracies, 100)),
        Panel("learning rate", curves({"at the end of the epoch": "learning_rate"})),
    ]
    plot_curves([line["epoch"] for line in lines], panels, path)
