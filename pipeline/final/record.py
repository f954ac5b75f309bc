"""What train_final.py writes while it trains: results.jsonl, the log, TensorBoard's curves."""

import contextlib

from pipeline.final.files import RESULTS
from utils.atomic_files import remove_leftovers
from utils.json_lines import Appender
from utils.log import Log
from utils.tensorboard import ScalarLog


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
