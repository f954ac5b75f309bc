"""What a network of train_final.py starts from, cut out of a folder of train_nas.py."""

import json
import shutil

import numpy as np
import pytest

from models.arrays import NETWORK, with_prefix
from models.trained_weights import TrainedWeights
from nas.search_space import SearchSpace
from pipeline.final.options import parse_options
from pipeline.final.supernet import Source, open_source, open_supernet
from tests.helpers.supernet_folders import ANSWER, SPACE, drawn_arrays, write_supernet
from utils.digest import digest
from utils.errors import UserError
from utils.json_lines import write_lines

RESNET = SearchSpace(
    input_size=32, classes=3, min_width=0.05, max_width=0.1, levels=2, network="resnet18"
)
FRAMEWORKS = ("mxnet", "pytorch")


def options_of(text):
    return parse_options("", text.split())


@pytest.fixture
def folder(tmp_path):
    return write_supernet(tmp_path / "sn")


@pytest.mark.parametrize("space", [SPACE, RESNET], ids=["mobilenet_v1", "resnet18"])
def test_a_sub_network_is_that_of_the_slimmable_nets(space):
    """Oracle: cut_out of both frameworks' slimmable nets, which hold the same weights."""
    import torch

    from models.gluon import slimmable as gluon
    from models.gluon.arrays import load_weights as load_gluon
    from models.pytorch import slimmable
    from models.pytorch.arrays import load_weights, network_arrays

    weights = TrainedWeights.of(space.description, drawn_arrays(space))
    for configuration in (space.smallest, space.draw_uniform(np.random.default_rng(0))):
        found = weights.cut_out(configuration).arrays()
        net = slimmable.SlimmableNet(space.description, space.smallest, space.largest)
        load_weights(net.wide, weights)
        with torch.no_grad():
            of_torch = network_arrays(slimmable.cut_out(net, configuration)).values()
        net = gluon.SlimmableNet(space.description, space.smallest, space.largest)
        net.initialize()
        load_gluon(net.full, weights)
        plain = gluon.cut_out(net, configuration)
        of_gluon = [p.data().asnumpy() for p in plain.collect_params().values()]
        for one, other, third in zip(found, of_torch, of_gluon, strict=True):
            np.testing.assert_array_equal(one, other)
            np.testing.assert_array_equal(one, third)


def test_a_width_above_the_networks_is_named():
    """Oracle: the layer, by hand."""
    weights = TrainedWeights.of(SPACE.description, drawn_arrays())
    with pytest.raises(UserError, match=r"width 48 of .* is above the net's, 40"):
        weights.cut_out((*SPACE.largest[:4], 48, *SPACE.largest[5:]))


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_the_last_checkpoint_of_either_framework_is_read(tmp_path, framework):
    """Oracle: the arrays that were written; the file's digest; later steps count."""
    write_supernet(tmp_path / "sn", framework, epoch=3, seed=1)
    folder = write_supernet(tmp_path / "sn", framework, epoch=3, step=20)
    supernet = open_supernet(folder, "mobilenet_v1")
    checkpoint = folder / "checkpoint-0003-000020.npz"
    assert supernet.source == Source(str(folder), 3, digest(checkpoint), 20)
    for one, other in zip(supernet.weights.arrays(), drawn_arrays(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_the_answer_and_the_teacher_are_the_folders(folder):
    """Oracle: the last line of results.jsonl; the greatest widths of the space."""
    options, supernet = open_source(
        options_of(f"--from-supernet {folder} --teacher supernet"), begun=None
    )
    assert options.configuration == ANSWER
    assert options.targets.teacher_configuration == SPACE.largest
    assert options.source == supernet.source
    text = f"--from-supernet {folder} --configuration 0.05xMOBILENET"
    assert open_source(options_of(text), None)[0].configuration == SPACE.smallest


def test_a_resumed_run_reads_the_folder_only_for_a_teacher(folder):
    """Oracle: the folder is gone, or holds a later checkpoint."""
    begun = ANSWER, open_supernet(folder, "mobilenet_v1").source
    write_supernet(folder, epoch=5, seed=1)
    taught = f"--from-supernet {folder} --teacher supernet"
    options, supernet = open_source(options_of(taught), begun)
    assert (supernet.source.epoch, options.source) == (4, begun[1])
    np.testing.assert_array_equal(supernet.weights.arrays()[0], drawn_arrays()[0])
    write_supernet(folder, seed=1)
    for text in (taught, f"--from-supernet {folder}"):
        with pytest.raises(UserError, match=r"-0004\.npz is not the checkpoint that the run"):
            open_source(options_of(text), begun)
    write_supernet(folder)
    moved = folder.rename(folder.with_name("moved"))
    assert open_source(options_of(f"--from-supernet {moved}"), begun)[0].source == begun[1]
    moved.rename(folder)
    shutil.rmtree(folder)
    options, supernet = open_source(options_of(f"--from-supernet {folder}"), begun)
    assert supernet is None
    assert (options.configuration, options.source) == begun
    folder.mkdir()
    with pytest.raises(UserError, match=r"-0004\.npz is missing, which the run to be resumed"):
        open_source(options_of(taught), begun)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (None, "started from random weights, not from"),
        (Source("other/one", 1, "0" * 64), "started from one, not from"),
    ],
)
def test_another_start_than_the_resumed_runs_is_refused(folder, source, message):
    """Oracle: both are in the message."""
    with pytest.raises(UserError, match=message):
        open_source(options_of(f"--from-supernet {folder}"), (ANSWER, source))


def test_without_the_option_a_resumed_source_is_kept(folder):
    """Oracle: the source that was given; no file is read."""
    source = Source("gone", 2, "0" * 64)
    options = options_of("--configuration MOBILENET")
    assert open_source(options, (ANSWER, source))[0].source == source
    assert open_source(options, None) == (options, None)


def damaged(folder):
    path = folder / "checkpoint-0004.npz"
    path.write_bytes(path.read_bytes()[:-200])


def of_another_program(folder):
    import json

    (folder / "checkpoint-0004.npz").unlink()
    (folder / "results.jsonl").write_text(json.dumps({"epoch": 1, "train_loss": 1.0}) + "\n")


def without_a_finished_epoch(folder):
    (folder / "checkpoint-0004.npz").unlink()
    write_supernet(folder, epoch=0, step=7)


def of_nothing(folder):
    shutil.rmtree(folder)


def lacking_an_array(folder):
    from utils import checkpoints

    path = folder / "checkpoint-0004.npz"
    arrays, values = checkpoints.load(path)
    del arrays[with_prefix(NETWORK, {"classifier.bias": 0}).popitem()[0]]
    checkpoints.save(path, arrays, values)


def with_a_number_for_a_network(folder):
    from utils import checkpoints

    path = folder / "checkpoint-0004.npz"
    arrays, values = checkpoints.load(path)
    values["search_space"]["network"] = 5
    checkpoints.save(path, arrays, values)


@pytest.mark.parametrize(
    ("spoil", "options", "message"),
    [
        (
            with_a_number_for_a_network,
            "",
            "checkpoint-0004.npz: network: expected `str`, got `int`",
        ),
        (of_nothing, "", "is not a folder: expected an --expname of train_nas.py"),
        (of_another_program, "", "holds no checkpoint of train_nas.py"),
        (without_a_finished_epoch, "", "no finished epoch of a supernet, only checkpoint-0000-"),
        (damaged, "", "checkpoint-0004.npz is not a checkpoint or is damaged"),
        (lacking_an_array, "", "checkpoint-0004.npz does not fit the network: it lacks classif"),
        (
            lambda f: (f / "results.jsonl").unlink(),
            "",
            "holds no answer after epoch 4: give --configuration",
        ),
        (
            lambda f: (f / "results.jsonl").write_text('{"epoch": 1}\n'),
            "",
            "line 1 is not of train_nas.py",
        ),
        (None, "--network resnet18", "holds a supernet of mobilenet_v1, not of --network resnet18"),
        (
            None,
            "--configuration MOBILENET",
            "--configuration is outside the search space of .*: width 32 is not in layer 1: choose",
        ),
    ],
)
def test_what_does_not_fit_is_named(folder, spoil, options, message):
    """Oracle: the folder or the file, and what is wrong, are in the message."""
    if spoil:
        spoil(folder)
    with pytest.raises(UserError, match=message):
        open_source(options_of(f"--from-supernet {folder} {options}"), None)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("", "--configuration is missing, and so is --from-supernet"),
        ("--configuration MOBILENET --teacher supernet", "--teacher supernet needs --from-super"),
        (
            "--from-supernet f --teacher supernet --teacher-configuration MOBILENET",
            "is the widest network: no --teacher-configuration",
        ),
        (
            "--from-supernet f --resume-epoch 1 --resume-params p",
            "--from-supernet and --resume-params both say where the weights come from",
        ),
    ],
)
def test_options_that_contradict_each_other_are_refused(options, message):
    """Oracle: the options are in the message."""
    with pytest.raises(UserError, match=message):
        options_of(options)


def test_the_answer_is_the_last_of_the_checkpoints_epoch(folder):
    """Oracle: lines 4, 3 and 4, 3: an earlier checkpoint was asked again, without training."""
    results = folder / "results.jsonl"
    answer = json.loads(results.read_text().splitlines()[-1])
    others = [answer | {"epoch": 3, "configuration": list(SPACE.smallest)}]
    write_lines(results, [answer, *others])
    assert open_source(options_of(f"--from-supernet {folder}"), None)[0].configuration == ANSWER
    write_lines(results, others)
    with pytest.raises(UserError, match="holds no answer after epoch 4: give --configuration"):
        open_source(options_of(f"--from-supernet {folder}"), None)


def test_another_input_size_than_the_supernets_is_warned_of(folder, capsys):
    open_source(options_of(f"--from-supernet {folder} --input-size 64"), None)
    size = SPACE.input_size
    assert f"--input-size {size}?" in capsys.readouterr().err
    open_source(options_of(f"--from-supernet {folder} --input-size {size}"), None)
    assert not capsys.readouterr().err
