"""The whole chain on each network, at 64×64 on ONNX Runtime in batches of 16, as a user runs it.

    python -m benchmarks.whole_chain [--networks resnet18 resnet50] [--count 100]

For each network: time --count networks, and as many others, some of them twice; fit a table and
validate it on the others; search by OWS and AOWS, with PyTorch and, for MobileNet-v2, MXNet;
retrain the answers, export them, and time the ONNX files. The networks take turns in being timed.
Trainings see 160 of scikit-learn's digits for an epoch or two: what they learn does not matter.
Everything is kept in output/whole_chain; what is there is not done again.
"""

if __name__ == "__main__":  # before the imports that take seconds
    from utils.startup import prepare

    prepare()

import argparse
import itertools
import json
import shutil
from pathlib import Path

import numpy as np
from PIL import Image

from demo import benchmark, last_line, run
from nas.latency_table import LatencyTable
from nas.validation.prediction_errors import prediction_errors, relative_rms
from networks import MOBILENET_V1, NETWORKS
from pipeline.latency.conditions import speed_ratio
from pipeline.latency.samples import load_samples
from utils.errors import exits_with_one_line

FOLDER = Path("output/whole_chain")
IMAGES = FOLDER / "images"
DEVICE = ["--device", "onnxruntime", "--batch-size", "16", "--threads", "1"]
DEVICE += ["--iterations", "12", "--warmup", "4"]
SIZES = ["--input-size", "64", "--classes", "10"]
PARTS = {"samples": (0, 1.0), "held-out": (1, 1.0), "again": (1, 0.4)}  # seed, share of --count
TURN = 50  # networks of one kind that are timed before the next kind
PER_CLASS = {"train": 16, "val": 4}  # images
WEIGHTS = ["-K", "100", "--prior", "shared", "--strength", "100"]  # for all tables alike
TARGET = "40%"  # of the widest network's predicted latency
EPOCHS = {"OWS": ["--epochs", "1"], "AOWS": ["--epochs", "2", "--AOWS", "--AOWS-warmup", "1"]}


def write_images():
    """Write some of scikit-learn's digits as image files."""
    from sklearn.datasets import load_digits

    shutil.rmtree(IMAGES, ignore_errors=True)
    digits = load_digits()
    for label in range(10):
        drawings = iter(digits.images[digits.target == label])
        for part, count in PER_CLASS.items():
            (folder := IMAGES / part / str(label)).mkdir(parents=True)
            for number in range(count):
                image = Image.fromarray((next(drawings) * 15.9).astype(np.uint8))
                image.resize((64, 64)).convert("RGB").save(folder / f"{number}.png")


def measure(names, count):
    """Time networks of all kinds, in turns."""
    for end in range(TURN, count + TURN, TURN):
        for (part, (seed, share)), name in itertools.product(PARTS.items(), names):
            path, many = FOLDER / name / f"{part}.jsonl", min(end, round(share * count))
            path.parent.mkdir(parents=True, exist_ok=True)
            if not path.exists() or path.read_text().count("\n") < many:
                drawn = ["--count", many, "--seed", seed]
                run("latency.py", "generate", *DEVICE, *SIZES, "--network", name, *drawn, path)


def fit(name):
    """Fit and validate the table of a network; return its row of the results."""
    folder = FOLDER / name
    files = [folder / f"{part}.jsonl" for part in (*PARTS, "model")]
    samples, held_out, again, model = files
    if not model.exists():
        run("latency.py", "fit", *WEIGHTS, samples, model)
    run("latency.py", "validate", held_out, model, folder / "correlation.png")
    table = LatencyTable.load(model)
    configurations, measured_ms = measured(held_out, table)
    again_ms = measured(again, table)[1]
    first_ms = measured_ms[: len(again_ms)]
    predicted_ms = np.array([table.predict(configuration) for configuration in configurations])
    return {
        "network": name,
        "error": 100 * prediction_errors(predicted_ms, measured_ms).nrmse,
        "relative": 100 * relative_rms(predicted_ms, measured_ms),
        "passes": 100 * np.std(np.log(first_ms / again_ms)),
        "both": 100 * relative_rms(predicted_ms[: len(again_ms)], np.sqrt(first_ms * again_ms)),
    }


def measured(path, table):
    """Return the configurations of a samples file and their ms, at the speed of the table's day."""
    samples, _, metadata = load_samples([path])
    configurations, latencies_ms = zip(*samples, strict=True)
    return configurations, np.array(latencies_ms) * speed_ratio(table.metadata, metadata)


def search(name, framework, method):
    """Search a network's widths; return the folder of the search."""
    folder = FOLDER / name / f"{framework}-{method}"
    table = ["--latency-model", FOLDER / name / "model.jsonl", "--latency-target", TARGET]
    training = ["--data", IMAGES, "-j", 0, "-b", 20, "--lr", 0.02, "--no-cuda", *EPOCHS[method]]
    if not (folder / "results.jsonl").exists():
        run("train_nas.py", "--framework", framework, *training, *table, "--expname", folder)
    return folder


def retrain(name, framework, folder):
    """Train the answer of a search from scratch; return its ONNX file."""
    widths = ",".join(map(str, last_line(folder / "results.jsonl")["configuration"]))
    network = ["--network", name, "--configuration", widths, "--input-size", 64]
    training = ["--data-dir", IMAGES, "-j", 0, "--num-epochs", 1, "--batch-size", 20, "--lr", 0.02]
    files = ["--save-dir", folder / "final", "--logging-file", folder / "final.log"]
    if not list(folder.glob("final/*.onnx")):
        command = ["train_final.py", "--framework", framework, *network, *training, *files]
        run(*command, "--num-gpus", 0)
    return next(folder.glob("final/*best.onnx"))


def timed(name, file):
    """Time an ONNX file; return what latency.py tells of it."""
    table = ["--latency-model", FOLDER / name / "model.jsonl", "--latency-target", TARGET]
    return benchmark(*DEVICE, *table, file)["results"][0]


def show_tables(rows):
    """Print the errors of the tables, beside MobileNet-v1's."""
    first = next((row for row in rows if row["network"] == MOBILENET_V1), None)
    print(
        "\nHeld-out error of the tables, %: of the mean latency; relative; relative to the mean of"
    )
    print("two passes over the held-out networks. Last: how far these passes disagree (log ratio)")
    for row in rows:
        ratio = f"{row['error'] / first['error']:5.2f} × {MOBILENET_V1}'s" if first else ""
        numbers = "".join(f"{row[key]:7.2f}" for key in ("error", "relative", "both", "passes"))
        print(f"{row['network']:14}{numbers}   {ratio}")


@exits_with_one_line
def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--networks", nargs="+", choices=tuple(NETWORKS), default=list(NETWORKS))
    parser.add_argument("--count", type=int, default=100)
    args = parser.parse_args()
    measure(args.networks, args.count)
    show_tables([fit(name) for name in args.networks])
    if not IMAGES.exists():
        write_images()
    for name in args.networks:
        for framework in ("pytorch", "mxnet")[: 2 if name == "mobilenet_v2" else 1]:
            for method in EPOCHS:
                folder = search(name, framework, method)
                result = timed(name, retrain(name, framework, folder))
                print(f"\n{name}, {framework}, {method}: {json.dumps(result)}")


if __name__ == "__main__":
    main()
