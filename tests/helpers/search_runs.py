"""Running train_nas.py on the digits, at a size that takes seconds."""

import json
from pathlib import Path

import pytest

import train_nas
from nas.latency_table import LatencyTable
from nas.search_space import SearchSpace
from utils.metadata import Metadata

ROOT = Path(__file__).parents[2]
SPACE = SearchSpace(input_size=16, classes=10, min_width=0.05, max_width=0.15, levels=3)


def write_table(path, space=SPACE, metadata=True):
    """A table of 1 ns per weight of a layer's pointwise convolution, and 1 µs per layer."""
    entries = {v: v.in_channels * v.out_channels / 1e6 + 1e-3 for v in space.variables}
    LatencyTable(entries, Metadata.of({"search_space": space.as_dict()})).save(path)
    if not metadata:
        Path(f"{path}.meta.json").unlink()
    return path


def target_between(model, share):
    table = LatencyTable.load(model)
    fastest, slowest = table.predict(SPACE.smallest), table.predict(SPACE.largest)
    return fastest + share * (slowest - fastest)


def arguments(model, folder, *more, target_ms=None, epochs=2):
    target_ms = target_ms or target_between(model, 0.5)
    return [
        "--data", "digits", "--latency-model", str(model), "--latency-target", str(target_ms),
        "--epochs", str(epochs), "-b", "256", "-j", "0", "--no-cuda", "--expname", str(folder),
        *more,
    ]  # fmt: skip


def results(folder):
    return [json.loads(line) for line in Path(folder, "results.jsonl").read_text().splitlines()]


def without_speed(lines):
    return [{k: v for k, v in line.items() if k != "images_per_s"} for line in lines]


def fails_with(capsys, arguments):
    with pytest.raises(SystemExit) as exit_:
        train_nas.main(arguments)
    assert exit_.value.code == 2
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error")]
    assert len(lines) == 1
    return lines[0]
