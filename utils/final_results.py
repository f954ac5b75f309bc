"""results.jsonl of train_final.py, one line per epoch, its log and its curves."""

import contextlib
import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

from utils.atomic_files import remove_leftovers
from utils.errors import UserError
from utils.log import Log
from utils.records import Appender, read_lines
from utils.tensorboard import ScalarLog

NAME = "results.jsonl"


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

    def __str__(self):
        return (
            f"epoch {self.epoch}  loss {self.train_loss:.4f}  "
            f"validation: loss {self.val_loss:.4f} top-1 {self.val_top1:.4f} "
            f"top-5 {self.val_top5:.4f}  lr {self.learning_rate:.5f}  "
            f"{self.images_per_s:.0f} images/s  {self.epoch_s:.1f} s"
        )


def curves_of(result):
    """Return {name: number}, what TensorBoard shows of a Result."""
    return {
        "loss/training": result.train_loss,
        "loss/validation": result.val_loss,
        "accuracy/top-1": result.val_top1,
        "accuracy/top-5": result.val_top5,
        "learning rate": result.learning_rate,
        "images per s": result.images_per_s,
    }


def draw_curves(folder):
    """Draw curves.png of the results.jsonl in a folder, unless no epoch has been trained."""
    from utils.plotting.training import plot_final_training

    results = folder / NAME
    if results.stat().st_size:
        plot_final_training([line for _, line in read_lines(results)], folder / "curves.png")


def forget_epochs_after(done, path):
    """Cut the lines of later epochs, which an earlier run wrote, from a results.jsonl.

    Raises UserError, and changes nothing, if a line before them is not of train_final.py.
    """
    kept = 0
    with open(path, "rb") as file:
        for number, line in enumerate(file, start=1):
            try:
                result = Result(**json.loads(line))
            except (ValueError, TypeError):
                raise UserError(
                    f"{path}, line {number} is not of train_final.py: choose another --save-dir"
                ) from None
            if result.epoch > done:
                break
            kept += len(line)
    os.truncate(path, kept)


def last_epoch(folder):
    """Return the epoch of the last whole line of a folder's results.jsonl, 0 if there is none."""
    path = Path(folder) / NAME
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    for line in reversed(lines):
        with contextlib.suppress(ValueError, TypeError, KeyError):
            return int(json.loads(line)["epoch"])
    return 0


class Record:
    """What a run writes about its epochs: results.jsonl, a log, and curves for TensorBoard.

    A context manager. Where processes train together, only one of them `writes`.
    """

    def __init__(self, options, done, writes):
        self._files = contextlib.ExitStack()
        self._writes = writes
        if not writes:
            return
        path = options.save_dir / NAME
        remove_leftovers(options.save_dir)
        with contextlib.ExitStack() as opened:
            self._log = opened.enter_context(Log(options.logging_file))
            self._results = opened.enter_context(Appender(path))
            self._curves = opened.enter_context(ScalarLog(options.tensorboard, done))
            forget_epochs_after(done, path)
            self._files = opened.pop_all()

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

    def append(self, result):
        """Write the Result of an epoch."""
        if self._writes:
            self._results.append([asdict(result)])
            self._curves.scalars(result.epoch, curves_of(result))
