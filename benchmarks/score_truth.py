"""Which settings of the supernet make the additive score tell the truth?

    python -m benchmarks.accuracy                  makes the latency table
    python -m benchmarks.score_truth               the whole benchmark, on two cores
    python -m benchmarks.score_truth --report      what is finished, as a table
    python -m benchmarks.score_truth --miniature   all steps on the digits, in minutes

The truth is the accuracy of random configurations of the search space trained from scratch. One
PyTorch supernet per variant gives their scores, with windows of several lengths, and the accuracies
of their sub-networks. Compared are the rank correlations of these with the truth.

Killed and started again, it goes on. Writes score_truth.jsonl and score_truth.md into
benchmarks/results; with --miniature beside the jobs.
"""

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path

from benchmarks.accuracy_jobs import FULL, MINIATURE, Benchmark
from benchmarks.jobs import Job, finished, run_all, run_command
from benchmarks.score_truth_report import write_report
from nas.latency_table import LatencyTable
from utils.errors import UserError, exits_with_one_line
from utils.records import read_lines

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
    "masks behind every layer": Variant(network="every layer masked"),
    "no masks behind depthwise layers": Variant(network="depthwise not masked"),
    "statistics of active images": Variant(network="active images"),
    "8 configurations per batch": Variant(groups=8),
    "4 configurations per batch": Variant(groups=4),
}


class ScoreTruth:
    """The jobs over one folder, beside those of benchmarks.accuracy, whose table they take."""

    def __init__(self, settings, folder, configurations):
        """configurations: how many are trained from scratch"""
        self.accuracy = Benchmark(settings, folder)
        self.settings, self.folder = settings, Path(folder)
        self.count = configurations

    @property
    def jobs_path(self):
        """Return where the lines of finished jobs are."""
        return self.folder / "score-truth.jsonl"

    @property
    def finals(self):
        """Return the names of the trainings from scratch."""
        return [f"truth/{index}" for index in range(self.count)]

    def supernet_folder(self, variant):
        """Return where a variant's supernet is."""
        return self.folder / f"score-truth-{variant.replace(' ', '-')}"

    def jobs(self):
        """Return all jobs: first the supernet that draws the configurations."""
        cost = self.settings.supernet_epochs * self.settings.supernet_cost_s
        jobs = [
            Job(f"supernet/{name}", (), cost, self._train_supernet(name, variant))
            for name, variant in VARIANTS.items()
        ]
        cost = self.settings.epochs * self.settings.epoch_cost_s
        needs = (f"supernet/{OURS}",)
        finals = [
            Job(name, needs, cost, self._train_final(index))
            for index, name in enumerate(self.finals)
        ]
        return jobs[:2] + finals + jobs[2:]

    def _train_supernet(self, name, variant):
        def run(_):
            if not self.accuracy.table_path.is_file():
                raise UserError(f"{self.accuracy.table_path} is missing: run benchmarks.accuracy")
            table = LatencyTable.load(self.accuracy.table_path)
            full_ms = table.predict(self.accuracy.largest())
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
                "--score-check", self.count, "--expname", folder, "--resume-last",
            ]  # fmt: skip
            log = self.folder / "logs" / f"{folder.name}.log"
            wall_s, cpu_s = run_command(list(map(str, command)), log)
            checked = [line for _, line in read_lines(folder / "score_check.jsonl")]
            return {"checked": checked, "wall_s": wall_s, "cpu_s": cpu_s}

        return run

    def _train_final(self, index):
        def run(results):
            # Every width was drawn, so that the score check of each variant drew the same ones.
            configuration = results[f"supernet/{OURS}"]["checked"][index]["configuration"]
            trained = self.accuracy.train(f"truth/{index}", configuration, seed=0)
            return {"configuration": configuration} | trained

        return run


@exits_with_one_line
def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--miniature", action="store_true", help="digits, few epochs")
    parser.add_argument("--report", action="store_true", help="run no jobs")
    args = parser.parse_args()
    folder = Path("output/accuracy-miniature" if args.miniature else "output/accuracy")
    benchmark = ScoreTruth(*((MINIATURE, folder, 5) if args.miniature else (FULL, folder, 20)))
    if not args.report:
        run_all(benchmark.jobs(), benchmark.jobs_path, SLOTS)
    results_folder = folder if args.miniature else Path("benchmarks/results")
    print(write_report(benchmark, list(VARIANTS), finished(benchmark.jobs_path), results_folder))


if __name__ == "__main__":
    main()
