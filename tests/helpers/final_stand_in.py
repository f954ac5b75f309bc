"""A training of train_final.py that trains nothing, in microseconds, and a run of the script."""

import json
from pathlib import Path

import numpy as np

import train_final
from utils import checkpoints

TOP1 = [0.2, 0.6, 0.4, 0.6, 0.5, 0.3]  # of the epochs; 2 and 4 are the best ones


class Training:
    """Its only parameter, and its optimiser's only state, is the number of epochs trained."""

    rank, world_size, batch_size, learning_rate, averages = 0, 1, 4, 0.1, False

    def __init__(self):
        self._epochs, self._seed, self.updates = 0, 0, 0

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        pass

    def build(self, network, configuration, seed, schedule, targets, steps, supernet):
        self._seed = seed

    def step(self, images, labels, share):
        self.updates += 1
        self._epochs += 0.5  # of two steps
        return self._epochs + self._seed

    def evaluate(self, images, labels, averaged):
        right = round(TOP1[int(self._epochs) - 1] * 10)
        return np.ones(10), np.repeat([1, 9], [right, 10 - right])

    def average_statistics(self):
        pass

    def sum_over_processes(self, value):
        return value

    def save_parameters(self, path):
        path.write_text(f"{self._seed} {self._epochs}")

    def load_parameters(self, path):
        self._epochs = float(Path(path).read_text().split()[1])

    def optimiser_arrays(self):
        return {"updates": np.int64(self.updates)}

    def load_optimiser(self, arrays, path):
        self.updates = int(arrays["updates"])

    def set_updates(self, updates):
        self.updates = updates

    def deployed(self, path):
        return path.read_text(), None

    @staticmethod
    def to_numpy(images):
        return np.zeros(0)


class Data:
    """Two batches without images."""

    classes, class_names, preprocessing, steps, val_steps = 1, ["one"], {}, 2, 1

    def train_batches(self, epoch):
        return iter([(None, None)] * self.steps)

    def val_batches(self):
        return iter([(None, None)])


def use(monkeypatch):
    """Let the script train the stand-in on no data."""

    def export_onnx(path, weights, *others):
        path.write_text(weights)
        return 0.0

    monkeypatch.setattr(train_final, "open_training", lambda *asked: Training())
    monkeypatch.setattr(train_final, "open_data", lambda options, training: Data())
    monkeypatch.setattr(train_final, "exporters", lambda export: {".onnx": export_onnx})
    monkeypatch.setattr(train_final, "draw_curves", lambda folder: None)  # slow


def run(folder, *options):
    """Run the script; return what must be equal where a run is repeated: {file: content}."""
    log = folder.parent / "log"
    widths = ",".join(["8"] * 14)
    fixed = ["--configuration", widths, "--save-dir", str(folder), "--logging-file", str(log)]
    train_final.main([*fixed, *map(str, options)])
    return contents(folder)


def contents(folder):
    """Return {file name: what it says}, without times."""
    found = {}
    for path in folder.glob("*"):
        if path.suffix == ".states":
            arrays, values = checkpoints.load(path)
            found[path.name] = {name: a.tolist() for name, a in arrays.items()} | values
        elif path.suffix == ".jsonl":
            lines = [json.loads(line) for line in path.read_text().splitlines()]
            found[path.name] = [(line["epoch"], line["train_loss"]) for line in lines]
        elif path.is_file() and path.suffix != ".png":
            found[path.name] = path.read_text()
    return found
