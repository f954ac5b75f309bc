"""What train_nas.py refuses, in one line, and what it keeps: targets, tables, files, divergence."""

import json
import pkgutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import train_nas
from nas.latency_table import LatencyTable
from nas.search_space import SearchSpace
from tests.helpers.search_runs import (
    ROOT,
    SPACE,
    arguments,
    fails_with,
    results,
    write_table,
)
from utils.formatting import rounded_up


def test_an_unreachable_target_names_the_fastest_latency_before_any_framework_is_loaded(
    model, tmp_path
):
    fastest = LatencyTable.load(model).predict(SPACE.smallest)
    options = arguments(model, tmp_path / "none", target_ms=fastest / 2)
    script = (
        "import sys, train_nas\n"
        "try: train_nas.main(sys.argv[1:])\n"
        "finally: print('mxnet' in sys.modules, 'torch' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, *options],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert done.stdout.split() == ["False", "False"]
    assert done.stderr.count("\n") == 1
    assert f"below the fastest configuration, {rounded_up(fastest)} ms" in done.stderr
    assert not (tmp_path / "none").exists()


def test_diverged_training_ends_in_one_line_and_keeps_the_last_checkpoint(model, tmp_path, capsys):
    train_nas.main(arguments(model, tmp_path, epochs=1))
    before = (tmp_path / "checkpoint-0001.npz").read_bytes()
    options = arguments(model, tmp_path, "--resume-last", "--lr", "1e30")
    message = fails_with(capsys, options)
    assert "epoch 2, step" in message
    assert "NaN" in message
    assert (tmp_path / "checkpoint-0001.npz").read_bytes() == before
    assert len(results(tmp_path)) == 1


@pytest.mark.parametrize(
    ("framework", "supernet"),
    [
        ("mxnet", "models.gluon.supernet.MXNetSupernet"),
        ("pytorch", "models.pytorch.supernet.TorchSupernet"),
    ],
)
def test_weights_that_diverge_in_an_epochs_last_step_are_not_saved(
    model, tmp_path, capsys, monkeypatch, framework, supernet
):
    """A step's losses are of the weights before it. Oracle: the files; one weight becomes NaN."""
    options = ["--framework", framework, "--keep", "1"]
    train_nas.main(arguments(model, tmp_path, *options, epochs=1))
    before = {path.name: path.read_bytes() for path in tmp_path.glob("*.[nj]*")}
    of_supernet = pkgutil.resolve_name(supernet)
    to_arrays = of_supernet.to_arrays

    def diverged(net):
        arrays = to_arrays(net)
        name = next(name for name in arrays if name.endswith("classifier.weight"))
        return arrays | {name: arrays[name] * np.nan}

    monkeypatch.setattr(of_supernet, "to_arrays", diverged)
    message = fails_with(capsys, arguments(model, tmp_path, *options, "--resume-last"))
    assert "checkpoint-0002.npz is not written, as" in message
    assert "the training diverged" in message
    assert {path.name: path.read_bytes() for path in tmp_path.glob("*.[nj]*")} == before


def test_tables_that_do_not_fit_are_explained(model, tmp_path, capsys):
    message = fails_with(capsys, arguments(model, tmp_path, "--input-size", "64"))
    assert "lacks" in message
    assert "layer 1" in message
    assert "made for input size 16" in message
    message = fails_with(capsys, arguments(model, tmp_path, "--levels", "9", "--max-width", "0.9"))
    assert "lacks" in message
    other = write_table(
        tmp_path / "seven.jsonl",
        SearchSpace(input_size=16, classes=7, min_width=0.05, max_width=0.15, levels=3),
    )
    message = fails_with(capsys, arguments(other, tmp_path / "exp"))
    assert "digits has 10 classes" in message
    assert "made for 7" in message
    lines = Path(model).read_text().splitlines()
    short = tmp_path / "short.jsonl"
    short.write_text("\n".join(lines[:5] + lines[8:]) + "\n")
    metadata = json.loads(Path(f"{model}.meta.json").read_text())
    del metadata["table_sha256"]  # the table was changed by hand
    Path(f"{short}.meta.json").write_text(json.dumps(metadata))
    message = fails_with(capsys, arguments(short, tmp_path / "exp", target_ms=1.0))
    assert f"{short} lacks 3 of the" in message


def test_a_table_without_metadata_takes_the_search_space_from_the_options(tmp_path, capsys):
    plain = write_table(tmp_path / "plain.jsonl", metadata=False)
    options = ["--min-width", "0.05", "--max-width", "0.15", "--levels", "3"]
    target_ms = LatencyTable.load(plain).predict(SPACE.largest)
    train_nas.main(arguments(plain, tmp_path / "exp", *options, epochs=1, target_ms=target_ms))
    assert tuple(results(tmp_path / "exp")[0]["configuration"]) <= SPACE.largest
    assert "warning" in capsys.readouterr().err


def test_missing_and_damaged_files_are_named(model, tmp_path, capsys):
    message = fails_with(capsys, arguments("/no/model.jsonl", tmp_path, target_ms=1.0))
    assert "/no/model.jsonl" in message
    torn = tmp_path / "torn.jsonl"
    torn.write_text(Path(model).read_text()[:-20])
    message = fails_with(capsys, arguments(torn, tmp_path, target_ms=1.0))
    assert f"{torn}, line {len(Path(model).read_text().splitlines())}: not JSON" in message
    broken = tmp_path / "broken.npz"
    broken.write_bytes(b"PK nothing")
    message = fails_with(capsys, arguments(model, tmp_path, "--resume", str(broken)))
    assert str(broken) in message


def test_passes_of_one_image_are_refused_where_a_map_has_one_pixel(model, tmp_path, capsys):
    message = fails_with(capsys, arguments(model, tmp_path / "one", "--batch-size", "1"))
    assert "BatchNorm over one image cannot be trained: at 16×16 pixels" in message
    groups = ["--framework", "pytorch", "--batch-size", "8", "--configurations-per-batch", "8"]
    assert "BatchNorm over one image" in fails_with(capsys, arguments(model, tmp_path, *groups))
    assert not (tmp_path / "one").exists()
