"""The jobs of benchmarks.score_truth: supernets of each variant, and networks trained twice."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.retraining.accuracy_jobs import Benchmark
from benchmarks.retraining.jobs import Job, finished
from benchmarks.retraining.score_truth_sub_networks import ACCURACIES
from utils.errors import UserError
from utils.json_lines import read_lines

ALL = 1_000_000  # images of a window that keeps everything
SUB_NETWORK_COST_S = 5  # of a sub-network, on a quiet core
SUPERNETS = 2  # of each variant at most, by the first seeds
AGAIN = 100  # seed of a configuration's second training, unlike those of benchmarks.accuracy


@dataclass(frozen=True)
class Variant:
    """One way to train the supernet; the defaults are those of `ours`."""

    network: str = "ours"  # one of benchmarks.retraining.score_truth_supernet.NETWORKS
    schedule: str = "cosine"
    groups: int = 0  # configurations per batch; 0: each image its own


OURS = "ours"


VARIANTS = {
    OURS: Variant(),
    "constant learning rate": Variant(schedule="constant"),
    "no masks after depthwise layers": Variant(network="depthwise not masked"),
    "statistics of active images": Variant(network="active images"),
    "4 configurations per batch": Variant(groups=4),
    "8 configurations per batch": Variant(groups=8),
    "masks after every layer": Variant(network="every layer masked"),
}


class ScoreTruth:
    """The jobs in the folder of benchmarks.accuracy, whose table and trainings they use."""

    def __init__(self, settings, folder, count):
        """count: configurations that are drawn from the whole search space"""
        self.accuracy = Benchmark(settings, folder)
        self.settings, self.folder, self.count = settings, Path(folder), count
        self.seeds = settings.seeds[:SUPERNETS]

    @property
    def jobs_path(self):
        """Return where the lines of finished jobs are."""
        return self.folder / "score-truth.jsonl"

    def trained(self):
        """Return {configuration: accuracies} of the random networks trained from scratch so far."""
        results = self._random_of_accuracy() | finished(self.jobs_path)
        accuracies = {}
        for name, result in results.items():
            if name.startswith(("final/", "truth/", "again/")):
                of_it = accuracies.setdefault(tuple(result["configuration"]), [])
                of_it.append(result["accuracy"])
        return accuracies

    def _random_of_accuracy(self):
        """Return {job: result} of the random networks of benchmarks.accuracy."""
        return {
            name: result
            for name, result in finished(self.accuracy.jobs_path).items()
            if name.startswith("final/") and name.endswith("/random")
        }

    def supernets(self, variant):
        """Return the folders of a variant's finished supernets, by seed."""
        results = finished(self.jobs_path)
        return {
            seed: self._supernet_folder(variant, seed)
            for seed in self.seeds
            if f"supernet/{seed}/{variant}" in results
        }

    def sub_networks(self):
        """Return {configuration: accuracy on training images} of each of our supernets."""
        return [
            {tuple(line["configuration"]): line["accuracy"] for line in result["accuracies"]}
            for name, result in finished(self.jobs_path).items()
            if name.startswith("sub-networks/")
        ]

    def _supernet_folder(self, variant, seed):
        return self.folder / f"score-truth-{seed}-{variant.replace(' ', '-')}"

    def jobs(self):
        """Return all jobs: supernets of the first seed, the trainings, supernets of the others."""
        if not self.accuracy.table_path.is_file():
            raise UserError(f"{self.accuracy.table_path} is missing: run benchmarks.accuracy")
        space, rng = self.accuracy.space, np.random.default_rng(0)
        drawn = [space.draw_uniform(rng) for _ in range(self.count)]
        others = [result["configuration"] for result in self._random_of_accuracy().values()]
        first, *later = self.seeds
        return [
            *self._supernet_jobs(first, [*drawn, *others]),
            *(self._training(f"truth/{i}", widths, 0) for i, widths in enumerate(drawn)),
            *(self._training(f"again/{_text(w)}", w, AGAIN) for w in (*drawn, *others)),
            *(job for seed in later for job in self._supernet_jobs(seed, [*drawn, *others])),
        ]

    def _supernet_jobs(self, seed, configurations):
        """Return the jobs that train all variants of one seed and evaluate the configurations."""
        cost = self.settings.supernet_epochs * self.settings.supernet_cost_s
        trainings = [
            Job(f"supernet/{seed}/{name}", (), cost, self._train_supernet(name, variant, seed))
            for name, variant in VARIANTS.items()
        ]
        return [*trainings, self._sub_networks(seed, configurations)]

    def _supernet_options(self, folder, seed):
        full_ms = self.accuracy.table.predict(self.accuracy.widest())
        target_ms = self.settings.targets[0] * full_ms
        return (
            *self.accuracy.supernet_options(folder, target_ms, seed),
            *("--framework", "pytorch", "--scores", "means", "--window", ALL, "--resume-last"),
        )

    def _train_supernet(self, name, variant, seed):
        def run(_):
            folder = self._supernet_folder(name, seed)
            wall_s, cpu_s = self.accuracy.run(
                "-m", "benchmarks.retraining.score_truth_supernet", variant.network,
                *self._supernet_options(folder, seed), "--lr-schedule", variant.schedule,
                "--configurations-per-batch", variant.groups,
                # All checkpoints are kept: the last but one shows what the last epoch adds.
                "--keep", self.settings.supernet_epochs, log=folder.name,
            )  # fmt: skip
            return {"wall_s": wall_s, "cpu_s": cpu_s}

        return run

    def _sub_networks(self, seed, configurations):
        """Return the job that evaluates the configurations as sub-networks of our supernet."""

        def run(_):
            folder = self._supernet_folder(OURS, seed)
            path = folder / "configurations.json"
            path.write_text(json.dumps([[int(c) for c in row] for row in configurations]))
            options = self._supernet_options(folder, seed)
            module = ("-m", "benchmarks.retraining.score_truth_sub_networks")
            self.accuracy.run(*module, path, *options, log=folder.name)
            return {"accuracies": [line for _, line in read_lines(folder / ACCURACIES)]}

        cost = len(configurations) * SUB_NETWORK_COST_S
        return Job(f"sub-networks/{seed}", (f"supernet/{seed}/{OURS}",), cost, run)

    def _training(self, name, configuration, seed):
        """Return the job that trains a configuration from scratch."""

        def run(_):
            trained = self.accuracy.train(name, configuration, seed)
            return {"configuration": configuration} | trained

        cost = self.settings.epochs * self.settings.epoch_cost_s
        return Job(name, (), cost, run)


def _text(configuration):
    return ",".join(map(str, configuration))
