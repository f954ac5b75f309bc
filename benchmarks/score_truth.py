"""Which settings of the supernet make the additive score tell the truth?

    python -m benchmarks.accuracy                  the latency table, and random networks trained
    python -m benchmarks.score_truth               the whole benchmark, on two cores
    python -m benchmarks.score_truth --report      what is finished, as a table
    python -m benchmarks.score_truth --miniature   all steps on the digits, in minutes

The truth is the accuracy of random configurations trained from scratch: those of
benchmarks.accuracy, which meet its targets, and others drawn from the whole search space. One
PyTorch supernet per variant gives their scores, over windows of several lengths. Compared are the
rank correlations of the scores with the truth.

Killed and started again, it goes on. Writes score_truth.jsonl and score_truth.md into
benchmarks/results; with --miniature beside the jobs.
"""

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.accuracy_jobs import FULL, MINIATURE, Benchmark
from benchmarks.jobs import Job, finished, run_all, run_command
from benchmarks.score_truth_report import write_report
from nas.latency_table import LatencyTable
from nas.search_space import SearchSpace
from utils.errors import UserError, exits_with_one_line

SLOTS = 2  # jobs at a time, each with one thread
ALL = 1_000_000  # images of a window that keeps everything


@dataclass(frozen=True)
class Variant:
    """One way to train the supernet; what is not said is as in `ours`."""

    network: str = "ours"  # one of benchmarks.score_truth_supernet.NETWORKS
    schedule: str = "cosine"
    groups: int = 0  # configurations per batch; 0: each image its own


OURS = "ours"
VARIANTS = {
    OURS: Variant(),
    "constant learning rate": Variant(schedule="constant"),
    "no masks behind depthwise layers": Variant(network="depthwise not masked"),
    "statistics of active images": Variant(network="active images"),
    "4 configurations per batch": Variant(groups=4),
    "8 configurations per batch": Variant(groups=8),
    "masks behind every layer": Variant(network="every layer masked"),
}


class ScoreTruth:
    """The jobs over the folder of benchmarks.accuracy, whose table and trainings they take."""

    def __init__(self, settings, folder, count):
        """count: configurations that are drawn from the whole search space"""
        self.accuracy = Benchmark(settings, folder)
        self.settings, self.folder, self.count = settings, Path(folder), count

    @property
    def jobs_path(self):
        """Return where the lines of finished jobs are."""
        return self.folder / "score-truth.jsonl"

    def trained(self):
        """Return {configuration: accuracy} of the random networks trained from scratch so far."""
        results = finished(self.jobs_path) | finished(self.accuracy.jobs_path)
        return {
            tuple(result["configuration"]): result["accuracy"]
            for name, result in results.items()
            if name.startswith("truth/") or (name.startswith("final/") and name.endswith("/random"))
        }

    def supernet_folder(self, variant):
        """Return where a variant's supernet is."""
        return self.folder / f"score-truth-{variant.replace(' ', '-')}"

    def jobs(self):
        """Return all jobs, supernets and trainings from scratch in turn."""
        if not self.accuracy.table_path.is_file():
            raise UserError(f"{self.accuracy.table_path} is missing: run benchmarks.accuracy")
        table = LatencyTable.load(self.accuracy.table_path)
        space, rng = SearchSpace.from_dict(table.metadata["search_space"]), np.random.default_rng(0)
        cost = self.settings.epochs * self.settings.epoch_cost_s
        trainings = [
            Job(name, (), cost, self._train_final(name, space.draw_uniform(rng)))
            for name in (f"truth/{index}" for index in range(self.count))
        ]
        cost = self.settings.supernet_epochs * self.settings.supernet_cost_s
        jobs = []
        for name, variant in VARIANTS.items():
            jobs.append(Job(f"supernet/{name}", (), cost, self._train_supernet(name, variant)))
            jobs += trainings[:3]
            trainings = trainings[3:]
        return jobs + trainings

    def _train_supernet(self, name, variant):
        def run(_):
            full_ms = LatencyTable.load(self.accuracy.table_path).predict(self.accuracy.largest())
            folder = self.supernet_folder(name)
            # All checkpoints are kept: the last but one tells what the last epoch adds.
            command = [
                sys.executable, "-m", "benchmarks.score_truth_supernet", variant.network,
                "--framework", "pytorch", "--data", self.settings.data, "-j", 0, "--no-cuda",
                "--epochs", self.settings.supernet_epochs, "-b", 32, "--lr", 0.2,
                "--lr-schedule", variant.schedule, "--configurations-per-batch", variant.groups,
                "--window", ALL, "--seed", 0, "--keep", self.settings.supernet_epochs,
                "--latency-model", self.accuracy.table_path,
                "--latency-target", self.settings.targets[0] * full_ms,
                "--expname", folder, "--resume-last",
            ]  # fmt: skip
            log = self.folder / "logs" / f"{folder.name}.log"
            wall_s, cpu_s = run_command(list(map(str, command)), log)
            return {"wall_s": wall_s, "cpu_s": cpu_s}

        return run

    def _train_final(self, name, configuration):
        def run(_):
            trained = self.accuracy.train(name, configuration, seed=0)
            return {"configuration": configuration} | trained

        return run


@exits_with_one_line
def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--miniature", action="store_true", help="digits, few epochs")
    parser.add_argument("--report", action="store_true", help="run no jobs")
    args = parser.parse_args()
    folder = Path("output/accuracy-miniature" if args.miniature else "output/accuracy")
    benchmark = ScoreTruth(*((MINIATURE, folder, 4) if args.miniature else (FULL, folder, 14)))
    if not args.report:
        run_all(benchmark.jobs(), benchmark.jobs_path, SLOTS)
    results_folder = folder if args.miniature else Path("benchmarks/results")
    print(write_report(benchmark, list(VARIANTS), finished(benchmark.jobs_path), results_folder))


if __name__ == "__main__":
    main()
