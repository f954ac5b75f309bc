"""results.jsonl of train_final.py, one line per epoch."""

import os
from dataclasses import dataclass

import msgspec

from pipeline.final.supernet import Source
from utils.errors import UserError


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
