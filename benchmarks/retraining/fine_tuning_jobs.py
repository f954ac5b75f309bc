"""The jobs of benchmarks.fine_tuning: answers trained from their supernet's weights."""

from dataclasses import dataclass

from benchmarks.retraining.accuracy_jobs import trained_supernet, widest_of
from benchmarks.retraining.accuracy_methods import FITTED, WIDEST
from benchmarks.retraining.following import Following
from benchmarks.retraining.jobs import Job, finished

TAUGHT_COST = 2  # of an epoch with the supernet as teacher, relative to one without


@dataclass(frozen=True)
class Start:
    """How an answer is trained from a supernet's weights."""

    share: int  # of the epochs from scratch: one in so many
    teacher: bool = False  # whether the supernet teaches


SCRATCH = "from scratch"
LONG = "the widest network from scratch, as long"
STARTS = {
    "supernet, a fifth": Start(share=5),
    "supernet, a fifth, taught": Start(share=5, teacher=True),
    "supernet": Start(share=1),
}


class FineTuning(Following):
    """The trainings from the supernets' weights, beside those from scratch."""

    FILE = "fine-tuning.jsonl"

    def epochs(self, start):
        """Return the epochs of a Start."""
        return max(1, self.settings.epochs // start.share)

    def epochs_of_weights(self):
        """Return the epochs that an answer's weights have been trained for in the end.

        Those of the widest network, of its supernet, and of the answer itself.
        """
        return 2 * self.settings.epochs + self.accuracy.epochs_from_trained

    def cells(self):
        """Return {(name of a start, SCRATCH or LONG, target, seed): name of its job}.

        The widest network, which SCRATCH and LONG have, is of target 1.
        """
        cells = [(target, seed) for seed in self.seeds for target in self.settings.targets]
        names = {(SCRATCH, t, s): f"final/{s}/{t}/{FITTED}" for t, s in cells}
        names |= {(name, t, s): f"tuned/{s}/{t}/{name}" for name in STARTS for t, s in cells}
        names |= {(SCRATCH, 1, s): widest_of(s) for s in self.seeds}
        return names | {(LONG, 1, s): _long(s) for s in self.seeds}

    def results(self):
        """Return {cell: result} of the finished trainings; see cells."""
        lines = self.of_accuracy() | finished(self.jobs_path)
        return {cell: lines[job] for cell, job in self.cells().items() if job in lines}

    def jobs(self):
        """Return all jobs, seed by seed and target by target, with those of benchmarks.accuracy."""
        others = {job.name: job for job in self.accuracy.jobs()}
        jobs = [others["table"]]
        for seed in self.seeds:
            jobs += [others[widest_of(seed)], others[trained_supernet(seed)]]
            jobs.append(self._long_training(seed))
            for target in self.settings.targets:
                kinds = ("answer", "final")
                jobs += [others[f"{kind}/{seed}/{target}/{FITTED}"] for kind in kinds]
                jobs += [
                    self._training(name, start, target, seed) for name, start in STARTS.items()
                ]
        return jobs

    def _long_training(self, seed):
        """Return the job that trains the widest network as long as an answer's weights."""
        epochs, name = self.epochs_of_weights(), _long(seed)

        def run(_):
            widest = self.accuracy.widest()
            trained = self.accuracy.train(name, widest, seed, "--num-epochs", epochs)
            return {"configuration": widest} | trained

        return Job(name, ("table",), epochs * self.settings.epoch_cost_s, run)

    def _training(self, name, start, target, seed):
        """Return the job that trains the answer from a supernet's weights."""
        job, answer = f"tuned/{seed}/{target}/{name}", f"answer/{seed}/{target}/{FITTED}"
        # The recipe is that from scratch; but weights that are trained need no warm-up.
        supernet = self.accuracy.folder_of(trained_supernet(seed))
        options = ["--from-supernet", supernet, "--warmup-epochs", 0]
        options += ["--num-epochs", self.epochs(start)]
        if start.teacher:
            options += ["--teacher", "supernet", "--temperature", 2]

        def run(results):
            configuration = results[answer]["configuration"]
            trained = self.accuracy.train(job, configuration, seed, *options)
            return {"configuration": configuration} | trained

        cost_s = self.epochs(start) * self.settings.epoch_cost_s
        return Job(job, (answer,), cost_s * (TAUGHT_COST if start.teacher else 1), run)


def _long(seed):
    return f"tuned/{seed}/1/{WIDEST}"
