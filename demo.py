"""The whole chain on this machine's CPU, in minutes: measure, fit, search, retrain.

    make demo        (or: .venv/bin/python demo.py)

Runs the three scripts as a user would, command by command, on networks with 32×32 inputs and
scikit-learn's digits, and ends with a table of the found widths beside the uniform multiplier of
the same predicted latency. Everything lands in output/demo.
"""

if __name__ == "__main__":  # before the imports that take seconds
    from utils.startup import prepare

    prepare()

import json
import shlex
import shutil
import subprocess
import sys
import time
from pathlib import Path

from models.mobilenet_v1 import count_macs, count_parameters, scaled_widths
from nas.latency_table import LatencyTable
from nas.search_space import SearchSpace
from pipeline.latency.plots import plot_latency_table
from pipeline.search.plots import plot_widths
from utils.errors import UserError, exits_with_one_line
from utils.json_lines import read_lines, write_lines

FOLDER = Path("output/demo")
MULTIPLIER = 0.6  # the uniform network whose predicted latency is everybody's target
NETWORK = ["--input-size", "32", "--classes", "10"]
DEVICE = ["--device", "onnxruntime", "--batch-size", "1", "--threads", "1", "--iterations", "60"]
SPACE = ["--min-width", "0.4", "--max-width", "1.0", "--levels", "7"]
SUPERNET = ["--data", "digits", "-j", "0", "--epochs", "6", "-b", "32", "--lr", "0.1",
            "--lr-schedule", "cosine", "--AOWS-warmup", "3", "--window", "400",
            "--print-freq", "3"]  # fmt: skip
FINAL = ["--data-dir", "digits", "--input-size", "32", "--num-epochs", "8", "--batch-size", "32",
         "--lr", "0.05", "--lr-mode", "cosine", "--warmup-epochs", "1", "--mode", "hybrid",
         "-j", "0", "--num-gpus", "0"]  # fmt: skip


def run(script, *arguments):
    """Show a command and run it as a user would."""
    command = [sys.executable, script, *map(str, arguments)]
    print(f"\n$ python {shlex.join(command[1:])}", flush=True)
    process = subprocess.run(command, check=False)
    if process.returncode:
        raise UserError(f"{script} ended with status {process.returncode}")


def measure_and_fit():
    """Time networks, fit the latency table and validate it; returns the table."""
    samples, held_out, model = (FOLDER / f"{name}.jsonl" for name in ("samples", "val", "model"))
    run("latency.py", "generate", *DEVICE, *NETWORK, *SPACE, "--biased", "--count", 150, samples)
    run("latency.py", "generate", *DEVICE, *NETWORK, *SPACE, "--seed", 1, "--count", 40, held_out)
    run("latency.py", "fit", samples, model)
    run("latency.py", "validate", held_out, model, FOLDER / "correlation.png")
    return LatencyTable.load(model)


def search(name, target_ms, *options):
    """Train a supernet and search it; returns the best configuration."""
    folder = FOLDER / name
    target = ["--latency-target", f"{target_ms:.6f}", "--latency-model", FOLDER / "model.jsonl"]
    run("train_nas.py", *SUPERNET, *target, "--expname", folder, *options)
    return tuple(last_line(folder / "results.jsonl")["configuration"])


def retrain(name, configuration):
    """Train a configuration from scratch; returns its best validation accuracy."""
    folder = FOLDER / f"final-{name}"
    widths = ",".join(map(str, configuration))
    log = ["--save-dir", folder, "--logging-file", folder / "train.log"]
    run("train_final.py", *FINAL, *log, "--configuration", widths)
    return max(line["val_top1"] for _, line in read_lines(folder / "results.jsonl"))


def measure(configurations):
    """Time configurations together; returns the measured latency of each in ms per image."""
    widths = [",".join(map(str, configuration)) for configuration in configurations]
    command = [sys.executable, "latency.py", "benchmark", *DEVICE, *NETWORK, "--json", *widths]
    print(f"\n$ python {shlex.join(command[1:])}", flush=True)
    printed = subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout
    results = json.loads(printed)["results"]
    measured_ms = {tuple(result["configuration"]): result["latency_ms"] for result in results}
    return [measured_ms[configuration] for configuration in configurations]


def last_line(path):
    """Return the last value of a file of JSON lines."""
    return list(read_lines(path))[-1][1]


@exits_with_one_line
def main():
    start = time.perf_counter()
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    table = measure_and_fit()
    space = SearchSpace.from_dict(table.metadata["search_space"])
    plot_latency_table(table, space, FOLDER / "latency_table.png")

    uniform = scaled_widths(MULTIPLIER)
    target_ms = table.predict(uniform)
    networks = {
        "AOWS": search("aows", target_ms, "--AOWS"),
        "OWS": search("ows", target_ms, "--pareto", "--score-check"),
        "OWS verified": search("ows", target_ms, "--resume-last", "--verify"),
        f"uniform {MULTIPLIER}×": uniform,
    }
    plot_widths(networks, space, FOLDER / "widths.png")
    shutil.copy(FOLDER / "aows" / "probabilities.png", FOLDER / "probabilities.png")

    different = list(dict.fromkeys(networks.values()))
    measured_ms = dict(zip(different, measure(different), strict=True))
    accuracies = {c: retrain(number, c) for number, c in enumerate(different, start=1)}
    rows = [
        {
            "name": name,
            "configuration": configuration,
            "predicted_ms": table.predict(configuration),
            "measured_ms": measured_ms[configuration],
            "macs": count_macs(configuration, space.input_size, space.classes),
            "parameters": count_parameters(configuration, space.classes),
            "accuracy": accuracies[configuration],
        }
        for name, configuration in networks.items()
    ]
    write_lines(FOLDER / "table.jsonl", rows)
    print(
        f"\nTarget: {target_ms:.4f} ms per image, the prediction for {MULTIPLIER}× MobileNet-v1\n"
    )
    print(
        f"{'':13}{'predicted ms':>13}{'measured ms':>13}{'MACs':>10}{'params':>10}{'accuracy':>10}"
    )
    for row in rows:
        print(
            f"{row['name']:13}{row['predicted_ms']:13.4f}{row['measured_ms']:13.4f}"
            f"{row['macs'] / 1e6:9.2f}M{row['parameters'] / 1e6:9.2f}M{row['accuracy']:10.2%}\n"
            f"    {row['configuration']}"
        )
    print("\nPictures: " + ", ".join(str(path) for path in sorted(FOLDER.glob("*.png"))))
    print(f"Done in {(time.perf_counter() - start) / 60:.1f} minutes.")


if __name__ == "__main__":
    main()
