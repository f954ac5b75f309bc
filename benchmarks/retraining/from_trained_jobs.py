"""The jobs of benchmarks.from_trained: supernets with and without a trained widest network."""

from dataclasses import dataclass

from benchmarks.retraining.accuracy_jobs import FRAMEWORK, ows_of, widest_of
from benchmarks.retraining.following import Following
from benchmarks.retraining.from_trained_sub_networks import CONFIGURATIONS, read_losses
from benchmarks.retraining.jobs import Job, finished

SUB_NETWORK_COST_S = 2  # of a sub-network, on a quiet core
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


class FromTrained(Following):
    """The supernets and their evaluations."""

    FILE = "from-trained.jsonl"

    def epochs(self, start):
        """Return the epochs of a supernet."""
        return max(1, self.settings.supernet_epochs // start.share)

    def results(self):
        """Return {(start, seed): result} of the supernets that are finished.

        A result has times, and scores and losses, each (configurations,).
        """
        lines = finished(self.jobs_path)
        names = {_job_name(s, name): (name, s) for name in STARTS for s in self.seeds}
        return {key: lines[job] for job, key in names.items() if job in lines}

    def widest(self):
        """Return {seed: result} of the widest networks that are trained."""
        lines = self.of_accuracy() | finished(self.jobs_path)
        return {s: lines[widest_of(s)] for s in self.seeds if widest_of(s) in lines}

    def jobs(self):
        """Return all jobs, seed by seed, with those of benchmarks.accuracy."""
        others = {job.name: job for job in self.accuracy.jobs()}
        jobs = [others["table"]]
        for seed in self.seeds:
            jobs += [others[widest_of(seed)], others[ows_of(seed)]]
            jobs += [self._supernet(name, start, seed) for name, start in STARTS.items()]
        return jobs

    def _supernet(self, name, start, seed):
        """Return the job that trains a supernet, unless it is OWS's, and evaluates its parts."""
        job, epochs = _job_name(seed, name), self.epochs(start)
        folder = self.accuracy.folder_of(ows_of(seed) if name == FULL else job)
        needs = ows_of(seed) if name == FULL else widest_of(seed) if start.trained else "table"

        def run(results):
            target_ms = self.settings.targets[0] * results["table"]["full_ms"]
            options = (
                *FRAMEWORK, *self.accuracy.supernet_options(folder, target_ms, seed),
                "--epochs", epochs, "--resume-last",
            )  # fmt: skip
            if start.trained:
                options += self.accuracy.trained_start(seed)
            if name == FULL:
                times = {kind: results[needs][kind] for kind in ("wall_s", "cpu_s")}
            else:
                wall_s, cpu_s = self.accuracy.run("train_nas.py", *options, log=job)
                times = {"wall_s": wall_s, "cpu_s": cpu_s}
            module = ("-m", "benchmarks.retraining.from_trained_sub_networks")
            self.accuracy.run(*module, *options, log=job)
            return times | read_losses(folder)

        cost_s = CONFIGURATIONS * SUB_NETWORK_COST_S
        if name != FULL:
            cost_s += epochs * self.settings.supernet_cost_s
        return Job(job, tuple({needs, "table"}), cost_s, run)


def _job_name(seed, start):
    return f"from-trained/{seed}/{start}"
