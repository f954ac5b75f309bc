"""The script train_final.py, run on the digits, on an image folder and on RecordIO files."""

import re
import threading

import numpy as np
import pytest
from PIL import Image
from scipy.special import logsumexp

from models.gluon import final as mxnet_final
from models.gluon.plain import PlainNet
from models.gluon.runtime import mx
from networks.mobilenet_v1 import network as mobilenet_v1
from pipeline.final import validation
from tests.helpers.event_files import scalars
from tests.helpers.final_runs import SMALL, losses, train
from utils import checkpoints
from utils.images.open_dataset import open_dataset

REFERENCE_RECIPE = """
   --use-rec --mode hybrid --lr 0.4 --lr-mode cosine
   --num-epochs 3 --batch-size 8 -j 2 --num-gpus 0
   --dtype float32 --warmup-epochs 1 --no-wd
   --label-smoothing --mixup
   --configuration "(16, 32, 64, 112, 360, 48, 464, 664, 152, 664, 256, 208, 816, 304)"
"""


KINDS = ("params", "states", "onnx")


def parameters(path):
    """Return {name: array} of a parameter file, read by MXNet itself."""
    return {name: array.asnumpy() for name, array in mx.nd.load(str(path)).items()}


# The three kinds of data


def test_the_reference_recipe_runs_on_record_files(records, tmp_path, capsys):
    """Oracle: the options of the reference's command; the files and lines that it promises."""
    results = train(f"{REFERENCE_RECIPE} --input-size 32 {records}", tmp_path)
    assert [r["epoch"] for r in results] == [1, 2, 3]
    assert results[0]["configuration"][4] == 360
    assert all(np.isfinite(r["train_loss"]) for r in results)
    # the cosine starts at 0.4, after one epoch of warm-up, and ends at 0
    assert results[0]["learning_rate"] == pytest.approx(0.4, rel=1e-6)
    assert results[2]["learning_rate"] == pytest.approx(0, abs=1e-6)
    names = {path.name for path in tmp_path.iterdir()}
    kinds = {f"mobilenet-{which}.{k}" for which in ("0003", "best") for k in KINDS}
    assert names == kinds | {"results.jsonl", "log", "curves.png"}
    output = capsys.readouterr()
    assert len(re.findall(r"^epoch \d  loss .* top-1 .* images/s", output.out, re.M)) == 3
    assert (tmp_path / "log").read_text().count(" images/s") == 3
    assert "error" not in output.err


def test_digits_are_learned(tmp_path):
    """Oracle: guessing gives a loss of log 10 and an accuracy of 0.1."""
    options = "--lr 0.1 --lr-mode cosine --num-epochs 3 --batch-size 32"
    options += " --configuration 0.25xMOBILENET --data-dir digits"
    results = train(f"{SMALL} {options}", tmp_path)
    assert results[-1]["train_loss"] < 0.6 * np.log(10)
    assert results[-1]["val_top1"] > 0.5
    assert results[-1]["val_top5"] > results[-1]["val_top1"]


@pytest.fixture(scope="module")
def learned(folder, tmp_path_factory):
    """Return the results of a run on the image folder that is long enough, and its --save-dir."""
    out = tmp_path_factory.mktemp("learned")
    options = "--lr 0.02 --lr-mode cosine --num-epochs 12 --batch-size 8 -j 1 --log-interval 2"
    options += f" --save-frequency 5 --configuration 0.25xMOBILENET --data-dir {folder}"
    return train(f"{SMALL} {options} --tensorboard {out}/tb", out), out


def test_curves_are_drawn_and_logged(learned):
    """Oracle: results.jsonl; TensorBoard's file is read by tensorboardX."""
    results, out = learned
    assert Image.open(out / "curves.png").size[0] > 500
    curves = scalars(out / "tb")
    for name, key in (("loss/training", "train_loss"), ("accuracy/top-1", "val_top1")):
        assert curves[name] == pytest.approx({r["epoch"]: r[key] for r in results})


def test_an_image_folder_is_learned(learned):
    """Oracle: guessing one of three colours gives a loss of log 3; the files that are promised."""
    results, out = learned
    assert min(r["train_loss"] for r in results) < 0.85 * np.log(3)
    assert max(r["val_top1"] for r in results) > 0.6
    saved = sorted(path.name for path in out.glob("mobilenet-*.params"))
    assert saved == [f"mobilenet-{n}.params" for n in ("0005", "0010", "0012", "best")]
    assert (out / "log").read_text().count("batch 2/6") == 12


def test_the_best_files_are_those_of_the_best_epoch(learned):
    """Oracle: the results, line by line; of equally good epochs the last."""
    results, out = learned
    best = max(results, key=lambda r: (r["val_top1"], r["epoch"]))
    _, values = checkpoints.load(out / "mobilenet-best.states")
    assert (values["epoch"], values["best_top1"]) == (best["epoch"], best["val_top1"])


def test_of_equally_good_epochs_the_last_is_kept(folder, tmp_path):
    """Oracle: without learning every epoch is as good as the first."""
    results = train(f"{SMALL} --data-dir {folder} --lr 0 --num-epochs 3", tmp_path)
    assert len({r["val_top1"] for r in results}) == 1
    assert checkpoints.load(tmp_path / "mobilenet-best.states")[1]["epoch"] == 3


def test_the_saved_parameters_give_the_reported_accuracy(learned, folder):
    """Oracle: validation images classified by the saved network, without the script's loop."""
    results, out = learned
    net = PlainNet(mobilenet_v1(3), results[0]["configuration"])
    net.load_parameters(str(out / "mobilenet-0012.params"))
    _, val = open_dataset(folder, 32, seed=0)
    images = np.stack([val[(0, i)][0] for i in range(len(val))])
    logits = net(mx.nd.array(images)).asnumpy()
    assert np.mean(logits.argmax(axis=1) == val.labels) == pytest.approx(results[-1]["val_top1"])
    entropies = logsumexp(logits, axis=1) - logits[np.arange(len(val)), val.labels]
    assert entropies.mean() == pytest.approx(results[-1]["val_loss"], rel=1e-4, abs=1e-4)


# Repeating and resuming


@pytest.mark.parametrize("data", ["folder", "records"])
def test_a_resumed_run_is_the_uninterrupted_one(folder, records, tmp_path, data):
    """Oracle: four epochs in a row, bit for bit; the recipe has momentum, mixup and a schedule."""
    source = f"--data-dir {folder}" if data == "folder" else f"--use-rec {records}"
    recipe = "--mixup --lr-mode cosine --warmup-epochs 1 --save-frequency 2 --num-epochs 4"
    options = f"{SMALL} {source} {recipe}"
    whole = train(options, tmp_path / "whole")
    again = train(options, tmp_path / "again")
    assert losses(again) == losses(whole)
    # As if the second run had been killed after epoch 3: its later files are not needed.
    saved = f"{tmp_path}/again/mobilenet-0002"
    resume = f"--resume-epoch 2 --resume-params {saved}.params --resume-states {saved}.states"
    resumed = train(f"{options} {resume}", tmp_path / "again")
    assert losses(resumed) == losses(whole)
    wanted = parameters(tmp_path / "whole" / "mobilenet-0004.params")
    found = parameters(tmp_path / "again" / "mobilenet-0004.params")
    assert all(np.array_equal(found[name], array) for name, array in wanted.items())
    # The momenta matter: without them the same epochs differ.
    without = f"--resume-epoch 2 --resume-params {saved}.params"
    forgetful = train(f"{options} {without}", tmp_path / "without")
    assert [r["epoch"] for r in forgetful] == [3, 4]
    assert losses(forgetful)[0][1] != losses(whole)[2][1]
    rates = [r["learning_rate"] for r in forgetful]
    assert rates == pytest.approx([r["learning_rate"] for r in whole[2:]])  # but not the schedule


def test_losses_depend_on_the_seed_and_not_on_the_workers(folder, tmp_path):
    """Oracle: equal runs, of 0 and of 2 processes, have equal losses; another seed has not."""
    options = f"{SMALL} --data-dir {folder} --num-epochs 2"
    first = train(options, tmp_path / "a")
    assert losses(train(f"{options} -j 2", tmp_path / "b")) == losses(first)
    assert losses(train(f"{options} --mode imperative", tmp_path / "c"))[0][0] == 1
    other = train(f"{options} --seed 4", tmp_path / "d")
    assert losses(other)[0][1] != losses(first)[0][1]


def test_two_devices_share_the_batches(folder, tmp_path, monkeypatch):
    """Oracle: --batch-size is per device: 48 images are 3 batches of 2 × 7; 15 = 14 + 1 images."""
    monkeypatch.setattr(mxnet_final, "contexts", lambda count: [mx.cpu(0), mx.cpu(1)])
    options = f"{SMALL} --data-dir {folder} --num-epochs 2 --log-interval 1 --batch-size 7"
    results = train(options, tmp_path)
    assert (tmp_path / "log").read_text().count("batch 3/3") == 2
    assert all(np.isfinite(r["train_loss"]) for r in results)
    arrays, _ = checkpoints.load(tmp_path / "mobilenet-0002.states")
    assert arrays["updates"] == 6


def test_a_teacher_from_a_file_has_its_say(learned, folder, tmp_path):
    """Oracle: with --hard-weight 1 only the labels count: the losses are the plain run's."""
    options = f"{SMALL} --data-dir {folder} --num-epochs 1"
    teacher = f"--teacher {learned[1]}/mobilenet-best.params "
    teacher += "--teacher-configuration 0.25xMOBILENET --temperature 2"
    plain = train(options, tmp_path / "plain")
    labels = train(f"{options} {teacher} --hard-weight 1", tmp_path / "labels")
    both = train(f"{options} {teacher} --hard-weight 0.5", tmp_path / "both")
    assert losses(labels) == losses(plain)
    assert losses(both)[0][1] != losses(plain)[0][1]


class Meeting:
    """Two trainings that add up numbers when both of them ask for the sum."""

    def __init__(self):
        self._barrier = threading.Barrier(2, timeout=30)
        self._numbers = []
        self.sums = 0

    def sum_over_processes(self, number):
        self._numbers.append(number)
        self._barrier.wait()
        total = sum(self._numbers[-2:])
        if not self._barrier.wait():
            self.sums += 1
        return total


def test_the_others_hear_of_a_first_process_that_is_slow(monkeypatch):
    """Oracle: counting; every batch is due, and the last word ends the waiting."""
    monkeypatch.setattr(validation, "HEARTBEAT_S", -1)
    meeting = Meeting()
    waiting = threading.Thread(target=validation.wait_for_first, args=[meeting], daemon=True)
    waiting.start()
    assert list(validation.others_waiting(meeting, "abc")) == ["a", "b", "c"]
    waiting.join(30)
    assert not waiting.is_alive()
    assert meeting.sums == 4
