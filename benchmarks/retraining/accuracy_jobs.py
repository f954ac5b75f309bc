"""The jobs of benchmarks.accuracy: the table, the supernets, their answers, the trainings."""

import shutil
import sys
from functools import partial
from pathlib import Path

import numpy as np

from benchmarks.retraining.accuracy_methods import (
    DEFAULT,
    OURS,
    SEARCHED,
    SUPERNETS,
    UNIFORM,
    WIDEST,
)
from benchmarks.retraining.device_table import DeviceTable
from benchmarks.retraining.jobs import Job, run_command
from benchmarks.retraining.peer_jobs import PEERS, job_name, peer_job
from nas.constraint import Constraint
from nas.latency_target import feasible_uniform
from networks import MOBILENET_V1, open_network
from utils import checkpoints
from utils.json_lines import read_lines

DEVICE = "onnxruntime"
FRAMEWORK = ("--framework", "pytorch")  # of both training scripts
QUESTION_COST_S = 20


class Benchmark:
    """The jobs in one folder; each runs commands that a user could type."""

    def __init__(self, settings, folder, peers=()):
        """peers: which of PEERS to compare with; they must be installed"""
        self.settings, self.folder, self.peers = settings, Path(folder), tuple(peers)
        self._of_device = DeviceTable(settings, folder, DEVICE)

    def jobs(self):
        """Return all jobs, in the order in which they should start.

        First ours and uniform networks, by all seeds, the default at a target of its own, too; then
        the others, seed by seed.
        """
        jobs, seeds, targets = [self.table_job()], self.settings.seeds, self.settings.targets
        for seed in seeds:
            jobs.append(self._training(seed, 1, WIDEST))
            jobs.append(self._supernet_job(seed, SEARCHED[DEFAULT].supernet))
            for target in targets:
                jobs += [self._question(seed, target, method) for method in OURS]
                jobs += [self._training(seed, target, method) for method in (UNIFORM, *OURS)]
            alone = (seed, self.settings.default_target, DEFAULT)
            jobs += [self._question(*alone), self._training(*alone)]
        adaptive = [kind for kind in SUPERNETS if SUPERNETS[kind].is_adaptive]
        others = [method for method in SEARCHED if method not in OURS]
        for seed in seeds:
            jobs += [peer_job(self, seed, peer, widest_of(seed)) for peer in self.peers]
            jobs.append(self._supernet_job(seed, "OWS"))
            for target in targets:
                jobs += [self._supernet_job(seed, kind, target) for kind in adaptive]
                jobs += [self._question(seed, target, method) for method in others]
                jobs += [self._training(seed, target, name) for name in (*others, *self.peers)]
        return jobs

    @property
    def jobs_path(self):
        """Return where the lines of finished jobs are."""
        return self.folder / "jobs.jsonl"

    @property
    def table_path(self):
        """Return where the latency table is."""
        return self._of_device.path

    def folder_of(self, name):
        """Return the folder of what a job trains."""
        return self.folder / _as_file_name(name)

    def parameters_of(self, name):
        """Return where the parameters after the last epoch of a job's training are."""
        return self.folder_of(name) / f"mobilenet-{self.settings.epochs:04d}.params"

    def log_path(self, name):
        """Return where the output of a job's commands goes."""
        return self.folder / "logs" / f"{_as_file_name(name)}.log"

    def run(self, script, *arguments, log):
        """Run a script, or "-m" a module, with its arguments; return its (seconds, CPU seconds)."""
        command = [sys.executable, script, *map(str, arguments)]
        return run_command(command, self.log_path(log))

    def widest(self):
        """Return the widest network of the space."""
        multiplier = float(self.settings.space[self.settings.space.index("--max-width") + 1])
        return open_network(MOBILENET_V1, self.settings.classes).scaled(multiplier)

    @property
    def table(self):
        """Return the latency table, once the job that makes it is done."""
        return self._of_device.table

    @property
    def space(self):
        """Return the search space of the table."""
        return self.table.space

    def widest_uniform(self, target_ms):
        """Return the widest UniformNetwork of any multiplier that meets a target."""
        limit = Constraint(self.table.pairwise(self.space), target_ms)
        return next(feasible_uniform(self.space, [limit]))

    def supernet_options(self, folder, target_ms, seed, table_path=None):
        """Return the options of train_nas.py for a supernet; later ones override them.

        table_path: of another latency table than the benchmark's
        """
        return (
            "--data", self.settings.data, "-j", 0, "--no-cuda",
            "--epochs", self.settings.supernet_epochs, "-b", 64, "--lr", 0.2,
            "--lr-schedule", "cosine", "--window", self.settings.window, "--seed", seed,
            "--latency-model", table_path or self.table_path, "--latency-target", target_ms,
            "--expname", folder,
        )  # fmt: skip

    def _supernet(self, name, target_ms, seed, *options, table_path=None):
        """Train or query the supernet of a job; return its times."""
        common = self.supernet_options(self.folder_of(name), target_ms, seed, table_path)
        return self.run("train_nas.py", *FRAMEWORK, *common, *options, log=name)

    def table_job(self):
        """Return the job that makes the latency table."""
        return self.measuring("table", self._of_device)

    def measuring(self, name, of_device, needs=()):
        """Return the job that makes a DeviceTable, and predicts the widest network by it.

        needs: jobs that must be finished before, so that nothing runs beside it
        """

        def run(_):
            of_device.make(partial(self.run, log=name))
            return {"full_ms": of_device.table.predict(self.widest())}

        return Job(name, needs, 120, run, leaves=of_device.path)

    def _supernet_job(self, seed, kind, target=None):
        """Return the job that trains a supernet; target: if it is of one, as a share."""
        name = supernet_name(seed, kind, target)

        def run(results):
            target_ms = (target or self.settings.targets[0]) * results["table"]["full_ms"]
            is_begun = checkpoints.latest(self.folder_of(name))
            options = self._training_options(seed, kind, is_begun)
            wall_s, cpu_s = self._supernet(name, target_ms, seed, *options)
            return {"wall_s": wall_s, "cpu_s": cpu_s}

        needs, epochs = "table", self.settings.supernet_epochs
        if SUPERNETS[kind].starts_trained:
            needs, epochs = widest_of(seed), self.epochs_from_trained
        elif SUPERNETS[kind].is_adaptive:
            needs, epochs = ows_of(seed), epochs - self.settings.warmup
        cost_s = epochs * self.settings.supernet_cost_s
        return Job(name, (needs,), cost_s, run, leaves=self.folder_of(name))

    @property
    def epochs_from_trained(self):
        """Return the epochs of a supernet that starts at the trained widest network."""
        # Half: the widest network's training takes about as long as the others.
        return max(1, self.settings.supernet_epochs // 2)

    def _training_options(self, seed, kind, is_begun):
        """Return the options with which a supernet is trained."""
        options, resume = SUPERNETS[kind].options + self._kind_options(seed, kind), "--resume-last"
        if kind == "OWS":  # all checkpoints are kept: AOWS continues from the one after the warm-up
            return (*options, resume, "--keep", self.settings.supernet_epochs)
        if is_begun or SUPERNETS[kind].starts_trained:
            return (*options, resume, "--keep", 1)
        # The warm-up draws uniformly, as OWS does, and with the same seed the same widths: OWS's
        # checkpoint after it is what AOWS's own would be.
        warm = checkpoints.checkpoint_path(self.folder_of(ows_of(seed)), self.settings.warmup)
        return (*options, "--resume", warm, "--keep", 1)

    def _kind_options(self, seed, kind):
        """Return the options that a supernet is trained and asked with."""
        options, warmup = (), self.settings.warmup
        if SUPERNETS[kind].starts_trained:
            options, warmup = self.trained_start(seed), 1
            options += ("--epochs", self.epochs_from_trained)
        if SUPERNETS[kind].is_adaptive:
            options += ("--AOWS", "--AOWS-warmup", warmup)
        return options

    def trained_start(self, seed):
        """Return the options with which a supernet starts at the widest network of a seed."""
        return ("--init", self.parameters_of(widest_of(seed)), "--lr", 0.1)

    def _question(self, seed, target, name):
        """Return the job that asks a trained supernet for the widths of a method."""
        supernet = supernet_name(seed, SEARCHED[name].supernet, target)

        def run(results):
            return self.ask(seed, target, name, target * results["table"]["full_ms"])

        # A supernet is asked by one job at a time: its folder holds one answer.
        name_of_job = f"answer/{seed}/{target}/{name}"
        return Job(name_of_job, (supernet,), QUESTION_COST_S, run, key=lambda _: supernet)

    def ask(self, seed, target, name, target_ms, table_path=None):
        """Ask a trained supernet for the widths of a method; return them with the times.

        table_path: of another latency table than the benchmark's
        """
        method = SEARCHED[name]
        supernet = supernet_name(seed, method.supernet, target)
        kind = self._kind_options(seed, method.supernet)
        options = ("--resume-last", *kind, *method.options)
        times = self._supernet(supernet, target_ms, seed, *options, table_path=table_path)
        lines = [line for _, line in read_lines(self.folder_of(supernet) / "baselines.jsonl")]
        found = [line for line in lines if line["method"] == method.line]
        rng = np.random.default_rng((seed, round(100 * target)))
        configuration = found[rng.integers(len(found))]["configuration"]
        return {"configuration": configuration, "wall_s": times[0], "cpu_s": times[1]}

    def _training(self, seed, target, method):
        """Return the job that trains an answer from scratch, unless an equal one was trained."""
        name = f"final/{seed}/{target}/{method}"
        source = f"answer/{seed}/{target}/{method}"
        if method in {UNIFORM, WIDEST}:
            source = "table"
        elif method in PEERS:
            source = job_name(seed, method)

        def widths(results):
            if method == WIDEST:
                return self.widest()
            if method == UNIFORM:
                return self.widest_uniform(target * results["table"]["full_ms"]).configuration
            found = results[source]
            return found[str(target)] if method in PEERS else found["configuration"]

        def key(results):
            return seed, tuple(widths(results))

        def run(results):
            configuration = list(widths(results))
            row = {"seed": seed, "target": target, "method": method}
            row |= {"target_ms": target * results["table"]["full_ms"]}
            for other, result in results.items():
                if other.startswith(f"final/{seed}/") and result["configuration"] == configuration:
                    return {**result, **row, "same_as": result.get("same_as", other)}
            if method == UNIFORM:  # its widths need not be choices of the space
                predicted_ms = self.widest_uniform(row["target_ms"]).values[0]
            else:
                predicted_ms = self.table.predict(configuration)
            row |= {"configuration": configuration, "predicted_ms": predicted_ms}
            return row | self.train(name, configuration, seed)

        cost_s = self.settings.epochs * self.settings.epoch_cost_s
        leaves = self.parameters_of(name) if method == WIDEST else None
        return Job(name, (source,), cost_s, run, key, leaves)

    def train(self, name, configuration, seed, *options):
        """Train a configuration; return its accuracy and times.

        options: of train_final.py, which override the recipe from scratch
        """
        folder = self.folder_of(name)
        shutil.rmtree(folder, ignore_errors=True)  # what a killed run left
        wall_s, cpu_s = self.run(
            "train_final.py", *FRAMEWORK, "--data-dir", self.settings.data, "--input-size", 32,
            "--configuration", ",".join(map(str, configuration)), "-j", 0, "--num-gpus", 0,
            # At 32×32 the last layers see one pixel: 32 images a batch are too few for their
            # BatchNorm; accuracies then differed by up to 15 points between seeds.
            "--num-epochs", self.settings.epochs, "--batch-size", 64, "--lr", 0.1,
            "--lr-mode", "cosine", "--warmup-epochs", 1 if self.settings.epochs > 1 else 0,
            "--mode", "hybrid", "--seed", seed, "--save-frequency", 0, "--log-interval", 0,
            "--save-dir", folder, "--logging-file", folder / "log", *options, log=name,
        )  # fmt: skip
        lines = [line for _, line in read_lines(folder / "results.jsonl")]
        is_needed = name == widest_of(seed)  # its parameters, by others
        for kind in ("states", "onnx") if is_needed else ("states", "onnx", "params"):
            for path in folder.glob(f"*.{kind}"):
                path.unlink()
        # The last epoch's accuracy: the best one's would be chosen on the validation images.
        last = {"accuracy": lines[-1]["val_top1"], "loss": lines[-1]["val_loss"]}
        return last | {"wall_s": wall_s, "cpu_s": cpu_s}


def _as_file_name(job):
    return job.replace("/", "-").replace(" ", "-").replace(",", "")


def supernet_name(seed, kind, target=None):
    """Return the name of the job that trains a supernet; the target counts if it is of one."""
    is_shared = not SUPERNETS[kind].is_adaptive
    return f"supernet/{seed}/{kind}" if is_shared else f"supernet/{seed}/{target}/{kind}"


def trained_supernet(seed):
    """Return the name of the job that trains a supernet from the widest network, for OWS."""
    return supernet_name(seed, SEARCHED[DEFAULT].supernet)


def ows_of(seed):
    """Return the name of the job that trains a supernet by OWS from scratch."""
    return supernet_name(seed, "OWS")


def widest_of(seed):
    """Return the name of the job that trains the widest network."""
    return f"final/{seed}/1/{WIDEST}"
