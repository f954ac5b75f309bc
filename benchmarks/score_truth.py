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

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.accuracy_jobs import SLOTS, Benchmark, parse_arguments
from benchmarks.jobs import Job, finished, run_all
from benchmarks.score_truth_report import write_report
from utils.errors import UserError, exits_with_one_line

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
        space, rng = self.accuracy.space(), np.random.default_rng(0)
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
            full_ms = self.accuracy.table().predict(self.accuracy.largest())
            target_ms, folder = self.settings.targets[0] * full_ms, self.supernet_folder(name)
            wall_s, cpu_s = self.accuracy.run(
                "-m", "benchmarks.score_truth_supernet", variant.network,
                *self.accuracy.supernet_options(folder, target_ms, seed=0),
                "--framework", "pytorch", "--lr-schedule", variant.schedule,
                "--configurations-per-batch", variant.groups, "--window", ALL,
                # All checkpoints are kept: the last but one tells what the last epoch adds.
                "--keep", self.settings.supernet_epochs, "--resume-last", log=folder.name,
            )  # fmt: skip
            return {"wall_s": wall_s, "cpu_s": cpu_s}

        return run

    def _train_final(self, name, configuration):
        def run(_):
            trained = self.accuracy.train(name, configuration, seed=0)
            return {"configuration": configuration} | trained

        return run


@exits_with_one_line
def main():
    args = parse_arguments(__doc__.partition("\n")[0])
    benchmark = ScoreTruth(args.settings, args.folder, count=4 if args.miniature else 14)
    if not args.report:
        run_all(benchmark.jobs(), benchmark.jobs_path, SLOTS)
    results = finished(benchmark.jobs_path)
    print(write_report(benchmark, list(VARIANTS), results, args.results_folder))


if __name__ == "__main__":
    main()
