"""The benchmark of a faster ResNet-18: the page's commands, and a pruned network trained on."""

import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.torch import save_file

from benchmarks import faster_resnet
from benchmarks.retraining import fine_tune_pruned
from models.pytorch.plain import PlainNet, initialised
from models.trained_files import read_trained
from networks import open_network

NETWORK = str(Path(__file__).parents[1] / "helpers" / "networks" / "basic.py")


@pytest.fixture
def seed(tmp_path, monkeypatch):
    monkeypatch.setattr(faster_resnet, "FOLDER", tmp_path)
    return faster_resnet.Seed(3)


def test_the_commands_of_the_page_build_on_each_other_in_a_folder_of_the_seed(seed):
    """Oracle: the page's order; what a command reads, one before it has written."""
    scripts = [command[1] for command in seed.page.values()]
    assert scripts == [
        "train_final.py", "latency.py", "latency.py", "train_nas.py", "train_final.py", "latency.py"
    ]  # fmt: skip
    folder = str(seed.folder)
    named = [[w for w in c if w.startswith("output") or folder in w] for c in seed.page.values()]
    assert all(folder in word for words in named for word in words)
    train, generate, fit, search, tune, _ = named
    assert Path(search[0]).parent == Path(train[0])
    assert (fit[0], search[1], tune[0]) == (generate[0], fit[1], search[2])
    assert seed.page["search"][-2:] == ["--seed", "3"]
    assert "--seed" not in seed.page["fit"]


def test_what_is_done_is_not_done_again(seed):
    done = []
    for _ in range(2):
        seed.do("prune", done.append, 1)
    assert done == [1]
    assert list(seed.seconds()) == ["prune"]


@pytest.mark.parametrize("fast_enough", [1, 5, 19, 20])
def test_the_first_step_of_pruning_that_is_fast_enough_is_kept(seed, monkeypatch, fast_enough):
    """Oracle: by hand: a step takes as many ms as it leaves channels; results come sorted."""
    lines = [[40 - step] for step in range(21)]
    (seed.folder / "widths.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    asked = []
    monkeypatch.setattr(seed, "_widths", lambda: (40 - fast_enough,))
    monkeypatch.setattr(seed, "_prune", lambda *options: asked.append(options))

    def measure(*arguments):
        widths = sorted(int(text) for text in arguments[6:])
        return [{"configuration": [width], "latency_ms": width} for width in widths]

    monkeypatch.setattr(faster_resnet, "measure", measure)
    seed._choose()
    (options,) = asked
    assert options[:3] == ("kept.jsonl", "--steps", fast_enough)


def test_a_pruned_network_is_trained_on_from_its_weights(tmp_path):
    """Oracle: updates too small to see leave the kernels as they were."""
    network = open_network(NETWORK, 10)
    widths = tuple(3 + number for number in range(len(network.widths)))
    net = initialised(PlainNet(network, widths), seed=5)
    save_file(net.state_dict(), tmp_path / "pruned.safetensors")
    options = ["--framework", "pytorch", "--network", NETWORK, "--data-dir", "digits"]
    options += ["--input-size", "8", "--num-gpus", "0", "--dtype", "float32", "-j", "0"]
    options += ["--num-epochs", "1", "--lr", "1e-12", "--batch-size", "256"]
    options += ["--from-supernet", str(tmp_path / "pruned.safetensors")]
    options += ["--configuration", ",".join(map(str, widths)), "--save-dir", str(tmp_path / "out")]
    fine_tune_pruned.main([*options, "--logging-file", str(tmp_path / "log")])
    before, after = (
        read_trained(path, network, widths)[0]
        for path in (tmp_path / "pruned.safetensors", tmp_path / "out" / "mobilenet-0001.params")
    )
    for ours, expected in zip(after.convolutions, before.convolutions, strict=True):
        np.testing.assert_allclose(ours.kernel, expected.kernel, rtol=1e-5, atol=1e-7)
