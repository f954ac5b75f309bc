"""The folder of a run of train_nas.py: locked, of this training only, and what is written to it."""

import itertools
import json
import os
import shutil
from contextlib import ExitStack
from pathlib import Path

import msgspec
from tqdm import tqdm

from utils import checkpoints
from utils.atomic_files import remove_leftovers
from utils.errors import UserError
from utils.json_lines import Appender
from utils.json_types import Finite, Natural, checked, parse_json
from utils.processes import rank
from utils.tensorboard import ScalarLog

RESULTS, DECISIONS = "results.jsonl", "aows.jsonl"
REPORTS = (  # on a trained network, written by every run or where an option asks for it
    *("baselines.jsonl", "curves.png", "widths.png", "probabilities.png"),
    *("pareto.jsonl", "pareto.png", "sub_networks.jsonl", "score_check.jsonl", "score_check.png"),
)
OF_VERIFY = ("verification.jsonl", "verified_model.jsonl", "verified_model.jsonl.meta.json")
OF_TRAIN_FINAL = "mobilenet-*.*"


class _Result(msgspec.Struct):
    """What every line of results.jsonl has."""

    epoch: Natural
    configuration: list[Natural]
    latency_ms: Finite
    target_ms: Finite
    score: Finite


class Decision(msgspec.Struct):
    """What every line of aows.jsonl has."""

    progress: Finite
    temperature: Finite
    configuration: list[Natural] | None  # None: no configuration met all limits
    probabilities: list[list[Finite]]


def last_answer(folder, epoch):
    """Return the configuration of the last line of a folder's results.jsonl of an epoch.

    Raises UserError, naming the file, if it has none or is another program's.
    """
    path = Path(folder, RESULTS)
    lines = _lines(path)
    for number in range(len(lines), 0, -1):
        line = parse_json(lines[number - 1][1], path, number)
        result = checked(line, _Result, f"{path}, line {number} is not of train_nas.py")
        if result.epoch == epoch:
            return tuple(result.configuration)
    raise UserError(f"{path} holds no answer after epoch {epoch}")


class SearchFolder:
    """The folder --expname while a run has it to itself; a context manager.

    If several processes train together, the first one opens it and writes, the others do not.
    """

    def __init__(self, run):
        """
        Raises UserError, and changes nothing, if the folder is another program's, if another
        process writes to it, or if it holds a training that the Run does not continue.
        """
        self.path, self._run, self._continues = Path(run.expname), run, _continues(run)
        self._open = ExitStack()
        self._results = self._decisions = None
        self.curves = None  # once training begins, the ScalarLog of --tensorboard
        if rank():
            return
        _check_own(self.path)
        with ExitStack() as opened:
            # Held to the end, it is the lock that a second run meets.
            self._results = opened.enter_context(Appender(self.path / RESULTS))
            self._check_continued()
            remove_leftovers(self.path)
            self._open = opened.pop_all()

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self._open.close()

    def _check_continued(self):
        """Raise UserError if there is a training here that this run would mix with its own."""
        resume = self._run.resume
        newest = checkpoints.latest(self.path)
        used = [self.path / n for n in (RESULTS, DECISIONS) if _size(self.path / n)]
        if newest and resume and not self._continues:
            raise UserError(
                f"{newest} is of another training than {resume}: choose another --expname"
            )
        if (newest or used) and not (resume or self._run.resume_last):
            raise UserError(
                f"{self.path} holds a training ({(newest or used[0]).name}): continue it with "
                "--resume-last or choose another --expname"
            )

    def begin(self, start, steps, is_adaptive):
        """Keep in the folder only what came before a Position, where training goes on.

        steps: of an epoch; is_adaptive: whether there will be decisions
        What was trained after it is set aside in a folder of its own, with the reports on it,
        unless it is the part of an epoch that was lost with its process.
        """
        tensorboard = self._run.tensorboard if rank() == 0 else None
        self.curves = self._open.enter_context(ScalarLog(tensorboard, start.epoch))
        if rank():
            return
        now = start.epoch + start.step / steps
        keeps = {
            RESULTS: lambda line: self._continues and line["epoch"] <= start.epoch,
            DECISIONS: lambda line: self._continues and line["progress"] < now,
        }
        cut = {name: _after(self.path / name, keep) for name, keep in keeps.items()}
        results, decisions = (lines for _, lines in cut.values())
        ends = [line["epoch"] for line in results] + [line["progress"] for line in decisions]
        later = checkpoints.later(self.path, start.epoch, start.step)
        foreign = results and not self._continues
        if later or foreign or max(ends, default=now) > start.epoch + 1:
            aside = self._set_aside([name for name, (_, lines) in cut.items() if lines], later)
            tqdm.write(f"what was trained after {now:g} epochs is set aside in {aside}")
        elif ends:
            tqdm.write(f"what was trained after {now:g} epochs has no checkpoint: trained again")
        for name, (kept, lines) in cut.items():
            if lines:
                os.truncate(self.path / name, kept)
        if is_adaptive:
            self._decisions = self._open.enter_context(Appender(self.path / DECISIONS))

    def _set_aside(self, names, later):
        """Copy the named files into a new folder, and move checkpoints and reports there.

        Returns the folder. The newest checkpoint goes first: a kill in between leaves a training.
        """
        folders = (self.path / f"abandoned-{number}" for number in itertools.count(1))
        aside = next(folder for folder in folders if not folder.exists())
        aside.mkdir()
        for name in names:
            shutil.copy2(self.path / name, aside)
        reports = [self.path / name for name in (*REPORTS, *OF_VERIFY)]
        for path in (*reversed(later), *filter(Path.exists, reports)):
            path.rename(aside / path.name)
        return aside

    def append_result(self, line):
        """Append a line to results.jsonl."""
        if self._results:
            self._results.append([line])

    def append_decision(self, line):
        """Append a line to aows.jsonl."""
        if self._decisions:
            self._decisions.append([line])


def _continues(run):
    """Return whether a Run goes on with what is in its folder, not with a file elsewhere."""
    if not run.resume:
        return True
    return Path(run.resume).absolute().parent.resolve() == Path(run.expname).resolve()


def _check_own(folder):
    """Raise UserError if a folder holds another program's files."""
    for path in sorted(folder.glob(OF_TRAIN_FINAL)):
        raise UserError(f"{path} is of train_final.py: choose another --expname")
    for name, kind in ((RESULTS, _Result), (DECISIONS, Decision)):
        for number, (_, line) in enumerate(_lines(folder / name), start=1):
            try:
                value = parse_json(line, folder / name, number)
                checked(value, kind, f"{folder / name}, line {number} is not of train_nas.py")
            except UserError as error:
                raise UserError(f"{error}; choose another --expname") from None


def _lines(path):
    """Return [(where it ends, bytes)] of a file's lines; a torn last one does not count."""
    *lines, _ = path.read_bytes().split(b"\n") if path.is_file() else [b""]
    return list(zip(itertools.accumulate(len(line) + 1 for line in lines), lines, strict=True))


def _after(path, keep):
    """Return (bytes before, values from there on) of the first line that is not kept."""
    kept, lines = 0, [(end, json.loads(line)) for end, line in _lines(path)]
    for index, (end, value) in enumerate(lines):
        if not keep(value):
            return kept, [value for _, value in lines[index:]]
        kept = end
    return kept, []


def _size(path):
    return path.stat().st_size if path.is_file() else 0
