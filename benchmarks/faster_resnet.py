"""A trained ResNet-18 made faster: by the commands of docs/your-trained-network.md, and by pruning.

    make peers
    python -m benchmarks.faster_resnet [--seeds 0 1 2]

For each seed that page's commands are run in order, on all cores, and their times taken. Then the
same network is pruned by Torch-Pruning (benchmarks/peers/pruned_resnet.py) to the first step at
which it takes, when measured, no longer than the page's answer, and fine-tuned by the page's
command: for as many epochs, and for as many as fill the time that the page took. In the end all
networks are timed together. Everything is kept in output/faster_resnet; what is done is not done
again. Run it on a quiet machine. It writes faster_resnet.md to benchmarks/results.
"""

if __name__ == "__main__":  # before the imports that take seconds
    from utils.startup import prepare

    prepare()

import argparse
import shlex
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from benchmarks.page_commands import page_commands
from benchmarks.retraining.peer_jobs import PYTHON
from benchmarks.retraining.with_seeds import with_seeds
from demo import benchmark, last_line
from utils.atomic_files import atomic_write
from utils.errors import UserError, exits_with_one_line
from utils.json_lines import Appender, read_lines

PAGE = Path("docs/your-trained-network.md")
FOLDER, RESULT = Path("output/faster_resnet"), Path("benchmarks/results/faster_resnet.md")
TRAIN, *OURS = ("train", "generate", "fit", "search", "tune")  # the page's commands but one
TRAINED, FASTER, PRUNED, LONGER = ("resnet18", "resnet18-faster", "pruned", "pruned-longer")
NAMES = {  # folder -> what is in it, and what has to be run for it
    TRAINED: ("as trained", ()),
    FASTER: ("by the page", OURS),
    PRUNED: ("Torch-Pruning, as many epochs", ("prune", "choose", PRUNED)),
    LONGER: ("Torch-Pruning, as much time", ("prune", "choose", LONGER)),
}
DEVICE = ("--device", "onnxruntime", "--batch-size", "1")
TRIED = 12  # steps of pruning that are timed at once


class Seed:
    """The work of one seed, each part of which is done and timed once."""

    def __init__(self, seed):
        self.seed, self.folder = seed, FOLDER / str(seed)
        self.folder.mkdir(parents=True, exist_ok=True)
        commands = zip((TRAIN, *OURS, "measure"), page_commands(PAGE), strict=True)
        self.page = {name: self._here(words) for name, words in commands}

    def _here(self, words):
        """Return a command of the page with this seed and in this folder."""
        _, script, *arguments = (word.replace("output/", f"{self.folder}/", 1) for word in words)
        seed = () if script == "latency.py" else ("--seed", str(self.seed))
        return [sys.executable, script, *arguments, *seed]

    def seconds(self):
        """Return {name: seconds} of what is done."""
        path = self.folder / "seconds.jsonl"
        lines = read_lines(path) if path.exists() else ()
        return {line["name"]: line["seconds"] for _, line in lines}

    def do(self, name, function, *arguments):
        """Call a function, unless that was done, and note how long it took."""
        if name not in self.seconds():
            start = time.perf_counter()
            function(*arguments)
            with Appender(self.folder / "seconds.jsonl") as log:
                log.append([{"name": name, "seconds": time.perf_counter() - start}])

    def run(self):
        """Do all that is not done."""
        for name in (TRAIN, *OURS):
            self.do(name, run, self.page[name])
        self.do("prune", self._prune, "widths.jsonl")
        self.do("choose", self._choose)
        tune = self.page["tune"]
        epochs = int(tune[tune.index("--num-epochs") + 1])
        self.do(PRUNED, self._tune, PRUNED, epochs)
        of = self.seconds()
        left_s = sum(of[name] for name in OURS) - of["prune"] - of["choose"]
        self.do(LONGER, self._tune, LONGER, max(epochs, round(left_s / of[PRUNED] * epochs)))

    def _prune(self, widths, *options):
        parameters = self.folder / TRAINED / "mobilenet-best.params"
        command = (PYTHON, "-m", "benchmarks.peers.pruned_resnet", parameters, self.folder / widths)
        run([*command, "--seed", self.seed, *options])

    def _choose(self):
        """Find the first step of pruning that is as fast as the page's answer; keep its weights."""
        widths = [line for _, line in read_lines(self.folder / "widths.jsonl")]
        low, high = 0, len(widths) - 1
        while high - low > 1:
            tried = sorted({*np.linspace(low, high, TRIED + 2).astype(int)[1:-1]})
            found = [self._widths(), *(widths[step] for step in tried)]
            texts = [",".join(map(str, each)) for each in found]
            network = ("--network", "resnet18", "--input-size", "32", "--classes", "49")
            results = {tuple(r["configuration"]): r for r in measure(*network, *texts)}
            target_ms, *latencies_ms = [results[tuple(each)]["latency_ms"] for each in found]
            fits = [ms <= target_ms for ms in latencies_ms] + [True]
            first = fits.index(True)
            low, high = [low, *tried][first], [*tried, high][first]
        self._prune("kept.jsonl", "--steps", high, "--weights", self.folder / "pruned.safetensors")

    def _widths(self):
        return self._last(FASTER)["configuration"]

    def _last(self, folder):
        """Return the last epoch's line of a training."""
        return last_line(self.folder / folder / "results.jsonl")

    def _tune(self, folder, epochs):
        """Fine-tune the pruned network by the page's command."""
        widths = last_line(self.folder / "kept.jsonl")
        files = ("--save-dir", self.folder / folder, "--logging-file", self.folder / folder / "log")
        start = ("--from-supernet", self.folder / "pruned.safetensors")
        start += ("--configuration", ",".join(map(str, widths)))
        module = (sys.executable, "-m", "benchmarks.retraining.fine_tune_pruned")
        run([*module, *self.page["tune"][2:], *start, *files, "--num-epochs", epochs])

    def rows(self):
        """Return {folder: accuracy and so on} of all that was trained, timed together."""
        files = [self.folder / folder / "mobilenet-best.onnx" for folder in NAMES]
        timed = {result["file"]: result for result in measure(*files)}
        of, rows = self.seconds(), {}
        for (folder, (_, steps)), file in zip(NAMES.items(), files, strict=True):
            last = self._last(folder)
            rows[folder] = {
                "ms": timed[str(file)]["latency_ms"],
                "macs": timed[str(file)]["macs"] / 1e6,
                "accuracy": 100 * last["val_top1"],
                "epochs": last["epoch"],
                "minutes": sum(of[step] for step in steps) / 60,
            }
        return rows


def run(command):
    """Show a command and run it."""
    print(f"\n$ {shlex.join(map(str, command))}", flush=True)
    process = subprocess.run([*map(str, command)], check=False)
    if process.returncode:
        raise UserError(f"{command[1]} ended with status {process.returncode}")


def measure(*arguments):
    """Return the results of latency.py benchmark, which sorts them."""
    return benchmark(*DEVICE, *arguments)["results"]


def as_markdown(seeds):
    """Return the table over all seeds, and where the page's time goes."""
    rows = [seed.rows() for seed in seeds]
    columns = {"ms": ".3f", "macs": ".1f", "accuracy": ".1f", "epochs": ".0f", "minutes": ".1f"}
    lines = [
        "# A trained ResNet-18 made faster",
        "",
        "Glyphs at 32×32; means over the seeds, and each seed's. Epochs are those of the last "
        "training, minutes all that it takes from the trained network on.",
        "",
        "| network | measured, ms | MMACs | accuracy, % | epochs | minutes |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for folder, (name, _) in NAMES.items():
        cells = (with_seeds([row[folder][c] for row in rows], form) for c, form in columns.items())
        lines.append(f"| {name} | {' | '.join(cells)} |")
    parts = (*OURS, "prune", "choose", PRUNED, LONGER)
    of = [f"{part} {with_seeds([s.seconds()[part] for s in seeds], '.0f')}" for part in parts]
    return "\n".join([*lines, "", f"Seconds: {'; '.join(of)}.", ""])


@exits_with_one_line
def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    seeds = [Seed(seed) for seed in parser.parse_args().seeds]
    for seed in seeds:
        seed.run()
    text = as_markdown(seeds)
    with atomic_write(RESULT, "w") as file:
        file.write(text)
    print(text)


if __name__ == "__main__":
    main()
