"""What benchmarks.accuracy trains and measures, for how long and where: its command line."""

import argparse
from dataclasses import dataclass
from pathlib import Path

from utils.command_line import positive

SLOTS = 2  # jobs at a time, each with one thread


@dataclass(frozen=True)
class Settings:
    """What is trained and measured, and for how long."""

    data: str
    classes: int
    space: tuple[str, ...]  # options of latency.py
    samples: int  # networks timed for the latency table
    targets: tuple[float, ...]  # of the widest network's predicted latency; the first go first
    default_target: float  # likewise, of the default method alone: is it as good as the widest?
    seeds: tuple[int, ...]
    supernet_epochs: int
    warmup: int  # epochs of these, whose widths AOWS draws uniformly
    window: int
    epochs: int  # of the trainings from scratch
    supernet_cost_s: float  # of an epoch, on a quiet core: for the estimate of the time left
    epoch_cost_s: float  # likewise, of a training from scratch


FULL = Settings(
    data="glyphs",
    classes=49,
    # Networks so narrow that width matters, and so many images that seeds do not.
    space=("--min-width", "0.05", "--max-width", "0.5", "--levels", "11"),
    samples=240,
    targets=(0.35, 0.25, 0.5, 0.7),
    default_target=0.65,
    seeds=(0, 1, 2, 3, 4),
    supernet_epochs=6,
    warmup=3,
    window=5350,  # about the images that a width has in two epochs
    epochs=10,
    supernet_cost_s=36,
    epoch_cost_s=12,
)
MINIATURE = Settings(
    data="digits",
    classes=10,
    space=("--min-width", "0.1", "--max-width", "0.7", "--levels", "3"),
    samples=20,
    targets=(0.5,),
    default_target=0.8,
    seeds=(0,),
    supernet_epochs=2,
    warmup=1,
    window=400,
    epochs=1,
    supernet_cost_s=8,
    epoch_cost_s=8,
)


@dataclass(frozen=True)
class Asked:
    """What the command line of a benchmark over these jobs asks for."""

    settings: Settings
    folder: Path  # of the jobs
    results_folder: Path  # of what is reported
    is_miniature: bool
    only_reports: bool  # without running jobs
    slots: int  # jobs at a time
    flags: frozenset[str]  # names of the benchmark's own flags that are set


def parse_arguments(description, **flags):
    """Return what a benchmark over these jobs is Asked for; flags: {name: help} of its own."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--miniature", action="store_true", help="digits, one seed, few epochs")
    parser.add_argument("--report", action="store_true", help="run no jobs")
    parser.add_argument(
        "--slots", type=positive, default=SLOTS, help=f"jobs at a time, one thread each ({SLOTS})"
    )
    for name, what in flags.items():
        parser.add_argument(f"--{name}", action="store_true", help=what)
    args = parser.parse_args()
    folder = Path("output/accuracy-miniature" if args.miniature else "output/accuracy")
    return Asked(
        settings=MINIATURE if args.miniature else FULL,
        folder=folder,
        results_folder=folder if args.miniature else Path("benchmarks/results"),
        is_miniature=args.miniature,
        only_reports=args.report,
        slots=args.slots,
        flags=frozenset(name for name in flags if getattr(args, name)),
    )
