"""Mistakes, damaged files and full disks: train_final.py ends in one line and keeps its files."""

import re
import resource
import shlex
from pathlib import Path

import pytest

from tests.helpers.final_runs import SMALL, fails, train


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("--data-dir /nowhere --dtype float16", "float16 needs a GPU"),
        ("--data-dir /nowhere --num-gpus 3", "3 GPUs were asked for"),
        ("--data-dir /nowhere", "/nowhere is not a folder"),
        ("--use-rec --rec-train-idx /nowhere.idx", "/nowhere.idx does not exist"),
        ("--data-dir digits --batch-size 5000", "too few training images for one batch of 5000"),
        ("--data-dir digits --batch-size 1", "BatchNorm over one image cannot be trained"),
        ("--data-dir digits --num-classes 7", "--num-classes 7 is fewer than the data's 10"),
        ("--data-dir digits --teacher x.params", "x.params does not exist"),
        ("--data-dir digits --configuration 1,2", "configuration has 2 widths"),
        ("--data-dir digits --resume-params x.params", "x.params does not exist"),
    ],
)
def test_mistakes_end_in_one_line(capsys, tmp_path, options, message):
    """Oracle: what is wrong is in the line; status 2; nothing is written."""
    assert message in fails(capsys, f"{SMALL} {options}", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_teacher_that_this_training_would_replace_is_refused(capsys, tmp_path):
    teacher = tmp_path / "mobilenet-best.params"
    teacher.write_bytes(b"")
    options = f"{SMALL} --data-dir digits --teacher {teacher}"
    assert "mobilenet-best.params is in --save-dir" in fails(capsys, options, tmp_path)
    assert teacher.exists()


def test_broken_images_are_skipped(folder, capsys, tmp_path):
    """Oracle: each one's path, once; the numbers of this process and of a worker are the same."""
    root = tmp_path / "images"
    for path in folder.glob("*/*/*.png"):
        copy = root / path.relative_to(folder)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(path.read_bytes())
    broken = root / "val" / "red" / "2.png", root / "train" / "blue" / "3.png"
    for path in broken:
        path.write_bytes(b"no image")
    losses = []
    for workers in (0, 1):
        options = f"{SMALL} --data-dir {root} -j {workers} --num-epochs 2"
        lines = train(options, tmp_path / f"out{workers}")
        losses.append([(line["train_loss"], line["val_loss"], line["val_top1"]) for line in lines])
    assert losses[0] == losses[1]
    warnings = capsys.readouterr().err
    assert all(warnings.count(f"{path} is not a readable image") == 1 for path in broken)
    assert warnings.count("broken images skipped: 1 of 15") == 4  # of 15 images for validation


def test_cut_record_files_end_in_one_line(records, capsys, tmp_path):
    """Oracle: the file is in the line."""
    options = shlex.split(records)
    rec = options[1 + options.index("--rec-train")]
    content = Path(rec).read_bytes()
    cut = tmp_path / "cut.rec"
    cut.write_bytes(content[: len(content) // 2])
    line = fails(capsys, f"{SMALL} --use-rec {records} --rec-train {cut}", tmp_path / "out")
    assert f"{cut}, image " in line


def test_a_loss_that_is_not_finite_keeps_the_last_good_files(folder, capsys, tmp_path):
    """Oracle: the bytes of the files of the epoch before."""
    options = f"{SMALL} --data-dir {folder} --save-frequency 1"
    train(f"{options} --num-epochs 1", tmp_path)
    kept = {path.name: path.read_bytes() for path in tmp_path.glob("mobilenet-*")}
    results = (tmp_path / "results.jsonl").read_bytes()
    saved = f"{tmp_path}/mobilenet-0001"
    resume = f"--resume-epoch 1 --resume-params {saved}.params --resume-states {saved}.states"
    line = fails(capsys, f"{options} {resume} --num-epochs 3 --lr 1e30", tmp_path)
    assert re.search(r"epoch 2, batch \d: the loss is (nan|inf); try a smaller --lr", line)
    assert {path.name: path.read_bytes() for path in tmp_path.glob("mobilenet-*")} == kept
    assert (tmp_path / "results.jsonl").read_bytes() == results


def test_a_full_disk_keeps_the_last_good_files(folder, capsys, tmp_path):
    """Oracle: the bytes of the files before; the file that did not fit is named."""
    options = f"{SMALL} --data-dir {folder} --save-frequency 1"
    train(f"{options} --num-epochs 1", tmp_path)
    kept = {path.name: path.read_bytes() for path in tmp_path.glob("mobilenet-*")}
    saved = f"{tmp_path}/mobilenet-0001"
    resume = f"--resume-epoch 1 --resume-params {saved}.params --resume-states {saved}.states"
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, hard))
    try:
        line = fails(capsys, f"{options} {resume} --num-epochs 2", tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert re.search(r"mobilenet-(best|0002)\.params cannot be written", line)
    assert {path.name: path.read_bytes() for path in tmp_path.glob("mobilenet-*")} == kept


def test_states_of_another_run_are_refused(folder, capsys, tmp_path):
    """Oracle: the file and what differs are in the line."""
    train(f"{SMALL} --data-dir {folder} --num-epochs 1", tmp_path / "a")
    saved = f"{tmp_path}/a/mobilenet-0001"
    resume = f"--data-dir {folder} --resume-params {saved}.params --resume-states {saved}.states"
    line = fails(capsys, f"{SMALL} {resume} --resume-epoch 2", tmp_path / "b")
    assert f"{saved}.states is of epoch 1, not of 2" in line
    wide = f"{SMALL} {resume} --resume-epoch 1 --configuration 0.5xMOBILENET"
    assert f"{saved}.states is of configuration [16, " in fails(capsys, wide, tmp_path / "b")
    wide = f"{wide} --resume-states ''"
    assert f"{saved}.params does not fit" in fails(capsys, wide, tmp_path / "b")
    (tmp_path / "x.states").write_bytes(b"no checkpoint")
    foreign = f"{SMALL} {resume} --resume-epoch 1 --resume-states {tmp_path}/x.states"
    assert "x.states is not a checkpoint" in fails(capsys, foreign, tmp_path / "b")


def test_a_folder_with_foreign_results_is_refused(folder, capsys, tmp_path):
    """Oracle: the file of somebody else is not changed."""
    foreign = '{"epoch": 4, "gamma": 1.5}\n'
    (tmp_path / "results.jsonl").write_text(foreign)
    line = fails(capsys, f"{SMALL} --data-dir {folder}", tmp_path)
    assert "results.jsonl, line 1 is not of train_final.py" in line
    assert (tmp_path / "results.jsonl").read_text() == foreign
