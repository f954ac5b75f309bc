"""The settings of train_nas.py, by topic: what its command line is parsed into."""

from collections.abc import Sequence
from dataclasses import dataclass

from models.execution import Execution
from models.supernet import TrainingSchedule
from nas.latency_target import LatencyTarget
from nas.supernet_search import Schedule
from utils.devices.remote_pipe import PYTHON, SSH
from utils.devices.workload import Command


@dataclass(frozen=True)
class Question:
    """What is searched, under which limits and how."""

    latency_model: Sequence[str]  # files of latency tables
    latency_target: Sequence[LatencyTarget]  # one for each table
    confidence: float | None  # with which a measured latency is to meet it; None: as predicted
    max_macs: float | None
    max_params: float | None
    network: str | None  # this and the next four: None for the latency model's
    input_size: int | None
    min_width: float | None
    max_width: float | None
    levels: int | None
    window: int  # images averaged per width of a layer
    scores: str
    search: str  # its method
    gamma_iter: int  # bisections of the method lagrangian
    adaptive: Schedule | None  # of AOWS; None for OWS


@dataclass(frozen=True)
class Run:
    """The folder of a run, what it resumes from, and what it writes while it trains."""

    expname: str
    init: str | None = None  # a trained network's file, to start at without a checkpoint
    resume: str | None = None  # a checkpoint
    resume_last: bool = False
    keep: int = 2  # checkpoints, the newest ones
    checkpoint_steps: int = 0  # between checkpoints within an epoch; 0: none
    print_freq: int = 10  # steps between two lines of aows.jsonl
    tensorboard: str | None = None


@dataclass(frozen=True)
class Reports:
    """Which reports on a trained network are wanted, and their settings."""

    expname: str
    seed: int = 0
    latency_model: Sequence[str] = ()
    samples: str | None = None
    search: str = "exact"
    AOWS: bool = False
    scores: str = "monotone"
    score_check: int = 0  # sub-networks
    pareto: bool = False
    verify: bool = False
    command: Command | None = None  # of --verify, for a table of device `command`
    remote_shell: str = SSH  # of --verify on another machine, as in utils.devices.remote_pipe.Host
    remote_python: str = PYTHON


@dataclass(frozen=True)
class Options:
    """All settings of a run of train_nas.py."""

    data: str  # digits, glyphs, a folder with train/ and val/, or a prefix of .rec files
    workers: int
    question: Question
    schedule: TrainingSchedule
    execution: Execution
    run: Run
    reports: Reports

    @property
    def is_adaptive(self):
        """Whether AOWS draws the widths."""
        return self.question.adaptive is not None
