"""The whole chain on this machine's CPU, in minutes: measure, fit, train, search, retrain.

    make demo                                       (or: .venv/bin/python demo.py)
    .venv/bin/python demo.py --framework mxnet      which takes longer

It runs the three scripts as a user would, command by command, on the glyphs at 32×32: it trains the
widest network, a slimmable one from it, and ends with the widths found beside those of one
multiplier whose network is measured to take as long, or longer. Both are trained from scratch by
three seeds, which shows the noise of the comparison.
Everything is written to output/demo.
"""

if __name__ == "__main__":  # before the imports that take seconds
    from utils.startup import prepare

    prepare()

import argparse
import json
import os
import shlex
import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from nas.constraint import Constraint
from nas.latency_table import LatencyTable
from nas.latency_target import feasible_uniform
from pipeline.latency.plots import plot_latency_table
from pipeline.search.plots import plot_widths
from utils.errors import UserError, exits_with_one_line
from utils.json_lines import read_lines, write_lines

FOLDER = Path("output/demo")
TARGET = "30%"  # of the widest network's predicted latency
NETWORK = ["--input-size", "32", "--classes", "49"]
# A batch of 64, since one small image at a time is mostly the runtime's own work.
DEVICE = ["--device", "onnxruntime", "--batch-size", "64", "--threads", "1"]
SPACE = ["--min-width", "0.05", "--max-width", "0.5", "--levels", "11"]
WIDEST = "0.5xMOBILENET"
# Of a slimmable network that starts at a trained one, two epochs know more than four from scratch.
SUPERNET = ["--data", "glyphs", "-j", "0", "--no-cuda", "--epochs", "2", "-b", "64", "--lr", "0.1",
            "--lr-schedule", "cosine", "--scores", "fitted", "--pareto", "--verify"]  # fmt: skip
FINAL = ["--data-dir", "glyphs", "--input-size", "32", "--batch-size", "64", "--lr", "0.2",
         "--lr-mode", "cosine", "--warmup-epochs", "1", "--mode", "hybrid", "-j", "0",
         "--num-gpus", "0"]  # fmt: skip
EPOCHS = 3
NEAR = (0.8, 1.6)  # times the found network's predicted latency: uniform ones that are measured
SEEDS = (0, 1, 2)  # of the trainings from scratch; two trainings at a time, a thread each


def run(script, *arguments, shown=True, output=None):
    """Show a command and run it as a user would; return what it writes to output=subprocess.PIPE.

    Raises UserError if it fails.
    """
    command = [sys.executable, script, *map(str, arguments)]
    if shown:
        print(f"\n$ python {shlex.join(command[1:])}", flush=True)
    process = subprocess.run(command, check=False, stdout=output)
    if process.returncode:
        raise UserError(f"{script} ended with status {process.returncode}")
    return process.stdout


def benchmark(*arguments, shown=False):
    """Return {"results": …, "metadata": …} that latency.py benchmark prints for its arguments."""
    command = ("latency.py", "benchmark", "--json", *arguments)
    return json.loads(run(*command, shown=shown, output=subprocess.PIPE))


def measure_and_fit():
    """Time networks, fit the latency table and validate it; return the table."""
    samples, held_out, model = (FOLDER / f"{name}.jsonl" for name in ("samples", "val", "model"))
    generate = ["generate", *DEVICE, *NETWORK, *SPACE, "--iterations", 60]
    run("latency.py", *generate, "--count", 100, samples)
    run("latency.py", *generate, "--seed", 1, "--count", 30, held_out)
    run("latency.py", "fit", samples, model)
    run("latency.py", "validate", held_out, model, FOLDER / "correlation.png")
    return LatencyTable.load(model)


def search(framework):
    """Train the widest network, and from it a supernet; search it.

    Returns the best configuration, verified by measurement.
    """
    run(*training(framework, "widest", WIDEST))
    trained = ["--init", folder_of("widest") / "mobilenet-best.params"]
    model = ["--latency-target", TARGET, "--latency-model", FOLDER / "model.jsonl"]
    folder = FOLDER / "ows"
    script = ["train_nas.py", "--framework", framework, *trained, *SUPERNET]
    run(*script, *model, "--expname", folder)
    return tuple(last_line(folder / "results.jsonl")["configuration"])


def measure(configurations, table):
    """Time configurations together; return the results of latency.py, in their order.

    Latencies are those at the machine speed at which the table was measured: it may have changed
    since, and between two groups of networks.
    """
    widths = [",".join(map(str, configuration)) for configuration in configurations]
    timed = benchmark(*DEVICE, *NETWORK, "--iterations", 30, *widths, shown=True)["results"]
    for each in timed:
        each["latency_ms"] *= table.metadata.reference_ms / each["reference_ms"]
    results = {tuple(each["configuration"]): each for each in timed}
    return [results[configuration] for configuration in configurations]


def beside_uniform(found, table):
    """Measure a configuration beside uniform ones; return its result, and a uniform one's.

    That is the fastest of those that are measured to take at least as long.
    """
    low_ms, high_ms = (factor * table.predict(found) for factor in NEAR)
    limit = Constraint(table.pairwise(table.space), high_ms)
    uniform = feasible_uniform(table.space, [limit])
    near = [each.configuration for each in uniform if each.values[0] >= low_ms]
    ours, *others = measure([found, *near], table)
    slower = [each for each in others if each["latency_ms"] >= ours["latency_ms"]]
    return ours, min(slower, key=lambda each: each["latency_ms"])


def folder_of(name, seed=0):
    """Return the folder of a training from scratch."""
    return FOLDER / f"final-{name}-{seed}"


def training(framework, name, configuration, seed=0):
    """Return the command that trains a configuration from scratch."""
    folder = folder_of(name, seed)
    files = ["--save-dir", folder, "--logging-file", folder / "train.log"]
    network = ["--configuration", configuration, "--seed", seed, "--num-epochs", EPOCHS]
    return ["train_final.py", "--framework", framework, *FINAL, *files, *network]


def retrain(framework, networks):
    """Train configurations from scratch by all SEEDS; return {name: accuracies}.

    networks: {name: configuration}
    """
    jobs = [(name, seed) for seed in SEEDS for name in networks]
    with ThreadPoolExecutor(2) as pool:
        done = pool.map(lambda job: _train(framework, networks[job[0]], *job), jobs)
        accuracies = dict(zip(jobs, done, strict=True))
    return {name: [accuracies[name, seed] for seed in SEEDS] for name in networks}


def _train(framework, configuration, name, seed):
    """Train a configuration from scratch; return the accuracy after the last epoch."""
    command = training(framework, name, ",".join(map(str, configuration)), seed)
    folder = folder_of(name, seed)
    folder.mkdir()
    print(f"\n$ python {shlex.join(map(str, command))}", flush=True)
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    with open(folder / "output", "w", encoding="utf-8") as output:
        command = [sys.executable, *map(str, command)]
        process = subprocess.run(
            command, check=False, stdout=output, stderr=output, env=environment
        )
    if process.returncode:
        raise UserError(f"train_final.py ended with {process.returncode}: see {output.name}")
    return last_line(folder / "results.jsonl")["val_top1"]


def last_line(path):
    """Return the last value of a file of JSON lines."""
    return list(read_lines(path))[-1][1]


def show(rows, target_ms):
    """Print a table of the two networks, the gain, and the noise between seeds."""
    print(f"\nTarget: {target_ms:.4f} ms per image, {TARGET} of the widest network's latency\n")
    seeds = "".join(f"{f'seed {seed}':>10}" for seed in SEEDS)
    print(f"{'':10}{'measured ms':>13}{'MACs':>10}{'params':>10}{seeds}   accuracy")
    for row in rows:
        accuracies = "".join(f"{accuracy:10.2%}" for accuracy in row["accuracies"])
        print(
            f"{row['name']:10}{row['measured_ms']:13.5f}{row['macs'] / 1e6:9.2f}M"
            f"{row['parameters'] / 1e6:9.2f}M{accuracies}\n    {row['configuration']}"
        )
    found, uniform = (np.array(row["accuracies"]) for row in rows)
    noise = np.sqrt(np.mean([each.var(ddof=1) for each in (found, uniform)]))
    gains = found - uniform
    print(
        f"\nFound widths are better with {(gains > 0).sum()} of {len(SEEDS)} seeds, on average by "
        f"{100 * gains.mean():+.1f} points; accuracies of one network differ between seeds by "
        f"{100 * noise:.1f} (standard deviation)."
    )


@exits_with_one_line
def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--framework", choices=("pytorch", "mxnet"), default="pytorch")
    framework = parser.parse_args().framework
    start = time.perf_counter()
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    table = measure_and_fit()
    space = table.space
    plot_latency_table(table, space, FOLDER / "latency_table.png")

    found = search(framework)
    results = dict(zip(("found", "uniform"), beside_uniform(found, table), strict=True))
    networks = {name: tuple(result["configuration"]) for name, result in results.items()}
    plot_widths(networks, space, FOLDER / "widths.png")

    accuracies = retrain(framework, networks)
    rows = [
        {
            "name": name,
            "configuration": networks[name],
            "measured_ms": result["latency_ms"],
            "macs": result["macs"],
            "parameters": result["parameters"],
            "accuracies": accuracies[name],
        }
        for name, result in results.items()
    ]
    write_lines(FOLDER / "table.jsonl", rows)
    show(rows, last_line(FOLDER / "ows" / "results.jsonl")["target_ms"])
    print("\nPictures: " + ", ".join(str(path) for path in sorted(FOLDER.glob("**/*.png"))))
    print(f"Done in {(time.perf_counter() - start) / 60:.1f} minutes.")


if __name__ == "__main__":
    main()
