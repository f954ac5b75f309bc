"""Both training scripts on a few glyphs."""

import json

import pytest

import train_final
import train_nas
from nas.latency_table import LatencyTable
from nas.search_space import SearchSpace
from utils.images import glyphs
from utils.metadata import Metadata

SPACE = SearchSpace(32, len(glyphs.CLASSES), min_width=0.05, max_width=0.15, levels=3)


@pytest.fixture(autouse=True)
def few(monkeypatch, tmp_path):
    """Fewer images and fonts, kept in a folder of the test's own."""
    monkeypatch.setattr(glyphs, "TRAINING_IMAGES", 3 * len(glyphs.CLASSES))
    monkeypatch.setattr(glyphs, "VALIDATION_IMAGES", len(glyphs.CLASSES))
    monkeypatch.setattr(glyphs, "TRAINING_FONTS", glyphs.TRAINING_FONTS[:2])
    monkeypatch.setattr(glyphs, "VALIDATION_FONTS", glyphs.VALIDATION_FONTS[:1])
    monkeypatch.setattr(glyphs, "FOLDER", tmp_path)


def results(folder):
    return [json.loads(line) for line in (folder / "results.jsonl").read_text().splitlines()]


def test_the_width_search_trains_on_glyphs(tmp_path):
    """Oracle: the search space of a table for 49 classes, and its target."""
    model = tmp_path / "model.jsonl"
    entries = {v: v.in_channels * v.out_channels / 1e6 + 1e-3 for v in SPACE.variables}
    LatencyTable(entries, Metadata.of({"search_space": SPACE.as_dict()})).save(model)
    target_ms = LatencyTable.load(model).predict(SPACE.uniform_multipliers()[1])
    options = f"--data glyphs -j 0 --no-cuda --epochs 1 -b 49 --latency-model {model}"
    options += f" --latency-target {target_ms} --expname {tmp_path / 'ows'}"
    train_nas.main(options.split())
    (line,) = results(tmp_path / "ows")
    assert SPACE.states(line["configuration"]).shape == (14,)
    assert line["latency_ms"] <= target_ms
    assert 0 <= line["accuracy_full"] <= 1


def test_the_final_training_reads_glyphs(tmp_path):
    """Oracle: a loss of about log 49 before anything is learned."""
    widths = ",".join(["16"] * 14)
    options = "--data-dir glyphs --input-size 32 -j 0 --batch-size 49 --num-epochs 1 --lr 0.001"
    options += f" --configuration {widths} --save-dir {tmp_path / 'final'}"
    train_final.main([*options.split(), "--logging-file", str(tmp_path / "log")])
    (line,) = results(tmp_path / "final")
    assert 3 < line["train_loss"] < 6
