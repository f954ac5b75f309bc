"""train_nas.py --init: a search that starts at a trained network, in both frameworks."""

import hashlib
import re
import shutil

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file

import train_nas
from models.channel_order import sorted_by_importance
from models.onnx_graph import serialize
from models.parameter_names import layouts
from models.pytorch.arrays import network_arrays, save_parameters
from models.pytorch.plain import PlainNet, folded_weights
from models.trained_weights import TrainedWeights
from nas.search_space import SearchSpace
from networks import open_network
from tests.helpers.randomized import randomized
from tests.helpers.search_runs import (
    SPACE,
    arguments,
    fails_with,
    results,
    without_speed,
    write_table,
)
from utils import checkpoints

FRAMEWORKS = ("mxnet", "pytorch")
each_framework = pytest.mark.parametrize("framework", FRAMEWORKS)
RESNET = SearchSpace(
    input_size=16, classes=10, min_width=0.05, max_width=0.1, levels=2, network="resnet18"
)
UNTRAINED = ("--lr", "1e-30", "--wd", "0", "--momentum", "0")


def trained(space=SPACE, classes=10):
    network = open_network(space.network, classes)
    torch.manual_seed(0)
    return randomized(PlainNet(network, space.largest))


@pytest.fixture(scope="module")
def params(tmp_path_factory):
    path = tmp_path_factory.mktemp("trained") / "n.params"
    save_parameters(trained(), path)
    return path


def network_of(folder, framework, epoch=1):
    """Return the arrays of the widest network in a checkpoint, in order."""
    arrays, _ = checkpoints.load(folder / f"checkpoint-{epoch:04d}.npz")
    inside = "network/full." if framework == "mxnet" else "network/"
    inside = {n: a for n, a in arrays.items() if n.startswith(inside)}
    title = "ours in MXNet" if framework == "mxnet" else "ours in PyTorch"
    prefix = "network/full." if framework == "mxnet" else "network/"
    return [inside[prefix + name] for name in layouts(SPACE.description)[title]]


@each_framework
def test_the_widest_network_is_the_files_with_sorted_channels(model, params, framework, tmp_path):
    """Oracle: the file's arrays, sorted; training at a learning rate of nothing changes none."""
    options = ["--framework", framework, "--init", str(params), *UNTRAINED]
    train_nas.main(arguments(model, tmp_path / "exp", *options, epochs=1))
    wanted = TrainedWeights.of(SPACE.description, list(network_arrays(trained()).values()))
    wanted = sorted_by_importance(wanted).arrays()
    found = network_of(tmp_path / "exp", framework)
    for one, other in zip(found, wanted, strict=True):
        if one.ndim > 1:
            np.testing.assert_array_equal(one, other)
    (line,) = results(tmp_path / "exp")
    digest = hashlib.sha256(params.read_bytes()).hexdigest()
    assert line["init"] == {"file": "n.params", "sha256": digest}


@each_framework
def test_a_resumed_run_does_not_need_the_file_and_is_exact(model, params, framework, tmp_path):
    """Oracle: the run that was not interrupted, bit for bit."""
    file = str(shutil.copy(params, tmp_path))
    options = ["--framework", framework, "--init", file, "--keep", "3", "-b", "128"]
    train_nas.main(arguments(model, tmp_path / "whole", *options, epochs=2))
    shutil.copytree(tmp_path / "whole", tmp_path / "cut")
    (tmp_path / "cut" / "checkpoint-0002.npz").unlink()
    (tmp_path / "n.params").unlink()
    train_nas.main(arguments(model, tmp_path / "cut", *options, "--resume-last", epochs=2))
    whole, cut = (results(tmp_path / name) for name in ("whole", "cut"))
    assert without_speed(cut) == without_speed(whole)
    assert [line["init"]["file"] for line in cut] == ["n.params"] * 2
    (one, values), (other, same) = (
        checkpoints.load(tmp_path / name / "checkpoint-0002.npz") for name in ("whole", "cut")
    )
    assert values == same
    assert values["init"] == cut[0]["init"]
    for name, array in one.items():
        np.testing.assert_array_equal(other[name], array, err_msg=name)


def test_another_file_than_the_trainings_is_refused(model, params, tmp_path, capsys):
    options = ["--framework", "pytorch", *UNTRAINED]
    folder = tmp_path / "exp"
    train_nas.main(arguments(model, folder, *options, "--init", str(params), epochs=1))
    message = fails_with(
        capsys, arguments(model, folder, *options, "--resume-last", "--init", "other.pt")
    )
    assert re.search(r"was trained from n\.params \(SHA-256 \w{12}…\), not from other\.pt", message)
    moved = tmp_path / "moved.params"
    moved.write_bytes(params.read_bytes())
    train_nas.main(arguments(model, folder, *options, "--resume-last", "--init", str(moved)))
    namesake = tmp_path / "other" / "n.params"
    namesake.parent.mkdir()
    save_parameters(trained(classes=7), namesake)
    message = fails_with(
        capsys, arguments(model, folder, *options, "--resume-last", "--init", str(namesake))
    )
    assert f"not from {namesake}: leave out --init" in message
    train_nas.main(arguments(model, tmp_path / "scratch", *options, epochs=1))
    assert "init" not in results(tmp_path / "scratch")[0]
    options += ["--resume-last", "--init", str(params)]
    message = fails_with(capsys, arguments(model, tmp_path / "scratch", *options))
    assert "was trained from random weights, not from" in message


def test_an_onnx_file_and_other_classes_are_started_from(model, tmp_path, capsys):
    """The classifier keeps its initial weights. Oracle: those of a run from scratch."""
    net = trained(classes=7)
    (tmp_path / "n.onnx").write_bytes(serialize(folded_weights(net), None, 16))
    options = ["--framework", "pytorch", *UNTRAINED]
    train_nas.main(
        arguments(model, tmp_path / "a", *options, "--init", str(tmp_path / "n.onnx"), epochs=1)
    )
    assert (
        "n.onnx has 7 classes, the data 10: the classifier starts anew" in capsys.readouterr().out
    )
    train_nas.main(arguments(model, tmp_path / "b", *options, epochs=1))
    ours, scratch = (network_of(tmp_path / name, "pytorch") for name in "ab")
    for one, other in zip(ours[-2:], scratch[-2:], strict=True):
        np.testing.assert_allclose(one, other, atol=1e-20)
    assert not np.array_equal(ours[0], scratch[0])
    # The scale that re-estimated BatchNorms have is the deviation of what they normalise.
    assert all((scale > 0).all() for scale in ours[1:-2:5])


def test_a_supernets_channels_stay_in_order(model, params, tmp_path, capsys):
    """Oracle: the checkpoint's own arrays."""
    options = ["--framework", "pytorch", *UNTRAINED]
    train_nas.main(arguments(model, tmp_path / "a", *options, epochs=1))
    before = network_of(tmp_path / "a", "pytorch")
    file = tmp_path / "a" / "checkpoint-0001.npz"
    train_nas.main(arguments(model, tmp_path / "b", *options, "--init", str(file), epochs=1))
    assert "channels in their order" in capsys.readouterr().out
    for one, other in zip(network_of(tmp_path / "b", "pytorch"), before, strict=True):
        if one.ndim > 1:
            np.testing.assert_array_equal(one, other)


@each_framework
def test_state_dictionaries_of_torchvision_start_a_resnet(framework, tmp_path):
    table = write_table(tmp_path / "model.jsonl", RESNET)
    net = trained(RESNET)
    names = layouts(RESNET.description)["torchvision's and timm's ResNets"]
    saved = dict(zip(names, network_arrays(net).values(), strict=True))
    save_file(saved, tmp_path / "n.safetensors")
    options = ["--framework", framework, "--init", str(tmp_path / "n.safetensors"), "-b", "128"]
    options = arguments(table, tmp_path / "exp", *options, target_ms=1.0, epochs=1)
    train_nas.main(options)
    (line,) = results(tmp_path / "exp")
    assert line["init"]["file"] == "n.safetensors"
    assert np.isfinite(line["accuracy_full"])


def test_what_does_not_fit_ends_in_one_line_before_there_is_a_folder(model, tmp_path, capsys):
    """All that can be wrong with a file is in tests/models/test_trained_files.py."""
    save_parameters(
        PlainNet(SPACE.description, SPACE.description.scaled(0.2)), tmp_path / "w.params"
    )
    torch.save({"weight": torch.ones(3), "code": print}, tmp_path / "code.pt")
    for name, message in {
        "w.params": "channels, in the widest network of the search space it has 8: choose --max-",
        "code.pt": "is damaged or holds more than arrays",
        "none.pt": "is not a file",
    }.items():
        options = ["--framework", "pytorch", "--init", str(tmp_path / name)]
        found = fails_with(capsys, arguments(model, tmp_path / "exp", *options))
        assert name in found
        assert message in found
    assert not (tmp_path / "exp").exists()
