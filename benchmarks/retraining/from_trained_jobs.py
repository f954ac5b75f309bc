"""The jobs of benchmarks.from_trained: widest networks, and supernets with and without them."""

from dataclasses import dataclass
from pathlib import Path

from benchmarks.retraining.accuracy_jobs import FRAMEWORK, Benchmark, ows_of, widest_of
from benchmarks.retraining.from_trained_sub_networks import CONFIGURATIONS, read_losses
from benchmarks.retraining.jobs import Job, finished

SUB_NETWORK_COST_S = 2  # of a sub-network, on a quiet core
SEEDS = 3  # the first ones
SHORT = 3  # a third of the epochs


@dataclass(frozen=True)
class Start:
    """Where a supernet starts, and for what share of the epochs it is trained."""

    trained: bool  # from the trained widest network
    share: int = SHORT  # of the epochs: one in so many


FULL, SHORT_FROM_TRAINED = "from scratch", "from a trained network, a third of the epochs"
STARTS = {
    SHORT_FROM_TRAINED: Start(trained=True),
    FULL: Start(trained=False, share=1),
    "from scratch, a third of the epochs": Start(trained=False),
}


class FromTrained:
    """The jobs in the folder of benchmarks.accuracy, some of which they share."""

    def __init__(self, settings, folder):
        self.accuracy = Benchmark(settings, folder)
        self.settings, self.folder = settings, Path(folder)
        self.seeds = settings.seeds[:SEEDS]

    @property
    def jobs_path(self):
        """Return where the lines of finished jobs are."""
        return self.folder / "from-trained.jsonl"

    def epochs(self, start):
        """Return the epochs of a supernet."""
        return max(1, self.settings.supernet_epochs // start.share)

    def results(self):
        """Return {(start, seed): result} of the supernets that are finished.

        A result has times, and scores and losses, each (configurations,).
        """
        lines = finished(self.jobs_path)
        names = {f"supernet/{s}/{name}": (name, s) for name in STARTS for s in self.seeds}
        return {key: lines[job] for job, key in names.items() if job in lines}

    def widest(self):
        """Return {seed: result} of the widest networks that are trained."""
        lines = finished(self.jobs_path)
        return {s: lines[widest_of(s)] for s in self.seeds if widest_of(s) in lines}

    def jobs(self):
        """Return all jobs, seed by seed."""
        table = self._shared("table", self.accuracy.table_path, self.accuracy.make_table)
        jobs = [Job("table", (), 120, table)]
        for seed in self.seeds:
            widest, cost_s = widest_of(seed), self.settings.epochs * self.settings.epoch_cost_s
            run = self._shared(
                widest, self.accuracy.parameters_of(widest), self._train_widest(seed)
            )
            jobs.append(Job(widest, ("table",), cost_s, run))
            for name, start in STARTS.items():
                needs = ("table", widest) if start.trained else ("table",)
                cost_s = self.epochs(start) * self.settings.supernet_cost_s
                cost_s += CONFIGURATIONS * SUB_NETWORK_COST_S
                run = self._train_supernet(name, start, seed)
                jobs.append(Job(f"supernet/{seed}/{name}", needs, cost_s, run))
        return jobs

    def _shared(self, name, path, make):
        """Return how a job of benchmarks.accuracy is done, unless that benchmark has done it.

        path: the file that it leaves
        """

        def run(results):
            done = finished(self.accuracy.jobs_path)
            return done[name] if name in done and path.is_file() else make(results)

        return run

    def _train_widest(self, seed):
        def run(_):
            return self.accuracy.train(widest_of(seed), self.accuracy.widest(), seed)

        return run

    def _supernet_folder(self, name, seed):
        if name == FULL:
            return self.accuracy.folder_of(ows_of(seed))
        return self.accuracy.folder_of(f"from-trained/{seed}/{name}")

    def _train_supernet(self, name, start, seed):
        """Return how a supernet is trained, unless it is there, and its sub-networks evaluated."""

        def run(results):
            folder = self._supernet_folder(name, seed)
            target_ms = self.settings.targets[0] * results["table"]["full_ms"]
            options = (
                *FRAMEWORK, *self.accuracy.supernet_options(folder, target_ms, seed),
                "--epochs", self.epochs(start), "--resume-last",
            )  # fmt: skip
            if name == FULL:  # as benchmarks.accuracy trains it
                options += ("--keep", self.settings.supernet_epochs)
            if start.trained:
                options += ("--init", self.accuracy.parameters_of(widest_of(seed)))
            log = f"from-trained/{seed}/{name}"
            wall_s, cpu_s = self.accuracy.run("train_nas.py", *options, log=log)
            times = {"wall_s": wall_s, "cpu_s": cpu_s}
            if name == FULL:
                times = finished(self.accuracy.jobs_path).get(ows_of(seed), times)
            module = ("-m", "benchmarks.retraining.from_trained_sub_networks")
            self.accuracy.run(*module, *options, log=log)
            return times | read_losses(folder)

        return run
