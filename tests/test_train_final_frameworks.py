"""train_final.py in both frameworks: the same files, exact resumption after a kill, exports."""

import json
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from scipy.special import logsumexp

import train_final
from models.arrays import NETWORK, without_prefix
from models.gluon.arrays_file import read_arrays
from models.pytorch import final as torch_final
from models.recipe import learning_rates
from pipeline.final.options import parse_options
from tests.helpers.final_runs import SMALL, losses, train
from tests.helpers.threads import same_threads
from utils import checkpoints
from utils.images.open_dataset import open_dataset

ROOT = Path(__file__).parent.parent
PACKAGES = {"mxnet": "gluon", "pytorch": "pytorch"}
FRAMEWORKS = {"mxnet": "MXNetFinalTraining", "pytorch": "TorchFinalTraining"}
LEARNING = "--lr 0.02 --lr-mode cosine --num-epochs 12 --configuration 0.25xMOBILENET"


@pytest.fixture(scope="module", params=FRAMEWORKS)
def learned(request, folder, tmp_path_factory):
    """Return the results of a run that is long enough, its --save-dir and its framework."""
    out = tmp_path_factory.mktemp(request.param)
    options = f"{SMALL} {LEARNING} --data-dir {folder} --framework {request.param}"
    options += " --save-frequency 2 --keep 2 --average 0.9"
    return train(options, out), out, request.param


def test_both_learn_and_write_the_same_files(learned):
    """Oracle: guessing one of three colours gives a loss of log 3; the names by hand."""
    results, out, framework = learned
    assert [r["epoch"] for r in results] == list(range(1, 13))
    assert min(r["train_loss"] for r in results) < 0.85 * np.log(3)
    assert max(r["val_top1"] for r in results) > 0.6
    pairs = [f"mobilenet-{n}.{k}" for n in ("0010", "0012", "best") for k in ("params", "states")]
    kinds = ("onnx", "averaged.params", "averaged.onnx")
    exports = [f"mobilenet-{n}.{k}" for n in ("0012", "best") for k in kinds]
    assert {path.name for path in out.iterdir()} == {
        *pairs,
        *exports,
        "results.jsonl",
        "log",
        "curves.png",
    }
    _, values = checkpoints.load(out / "mobilenet-0012.states")
    assert (values["framework"], values["epoch"]) == (framework, 12)


def test_classes_without_images_have_names_of_their_own():
    """Oracle: by hand; folders may be named by other numbers than those of their classes."""
    assert list(train_final.unused_names(("1", "2"), 4)) == ["2 (no images)", "3"]


@pytest.mark.parametrize(
    ("name", "prefix", "batch_size"),
    [("best", "val_", 1), ("best", "val_", 5), ("best.averaged", "averaged_val_", 5)],
)
def test_the_exported_network_has_the_reported_scores(learned, folder, name, prefix, batch_size):
    """Oracle: results.jsonl; images made from the files by the export's own metadata."""
    results, out, framework = learned
    path = out / f"mobilenet-{name}.onnx"
    onnx.checker.check_model(onnx.load(path), full_check=True)
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    texts = session.get_modelmeta().custom_metadata_map
    said = {key: json.loads(text) for key, text in texts.items()}
    assert said["classes"] == ["blue", "green", "red"]
    assert said["configuration"] == results[0]["configuration"]
    assert (said["opset"], said["input_size"]) == (17, 32)
    assert said["training"]["framework"] == framework
    assert said.get("weights") == ("averaged" if "averaged" in name else None)
    best = max(results, key=lambda r: (r["val_top1"], r["epoch"]))
    assert said["training"]["epoch"] == best["epoch"]

    recipe = said["preprocessing"]
    _, val = open_dataset(folder, recipe["input_size"], 0, crop_ratio=recipe["crop_ratio"])
    assert recipe == val.preprocessing
    images = np.stack([val[(0, i)][0] for i in range(len(val))])
    logits = [
        session.run(None, {"images": images[start : start + batch_size]})[0]
        for start in range(0, len(images), batch_size)
    ]
    logits = np.concatenate(logits)
    right = logits.argmax(axis=1) == val.labels
    assert right.mean() == pytest.approx(best[f"{prefix}top1"])
    entropies = logsumexp(logits, axis=1) - logits[np.arange(len(val)), val.labels]
    assert entropies.mean() == pytest.approx(best[f"{prefix}loss"], rel=1e-4, abs=1e-4)


def test_a_finished_run_is_exported_for_litert_too(learned, folder, tmp_path):
    """Oracle: ONNX Runtime's logits of the .onnx files; nothing is trained again."""
    interpreter = pytest.importorskip("ai_edge_litert.interpreter")
    results, out, framework = learned
    again = shutil.copytree(out, tmp_path / "again")
    options = f"{SMALL} {LEARNING} --data-dir {folder} --framework {framework} --resume-last"
    assert train(f"{options} --save-frequency 2 --keep 2 --export tflite", again) == results
    new = {f"mobilenet-{n}{k}.tflite" for n in ("0012", "best") for k in ("", ".averaged")}
    assert {p.name for p in again.iterdir()} == {p.name for p in out.iterdir()} | new
    _, val = open_dataset(folder, 32, 0)
    images = np.stack([val[(0, i)][0] for i in range(len(val))])
    for name in new:
        session = onnxruntime.InferenceSession(str((again / name).with_suffix(".onnx")))
        lite = interpreter.Interpreter(str(again / name))
        lite.resize_tensor_input(0, (len(images), 32, 32, 3))
        lite.allocate_tensors()
        lite.set_tensor(0, images.transpose(0, 2, 3, 1))
        lite.invoke()
        wanted = session.run(None, {"images": images})[0]
        found = lite.get_tensor(lite.get_output_details()[0]["index"])
        assert np.abs(found - wanted).max() < 1e-4 * np.abs(wanted).max()


def run(code, framework):
    """Run Python code in a process of its own, with as many threads; return it, ended."""
    return subprocess.run(
        [sys.executable, "-c", code],
        check=False,
        cwd=ROOT,
        env=same_threads(framework),
        capture_output=True,
        text=True,
        timeout=300,
    )


@pytest.mark.parametrize(("framework", "name"), FRAMEWORKS.items())
def test_a_run_killed_within_an_epoch_goes_on_exactly(framework, name, folder, tmp_path):
    """Oracle: an uninterrupted run: the same losses and optimiser states, bit for bit."""
    options = f"{SMALL} --data-dir {folder} --framework {framework} --num-epochs 3"
    options += " --save-frequency 1 --mixup --lr-mode cosine --warmup-epochs 1 --resume-last"
    options += " --average 0.9"
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    ended = run(
        f"""
import itertools, os, signal
import train_final
from models.{PACKAGES[framework]}.final import {name} as Training
steps, train = itertools.count(1), Training.step
def step(*arguments):
    if next(steps) == 9:  # the third of the second epoch
        os.kill(os.getpid(), signal.SIGKILL)
    return train(*arguments)
Training.step = step
train_final.main({[*options.split(), "--save-dir", str(killed), "--logging-file", f"{killed}/log"]})
""",
        framework,
    )
    assert ended.returncode == -signal.SIGKILL, ended.stderr
    assert json.loads((killed / "results.jsonl").read_text())["epoch"] == 1  # one line
    results = [train(options, out) for out in (whole, killed)]
    assert [r["epoch"] for r in results[1]] == [1, 2, 3]
    assert losses(results[1]) == losses(results[0])
    states = [checkpoints.load(out / "mobilenet-0003.states") for out in (whole, killed)]
    assert states[0][1] == states[1][1]  # the digest of the parameters is among the values
    assert states[0][0].keys() == states[1][0].keys()
    for key, array in states[0][0].items():
        np.testing.assert_array_equal(states[1][0][key], array)


@pytest.mark.parametrize(("framework", "other"), [("mxnet", "torch"), ("pytorch", "mxnet")])
def test_no_other_framework_is_imported(framework, other, folder, tmp_path):
    """Oracle: sys.modules of a process that has trained and exported."""
    options = f"{SMALL} --data-dir {folder} --num-epochs 1 --framework {framework}"
    files = f"--save-dir {tmp_path} --logging-file {tmp_path}/log"
    code = f"""
import sys
import train_final
train_final.main({f"{options} {files}".split()!r})
loaded = [name for name in sys.modules if name.split(".")[0] in ({other!r}, "gluoncv")]
print("loaded:", loaded if {framework!r} == "pytorch" else [n for n in loaded if n == {other!r}])
"""
    ended = run(code, framework)
    assert ended.stdout.splitlines()[-1:] == ["loaded: []"], ended.stderr


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_averaging_changes_nothing_else_and_may_begin_later(framework, folder, tmp_path, capsys):
    """Oracle: the run without averages; of no decay, the averages are the last weights."""
    options = f"{SMALL} --data-dir {folder} --framework {framework} --save-frequency 1"
    plain = train(f"{options} --num-epochs 2", tmp_path / "plain")
    averaged = train(f"{options} --num-epochs 2 --average 0.9", tmp_path / "averaged")
    assert losses(averaged) == losses(plain)
    train(f"{options} --num-epochs 1", tmp_path / "later")
    later = train(f"{options} --num-epochs 2 --average 0 --resume-last", tmp_path / "later")
    assert losses(later) == losses(plain)
    assert "averaged_val_loss" not in later[0]
    assert ".states holds no averaged weights" in capsys.readouterr().err
    arrays, _ = checkpoints.load(tmp_path / "later" / "mobilenet-0002.states")
    last = parameters_of(framework, tmp_path / "later" / "mobilenet-0002.params")
    weights = [name for name in last if "running" not in name]
    assert all(np.array_equal(arrays[f"average/{name}"], last[name]) for name in weights)


def parameters_of(framework, path):
    """Return {name: array} of a parameters file."""
    if framework == "mxnet":
        return read_arrays(path)
    return without_prefix(NETWORK, checkpoints.load(path)[0])


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_resuming_a_finished_or_a_missing_run(framework, folder, tmp_path):
    """Oracle: nothing is trained again; without files training starts from the beginning."""
    options = f"{SMALL} --data-dir {folder} --framework {framework} --resume-last --num-epochs 1"
    first = train(options, tmp_path)
    params = (tmp_path / "mobilenet-0001.params").read_bytes()
    (tmp_path / "mobilenet-0001.onnx").unlink()
    assert train(options, tmp_path) == first
    assert (tmp_path / "mobilenet-0001.params").read_bytes() == params
    assert (tmp_path / "mobilenet-0001.onnx").exists()  # but it is exported
    again = train(options.replace("--resume-last", ""), tmp_path)
    assert losses(again) == losses(first)


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_another_batch_size_keeps_the_learning_rates(framework, folder, tmp_path, capsys):
    """Oracle: the schedule, in epochs of today's 3 updates; the first epoch had 6."""
    options = f"{SMALL} --data-dir {folder} --framework {framework} --lr-mode linear"
    train(f"{options} --num-epochs 1", tmp_path)
    options += " --num-epochs 3 --batch-size 16 --resume-last"
    results = train(options, tmp_path)
    rates = learning_rates(parse_options("", options.split()).schedule, 3)
    assert [r["learning_rate"] for r in results[1:]] == pytest.approx([rates(6), rates(9)])
    assert ".states was written after 6 updates" in capsys.readouterr().err


def test_pytorch_reads_record_files_and_distils(records, learned, tmp_path):
    """Oracle: with --hard-weight 1 only the labels count: the losses are the plain run's."""
    options = f"{SMALL} --use-rec {records} --framework pytorch --num-epochs 1"
    plain = train(options, tmp_path / "plain")
    if learned[2] == "mxnet":
        return
    teacher = f"--teacher {learned[1]}/mobilenet-best.params"
    teacher += " --teacher-configuration 0.25xMOBILENET --hard-weight"
    assert losses(train(f"{options} {teacher} 1", tmp_path / "hard")) == losses(plain)
    assert losses(train(f"{options} {teacher} 0.5", tmp_path / "both")) != losses(plain)


def test_the_loss_scale_of_float16_is_resumed(folder, tmp_path, monkeypatch):
    """Oracle: two epochs in a row, on the CPU, which is only too slow for it."""
    monkeypatch.setattr(torch_final, "check_dtype", lambda dtype, device: dtype)
    options = f"{SMALL} --data-dir {folder} --framework pytorch --dtype float16 --save-frequency 1"
    whole = train(f"{options} --num-epochs 2", tmp_path / "whole")
    arrays, _ = checkpoints.load(tmp_path / "whole" / "mobilenet-0001.states")
    assert arrays["loss_scale"][0] < 65536  # where it starts: it was lowered, and must stay so
    assert arrays["updates"] == 6  # the skipped ones among them
    train(f"{options} --num-epochs 1", tmp_path / "parts")
    resumed = train(f"{options} --num-epochs 2 --resume-last", tmp_path / "parts")
    assert losses(resumed) == losses(whole)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("--dtype float16", "float16 needs a GPU"),
        ("--num-gpus 4", "torchrun --nproc-per-node 4"),
        ("--teacher mobilenet1.0", "need --framework mxnet"),
        ("--framework mxnet --compile", "--compile needs --framework pytorch"),
        ("--framework mxnet --dtype bfloat16", "dtype 'bfloat16' is not one of float16, float32"),
        ("--batch-size 5000", "too few training images for one batch of 5000"),
    ],
)
def test_mistakes_end_in_one_line(capsys, folder, tmp_path, options, message):
    """Oracle: what is wrong is in the line; status 2; nothing is written."""
    with pytest.raises(SystemExit) as caught:
        train(f"{SMALL} --data-dir {folder} --framework pytorch {options}", tmp_path / "out")
    assert caught.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert message in line
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(("framework", "other"), [("mxnet", "pytorch"), ("pytorch", "mxnet")])
def test_files_of_the_other_framework_are_refused(framework, other, folder, tmp_path, capsys):
    """Oracle: the file is in the line."""
    options = f"{SMALL} --data-dir {folder} --num-epochs 1"
    train(f"{options} --framework {other}", tmp_path)
    with pytest.raises(SystemExit):
        train(f"{options} --framework {framework} --resume-last", tmp_path)
    assert f".states is of framework {other}, not of {framework}" in capsys.readouterr().err
