"""The jobs of benchmarks.accuracy: the table, the supernets, their answers, the trainings."""

import argparse
import shutil
import sys
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from benchmarks.retraining.jobs import Job, run_command
from models.mobilenet_v1 import scaled_widths
from nas.latency_table import LatencyTable
from nas.search_space import SearchSpace
from utils import checkpoints
from utils.json_lines import read_lines

# How the answer to a target is called -> the method in baselines.jsonl of train_nas.py.
FROM_OWS = {
    "random": "random",
    "greedy": "greedy",
    "OWS Lagrangian": "lagrangian",
    "OWS exact": "exact",
}
FROM_AOWS = {"AOWS independent": "independent", "AOWS joint": "joint"}  # -> --sampling
METHODS = ("uniform", *FROM_OWS, *FROM_AOWS)
# Our own answers: -> whose supernet gives it, and how it is asked.
OURS = {
    "OWS monotone": ("OWS", ("--scores", "monotone")),
    "OWS reranked": ("OWS", ("--scores", "monotone", "--rerank", 20)),
    "AOWS monotone": ("AOWS joint", ("--scores", "monotone")),
    "AOWS reranked": ("AOWS joint", ("--scores", "monotone", "--rerank", 20)),
}
DEVICE = ("--device", "onnxruntime", "--batch-size", "1", "--threads", "1")
SLOTS = 2  # jobs at a time, each with one thread
FRAMEWORK = ()  # of both training scripts: MXNet, their default


@dataclass(frozen=True)
class Settings:
    """What is trained and measured, and for how long."""

    data: str
    classes: int
    space: tuple[str, ...]  # options of latency.py
    samples: int  # networks timed for the latency table
    targets: tuple[float, ...]  # of the 1.0× network's predicted latency; the first go first
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
    space=("--min-width", "0.25", "--max-width", "1.0", "--levels", "11"),
    samples=240,
    targets=(0.5, 0.35, 0.7),
    seeds=(0, 1, 2),
    supernet_epochs=6,
    warmup=3,
    window=1350,  # about the images of three epochs that have a width
    epochs=6,
    supernet_cost_s=60,
    epoch_cost_s=16,
)
MINIATURE = Settings(
    data="digits",
    classes=10,
    space=("--min-width", "0.1", "--max-width", "0.7", "--levels", "3"),
    samples=20,
    targets=(0.5,),
    seeds=(0,),
    supernet_epochs=2,
    warmup=1,
    window=400,
    epochs=1,
    supernet_cost_s=8,
    epoch_cost_s=8,
)


def parse_arguments(description, **flags):
    """Return the command line of a benchmark over these jobs; flags: {name: help} of its own.

    settings: Settings; folder, results_folder: of the jobs and of what is reported
    report: whether to run no jobs
    """
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--miniature", action="store_true", help="digits, one seed, few epochs")
    parser.add_argument("--report", action="store_true", help="run no jobs")
    for name, what in flags.items():
        parser.add_argument(f"--{name}", action="store_true", help=what)
    args = parser.parse_args()
    args.settings = MINIATURE if args.miniature else FULL
    args.folder = Path("output/accuracy-miniature" if args.miniature else "output/accuracy")
    args.results_folder = args.folder if args.miniature else Path("benchmarks/results")
    return args


class Benchmark:
    """The jobs over one folder; every command is one that a user could type."""

    def __init__(self, settings, folder, own=()):
        """own: those of OURS that stand beside METHODS"""
        self.settings, self.folder, self.own = settings, Path(folder), tuple(own)

    def jobs(self):
        """Return all jobs, in the order in which they should start: seed by seed."""
        jobs = [Job("table", (), 120, self._make_table)]
        per_epoch, epochs = self.settings.supernet_cost_s, self.settings.supernet_epochs
        left = epochs - self.settings.warmup
        for seed in self.settings.seeds:
            ows = f"ows/{seed}"
            jobs.append(Job(ows, ("table",), epochs * per_epoch, self._train_ows(seed)))
            jobs.append(Job(f"answers/{seed}", (ows,), 30, self._ask_ows(seed)))
            for target in self.settings.targets:
                for method in FROM_AOWS:
                    name = f"aows/{seed}/{target}/{method}"
                    run = self._train_aows(seed, target, method)
                    jobs.append(Job(name, (ows,), left * per_epoch, run))
                jobs += [self._ask_again(seed, target, method) for method in self.own]
                methods = (*METHODS, *self.own)
                jobs += [self._training(seed, target, method) for method in methods]
            jobs.append(self._training(seed, 1, "1.0×"))
        return jobs

    @property
    def jobs_path(self):
        """Return where the lines of finished jobs are."""
        return self.folder / "jobs.jsonl"

    @property
    def table_path(self):
        """Return where the latency table is."""
        return self.folder / "table.jsonl"

    def supernet_folder(self, name):
        """Return the folder of the supernet that a job trains."""
        return self.folder / name.replace("/", "-").replace(" ", "-")

    def run(self, script, *arguments, log):
        """Run a script, or "-m" a module, with its arguments; return its (seconds, CPU seconds)."""
        command = [sys.executable, script, *map(str, arguments)]
        return run_command(command, self.folder / "logs" / f"{log.replace('/', '-')}.log")

    def _make_table(self, _):
        samples, held_out = self.folder / "samples.jsonl", self.folder / "held-out.jsonl"
        common = (*DEVICE, *self.settings.space)
        common += ("--input-size", "32", "--classes", self.settings.classes)
        for path, seed, count in (
            (samples, 0, self.settings.samples),
            (held_out, 1, self.settings.samples // 4),
        ):
            options = ("--biased", "--seed", seed, "--count", count, path)
            self.run("latency.py", "generate", *common, *options, log="table")
        self.run("latency.py", "fit", samples, self.table_path, log="table")
        plot = self.folder / "correlation.png"
        self.run("latency.py", "validate", held_out, self.table_path, plot, log="table")
        return {"full_ms": self.table.predict(self.largest())}

    def largest(self):
        """Return 1.0× MobileNet-v1, in the miniature the widest network of the space."""
        widest = float(self.settings.space[self.settings.space.index("--max-width") + 1])
        return scaled_widths(widest)

    @cached_property
    def table(self):
        """Return the latency table, once the job that makes it is done."""
        return LatencyTable.load(self.table_path)

    @cached_property
    def space(self):
        """Return the search space, the table's."""
        return SearchSpace.from_dict(self.table.metadata["search_space"])

    def widest_uniform(self, target_ms):
        """Return the widest uniform multiplier of the search space that meets a target."""
        table, uniform = self.table, self.space.uniform_multipliers()
        return max(c for c in uniform if table.predict(c) <= target_ms)

    def supernet_options(self, folder, target_ms, seed):
        """Return the options of train_nas.py for a supernet; later ones win over them."""
        return (
            "--data", self.settings.data, "-j", 0, "--no-cuda",
            "--epochs", self.settings.supernet_epochs, "-b", 32, "--lr", 0.2,
            "--lr-schedule", "cosine", "--window", self.settings.window, "--scores", "means",
            "--seed", seed,
            "--latency-model", self.table_path, "--latency-target", target_ms,
            "--expname", folder,
        )  # fmt: skip

    def _supernet(self, name, target_ms, seed, *options):
        """Train or ask the supernet of a job; returns its times."""
        common = self.supernet_options(self.supernet_folder(name), target_ms, seed)
        return self.run("train_nas.py", *FRAMEWORK, *common, *options, log=name)

    def _train_ows(self, seed):
        name = f"ows/{seed}"

        def run(results):
            target_ms = self.settings.targets[0] * results["table"]["full_ms"]
            # All checkpoints are kept: the one after the warm-up is where AOWS goes on.
            keep = ("--keep", self.settings.supernet_epochs)
            wall_s, cpu_s = self._supernet(name, target_ms, seed, "--resume-last", *keep)
            return {"wall_s": wall_s, "cpu_s": cpu_s}

        return run

    def _ask_ows(self, seed):
        """Ask OWS's supernet for all targets by both searches, and the baselines beside them."""
        folder = self.supernet_folder(f"ows/{seed}")

        def run(results):
            answers = {}
            for target in self.settings.targets:
                target_ms, lines = target * results["table"]["full_ms"], []
                for search in ("lagrangian", "exact"):
                    options = ("--resume-last", "--search", search)
                    self._supernet(f"ows/{seed}", target_ms, seed, *options)
                    lines += [line for _, line in read_lines(folder / "baselines.jsonl")]
                rng = np.random.default_rng((seed, round(100 * target)))
                answers[str(target)] = {
                    name: _pick([line for line in lines if line["method"] == method], rng)
                    for name, method in FROM_OWS.items()
                }
            return answers

        return run

    def _ask_again(self, seed, target, method):
        """Return the job that asks a trained supernet in one of our own ways."""
        source, options = OURS[method]
        supernet = f"ows/{seed}" if source == "OWS" else f"aows/{seed}/{target}/{source}"

        def run(results):
            target_ms = target * results["table"]["full_ms"]
            adaptive = () if source == "OWS" else ("--AOWS",)
            wall_s, cpu_s = self._supernet(
                supernet, target_ms, seed, "--resume-last", *adaptive, *options
            )
            return self._last_answer(supernet) | {"wall_s": wall_s, "cpu_s": cpu_s}

        # A supernet is asked by one job at a time: its folder holds one answer.
        needs = (f"answers/{seed}", supernet)
        return Job(f"asked/{seed}/{target}/{method}", needs, 30, run, key=lambda _: supernet)

    def _last_answer(self, supernet):
        *_, (_, line) = read_lines(self.supernet_folder(supernet) / "results.jsonl")
        return {"configuration": line["configuration"]}

    def _train_aows(self, seed, target, method):
        name, folder = f"aows/{seed}/{target}/{method}", self.supernet_folder(f"ows/{seed}")

        def run(results):
            # The warm-up draws uniformly, as OWS does, and with the same seed the same widths: its
            # checkpoint after it is what AOWS's own would be.
            warm = checkpoints.checkpoint_path(folder, self.settings.warmup)
            own = checkpoints.latest(self.supernet_folder(name))
            resume = ("--resume-last",) if own else ("--resume", warm)
            options = ("--AOWS", "--AOWS-warmup", self.settings.warmup, "--keep", 1)
            options += ("--sampling", FROM_AOWS[method], *resume)
            target_ms = target * results["table"]["full_ms"]
            wall_s, cpu_s = self._supernet(name, target_ms, seed, *options)
            return self._last_answer(name) | {"wall_s": wall_s, "cpu_s": cpu_s}

        return run

    def _training(self, seed, target, method):
        """Return the job that trains an answer from scratch, unless an equal one was trained."""
        name = f"final/{seed}/{target}/{method}"
        if method in FROM_OWS:
            source = f"answers/{seed}"
        elif method in OURS:
            source = f"asked/{seed}/{target}/{method}"
        else:
            source = f"aows/{seed}/{target}/{method}" if method in FROM_AOWS else "table"

        def widths(results):
            if method in FROM_OWS:
                return results[source][str(target)][method]
            if method in FROM_AOWS or method in OURS:
                return results[source]["configuration"]
            return self.widest_uniform(target * results["table"]["full_ms"])

        def key(results):
            return seed, tuple(widths(results))

        def run(results):
            configuration = list(widths(results))
            row = {"seed": seed, "target": target, "method": method}
            row |= {"target_ms": target * results["table"]["full_ms"]}
            for other, result in results.items():
                if other.startswith(f"final/{seed}/") and result["configuration"] == configuration:
                    return {**result, **row, "same_as": result.get("same_as", other)}
            row |= {
                "configuration": configuration,
                "predicted_ms": self.table.predict(configuration),
            }
            return row | self.train(name, configuration, seed)

        return Job(name, (source,), self.settings.epochs * self.settings.epoch_cost_s, run, key)

    def train(self, name, configuration, seed):
        """Train a configuration from scratch; return its accuracy and times."""
        folder = self.supernet_folder(name)
        shutil.rmtree(folder, ignore_errors=True)  # what a killed run left
        wall_s, cpu_s = self.run(
            "train_final.py", *FRAMEWORK, "--data-dir", self.settings.data, "--input-size", 32,
            "--configuration", ",".join(map(str, configuration)), "-j", 0, "--num-gpus", 0,
            # The last layers see one pixel of 32×32: 32 images a batch are too few for their
            # BatchNorm, accuracies then differed by up to 15 points between seeds.
            "--num-epochs", self.settings.epochs, "--batch-size", 64, "--lr", 0.1,
            "--lr-mode", "cosine", "--warmup-epochs", 1 if self.settings.epochs > 1 else 0,
            "--mode", "hybrid", "--seed", seed, "--save-frequency", 0, "--log-interval", 0,
            "--save-dir", folder, "--logging-file", folder / "log", log=name,
        )  # fmt: skip
        lines = [line for _, line in read_lines(folder / "results.jsonl")]
        for path in (*folder.glob("*.params"), *folder.glob("*.states"), *folder.glob("*.onnx")):
            path.unlink()  # 70 MB that nobody needs
        # The last epoch's accuracy: the best one's would be chosen on the validation images.
        return {"accuracy": lines[-1]["val_top1"], "wall_s": wall_s, "cpu_s": cpu_s}


def _pick(lines, rng):
    """Return the configuration of one of several answers, each equally likely."""
    return lines[rng.integers(len(lines))]["configuration"]
