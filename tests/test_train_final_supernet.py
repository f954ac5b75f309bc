"""train_final.py --from-supernet: both frameworks, from folders of both."""

import json
import shutil

import numpy as np
import onnx
import pytest

from models.arrays import NETWORK, without_prefix
from models.execution import Execution
from models.gluon.arrays_file import read_arrays
from models.parameter_names import layouts
from models.recipe import Targets
from models.trained_weights import TrainedWeights
from pipeline.final.options import parse_options
from tests.helpers.final_runs import fails, lines_of, losses, train
from tests.helpers.supernet_folders import (
    ANSWER,
    LAYOUTS,
    SPACE,
    drawn_arrays,
    write_supernet,
)
from train_final import open_training
from utils import checkpoints
from utils.digest import digest

SMALL = "--input-size 32 --batch-size 8 -j 0 --mode hybrid --seed 3 --temperature 2"
FRAMEWORKS = ("mxnet", "pytorch")
each_framework = pytest.mark.parametrize("framework", FRAMEWORKS)
WIDEST = TrainedWeights.of(SPACE.description, drawn_arrays())


def arrays_of(path, framework):
    """Return the arrays of a parameters file in order."""
    saved = read_arrays(path) if framework == "mxnet" else None
    saved = saved or without_prefix(NETWORK, checkpoints.load(path)[0])
    return [saved[name] for name in layouts(SPACE.description)[LAYOUTS[framework]]]


@each_framework
@pytest.mark.parametrize("trained", FRAMEWORKS)
def test_training_starts_at_the_sub_network(framework, trained, folder, tmp_path, capsys):
    """Oracle: leading slices of what was written; without learning they are also what is saved.

    The answer is that of the last line of results.jsonl; the digest is of the checkpoint's bytes.
    """
    supernet = write_supernet(tmp_path / "sn", trained)
    options = f"{SMALL} --data-dir {folder} --framework {framework} --from-supernet {supernet}"
    (line,) = train(f"{options} --lr 0 --num-epochs 1", tmp_path / "out")
    source = {"folder": str(supernet), "epoch": 4, "step": 0}
    source["sha256"] = digest(supernet / "checkpoint-0004.npz")
    assert line["configuration"] == list(ANSWER)
    assert line["from_supernet"] == source
    found = arrays_of(tmp_path / "out" / "mobilenet-0001.params", framework)
    for index, (one, other) in enumerate(zip(found, WIDEST.cut_out(ANSWER).arrays(), strict=True)):
        if index % 5 < 3 or index >= len(found) - 2:  # the others are running statistics
            np.testing.assert_array_equal(one, other)
    model = onnx.load(tmp_path / "out" / "mobilenet-0001.onnx")
    said = {p.key: json.loads(p.value) for p in model.metadata_props}
    assert said["training"]["from_supernet"] == source
    assert f"started from {supernet} after epoch 4  validation: loss" in capsys.readouterr().out


@each_framework
def test_statistics_are_those_of_the_sub_networks_own_batches(framework, tmp_path):
    """Oracle: mean and variance of the first convolution's output, in NumPy's hands."""
    import torch
    import torch.nn.functional as F

    text = f"--configuration 0.05xMOBILENET --framework {framework}"
    schedule = parse_options("", text.split()).schedule
    targets = Targets(False, 0.2, 0, False, None, (), 1.0, 0.5)
    images = [np.random.default_rng(i).standard_normal((8, 3, 32, 32)) for i in range(2)]
    images = [batch.astype(np.float32) for batch in images]
    weights = WIDEST.cut_out(SPACE.smallest)
    with open_training(Execution(framework, num_gpus=0), 8) as training:
        training.build(SPACE.description, SPACE.smallest, 0, schedule, targets, 3)
        batches = images if framework == "mxnet" else map(torch.from_numpy, images)
        training.start_at(weights, batches)
        training.save_parameters(tmp_path / "n.params")
    found = arrays_of(tmp_path / "n.params", framework)
    first = weights.convolutions[0]
    outputs = [
        F.conv2d(torch.from_numpy(x), torch.from_numpy(first.kernel), stride=2, padding=1).numpy()
        for x in images
    ]
    means = np.mean([y.mean((0, 2, 3)) for y in outputs], axis=0)
    variances = np.mean([y.var((0, 2, 3)) for y in outputs], axis=0)
    np.testing.assert_allclose(found[3], means, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(found[4], variances, rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(found[0], first.kernel)


@each_framework
def test_a_resumed_run_is_the_uninterrupted_one(framework, folder, tmp_path, capsys):
    """Oracle: two epochs in a row; without a teacher the folder may be gone, and is not read."""
    supernet = write_supernet(tmp_path / "sn")
    options = f"{SMALL} --data-dir {folder} --framework {framework} --from-supernet {supernet}"
    options += " --save-frequency 1 --num-epochs 2 --lr-mode cosine --average 0.5"
    taught = f"{options} --teacher supernet"
    results = {name: train(text, tmp_path / name) for name, text in
               (("plain", options), ("taught", taught))}  # fmt: skip
    assert losses(results["taught"]) != losses(results["plain"])
    labels = train(f"{taught} --hard-weight 1", tmp_path / "labels")
    assert losses(labels) == losses(results["plain"])  # the teacher has no say

    def resumed(name, text):
        out = tmp_path / f"{name}-again"
        shutil.copytree(tmp_path / name, out)
        for path in out.glob("mobilenet-0002.*"):
            path.unlink()
        for path in out.glob("mobilenet-best.*"):
            path.unlink()
        first, _ = (out / "results.jsonl").read_text().splitlines()
        (out / "results.jsonl").write_text(first + "\n")
        return train(f"{text} --resume-last", out)

    again = resumed("taught", taught)
    assert losses(again) == losses(results["taught"])
    shutil.rmtree(supernet)
    again = resumed("plain", options)
    assert losses(again) == losses(results["plain"])
    assert again[1]["from_supernet"] == again[0]["from_supernet"]
    _, values = checkpoints.load(tmp_path / "plain-again" / "mobilenet-0002.states")
    assert values["from_supernet"] == again[0]["from_supernet"]
    saved = f"{tmp_path}/plain/mobilenet-0001"
    explicit = f"--resume-epoch 1 --resume-params {saved}.params --resume-states {saved}.states"
    assert losses(train(f"{options} {explicit}", tmp_path / "explicit")) == [losses(again)[1]]
    line = fails(capsys, f"{taught} {explicit}", tmp_path / "none")
    assert "sn is not a folder" in line


def test_a_run_killed_before_its_first_files_starts_again(folder, tmp_path, capsys):
    """Oracle: the uninterrupted run; only a line of results.jsonl is left."""
    supernet = write_supernet(tmp_path / "sn")
    options = f"{SMALL} --data-dir {folder} --framework pytorch --from-supernet {supernet}"
    whole = train(options + " --num-epochs 1", tmp_path / "out")
    for path in (tmp_path / "out").glob("mobilenet-*"):
        path.unlink()
    widths = ",".join(map(str, ANSWER))
    forgotten = options.replace(f"--from-supernet {supernet}", f"--configuration {widths}")
    line = fails(capsys, forgotten + " --num-epochs 1 --resume-last", tmp_path / "out")
    assert f"started from a supernet: give --from-supernet {supernet}" in line
    again = train(options + " --num-epochs 1 --resume-last", tmp_path / "out")
    assert losses(again) == losses(whole)
    assert len(lines_of(tmp_path / "out")) == 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("--data-dir digits", "holds a supernet of 3 classes, not of 10"),
        ("--num-classes 4", "holds a supernet of 3 classes, not of 4"),
        ("--configuration 0.5xMOBILENET", "--configuration is outside the search space of"),
        ("--from-supernet /nowhere", "/nowhere is not a folder"),
        ("--network mobilenet_v2", "a supernet of mobilenet_v1, not of --network mobilenet_v2"),
    ],
)
def test_mistakes_end_in_one_line(folder, tmp_path, capsys, options, message):
    """Oracle: what is wrong is in the line; status 2; nothing is written."""
    supernet = write_supernet(tmp_path / "sn")
    text = f"{SMALL} --data-dir {folder} --framework pytorch --from-supernet {supernet}"
    assert message in fails(capsys, f"{text} {options}", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_the_supernets_own_folder_is_refused(folder, tmp_path, capsys):
    """Oracle: its files are as before."""
    supernet = write_supernet(tmp_path / "sn")
    before = {path: path.read_bytes() for path in supernet.iterdir()}
    text = f"{SMALL} --data-dir {folder} --framework pytorch --from-supernet {supernet}"
    with pytest.raises(SystemExit):
        train(f"{text} --logging-file {tmp_path}/log", supernet)
    assert "results.jsonl, line 1 is not of train_final.py" in capsys.readouterr().err
    assert {path: path.read_bytes() for path in supernet.iterdir() if path.name != "log"} == before


def test_a_run_from_random_weights_is_not_continued(folder, tmp_path, capsys):
    """Oracle: what the run started from is in the line."""
    supernet = write_supernet(tmp_path / "sn")
    text = f"{SMALL} --data-dir {folder} --framework pytorch --num-epochs 1"
    train(f"{text} --configuration {','.join(map(str, ANSWER))}", tmp_path / "out")
    line = fails(capsys, f"{text} --from-supernet {supernet} --resume-last", tmp_path / "out")
    assert "the run to be resumed started from random weights" in line
