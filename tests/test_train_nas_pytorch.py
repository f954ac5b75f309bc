"""train_nas.py --framework pytorch: what it shares with MXNet's, and what only it can."""

import contextlib
import os
import subprocess
import sys

import numpy as np
import pytest

import train_nas
from nas.latency_table import LatencyTable
from pipeline.search.checkpoints import Position
from tests.helpers.search_runs import (
    ROOT,
    SPACE,
    arguments,
    fails_with,
    results,
    target_between,
    without_speed,
)
from tests.helpers.train_nas_in_double_precision import double_precision
from utils import checkpoints
from utils.errors import UserError

TWO_PROCESSES = ("torch.distributed.run", "--standalone", "--nproc-per-node", "2")
PYTORCH = ("--framework", "pytorch")


def python_m(*command):
    command = [sys.executable, "-m", *map(str, command)]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    return subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )


@pytest.fixture(scope="module")
def by_mxnet(model, tmp_path_factory):
    """Return the folder of an epoch of MXNet's training."""
    folder = tmp_path_factory.mktemp("mxnet") / "exp"
    train_nas.main(arguments(model, folder, epochs=1))
    return folder


def test_results_are_those_of_the_other_framework_in_kind(model, by_mxnet, tmp_path):
    train_nas.main(arguments(model, tmp_path, *PYTORCH, epochs=1))
    ours, theirs = (results(folder)[0] for folder in (tmp_path, by_mxnet))
    assert list(ours) == list(theirs)
    files = [{path.name for path in folder.iterdir()} for folder in (tmp_path, by_mxnet)]
    assert files[0] == files[1]
    table = LatencyTable.load(model)
    assert ours["latency_ms"] == pytest.approx(table.predict(ours["configuration"]))
    for name, loss in theirs["losses"].items():  # the first epoch is near log(classes)
        assert ours["losses"][name] == pytest.approx(loss, abs=0.2)


def test_mxnet_is_not_imported(model, tmp_path):
    script = (
        "import sys, train_nas; train_nas.main(sys.argv[1:]);"
        "print('torch' in sys.modules, 'mxnet' in sys.modules)"
    )
    options = arguments(model, tmp_path, *PYTORCH, epochs=1)
    command = [sys.executable, "-c", script, *options]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "True False"


def test_groups_of_images_draw_one_configuration_each(model, tmp_path, monkeypatch):
    drawn = []
    open_net = train_nas.open_net

    @contextlib.contextmanager
    def spying(options, space):
        with open_net(options, space) as net:
            step = net.step
            net.step = lambda *batch: (drawn.append(batch[2]), step(*batch))[1]
            yield net

    monkeypatch.setattr(train_nas, "open_net", spying)
    options = ["--configurations-per-batch", "4", "--AOWS", "--AOWS-warmup", "1"]
    train_nas.main(arguments(model, tmp_path, *PYTORCH, *options))
    assert len(drawn) == 10
    for widths in drawn:
        assert widths.shape == (256, len(SPACE.sizes))
        for group in np.split(widths, 4):
            assert (group == group[0]).all()
    assert len({tuple(row) for widths in drawn[:5] for row in widths}) == 20
    assert results(tmp_path)[-1]["epoch"] == 2
    arrays, _ = checkpoints.load(checkpoints.latest(tmp_path))
    assert arrays["windows/run"] == 256 // 4  # the scores' noise is of as many images together


def test_training_goes_on_while_the_target_needs_widths_never_drawn(model, tmp_path, capsys):
    """Oracle: one configuration an epoch draws few widths, 12 nearly all; the target needs some."""
    few = [*PYTORCH, "--configurations-per-batch", "1", "-b", "1000", "--resume-last"]
    target_ms = target_between(model, 1e-4)
    with pytest.raises(SystemExit):
        train_nas.main(arguments(model, tmp_path, *few, target_ms=target_ms))
    printed = capsys.readouterr()
    assert printed.out.count("no answer yet: target") == 2
    assert "of the widths drawn so far: train longer" in printed.err
    assert checkpoints.latest(tmp_path).name == "checkpoint-0002.npz"
    assert results(tmp_path) == []
    train_nas.main(arguments(model, tmp_path, *few, target_ms=target_ms, epochs=14))
    last = results(tmp_path)[-1]
    assert last["epoch"] == 14
    assert last["latency_ms"] <= last["target_ms"]


@pytest.mark.parametrize("groups", ["0", "4"])
def test_two_processes_train_as_one(model, tmp_path, groups):
    """AOWS through its low temperatures. Oracle: one process; see the script for the precision.

    At this learning rate runs stay within 1e-11; at ten times as much the order of sums decides.
    """
    options = [*PYTORCH, "--AOWS", "--AOWS-warmup", "1", "--print-freq", "1", "--lr", "0.001"]
    options += ["--configurations-per-batch", groups, "-b", "128"]
    script = "tests.helpers.train_nas_in_double_precision"
    with double_precision():
        train_nas.main(arguments(model, tmp_path / "one", *options))
    two = python_m(*TWO_PROCESSES, "-m", script, *arguments(model, tmp_path / "two", *options))
    assert two.returncode == 0, two.stderr
    assert two.stdout.count("best configuration") == 1  # the other process prints nothing
    assert {path.name for path in (tmp_path / "one").iterdir()} == {
        path.name for path in (tmp_path / "two").iterdir()
    }
    for ours, expected in zip(
        *(without_speed(results(tmp_path / name)) for name in ("two", "one")), strict=True
    ):
        assert ours["configuration"] == expected["configuration"]
        assert ours["losses"] == pytest.approx(expected["losses"], rel=1e-6)
        assert ours["score"] == pytest.approx(expected["score"], rel=1e-4)
        for name in ("accuracy", "accuracy_full"):
            assert ours[name] == pytest.approx(expected[name], abs=2 / 360)
    ours, expected = (
        checkpoints.load(tmp_path / name / "checkpoint-0002.npz")[0] for name in ("two", "one")
    )
    for name, array in expected.items():
        if name.startswith("network/"):
            np.testing.assert_allclose(ours[name], array, rtol=1e-5, atol=1e-6, err_msg=name)
    logs = [(tmp_path / name / "aows.jsonl").read_text().count("\n") for name in ("one", "two")]
    assert logs == [3, 3]  # steps of the second epoch


def test_processes_that_start_differently_are_refused(monkeypatch):
    """Oracle: what the others would add to the sum if they had the same, or another, checkpoint."""

    class Net:
        others = 1.0

        def to_arrays(self):
            return {"weight": np.ones(3, np.float32)}

        def summed(self, numbers):
            return [number * (1 + self.others) for number in numbers]

    class Search:
        def digest(self):
            return "0123"

    monkeypatch.setattr(train_nas, "world_size", lambda: 2)
    train_nas.refuse_different_starts(Net(), Search(), Position(1))
    Net.others = 0.5
    with pytest.raises(UserError, match="not all processes see the same files"):
        train_nas.refuse_different_starts(Net(), Search(), Position(1))


def test_an_error_of_all_processes_is_reported_once(model, tmp_path):
    options = [*PYTORCH, "-b", "255"]
    done = python_m(*TWO_PROCESSES, "train_nas.py", *arguments(model, tmp_path, *options))
    assert done.returncode
    errors = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert errors == ["error: --batch-size 255 does not divide into equal parts for 2 processes"]


ENDS_IN_AN_ERROR = """
import os, sys, train_nas, utils.errors
from models.pytorch.supernet import TorchSupernet

def step(*_):
    raise utils.errors.UserError("image 7 is gone")

utils.errors.PATIENCE_S = 3
if os.environ["RANK"] == "1":
    TorchSupernet.step = step
train_nas.main(sys.argv[1:])
"""


def test_an_error_of_one_process_ends_all(model, tmp_path):
    """The process with the error reports it, later than the first one would, and is heard.

    The first one waits for it meanwhile, and may then say that it has lost it.
    """
    script = tmp_path / "script.py"
    script.write_text(ENDS_IN_AN_ERROR)
    done = python_m(*TWO_PROCESSES, script, *arguments(model, tmp_path / "exp", *PYTORCH))
    assert done.returncode
    assert done.stderr.count("error: image 7 is gone") == 1  # perhaps behind a progress bar
    assert "gloo" not in done.stderr  # nor the network's own error
    assert "train_epoch" not in done.stderr  # nor a traceback of the script


@pytest.mark.parametrize(
    "option",
    [("--dtype", "bfloat16"), ("--compile",), ("--configurations-per-batch", "4")],
    ids=lambda option: option[0],
)
def test_what_mxnet_cannot_is_referred_to_pytorch(model, tmp_path, capsys, option):
    message = fails_with(capsys, arguments(model, tmp_path, *option))
    assert f"{option[0]} needs --framework pytorch" in message


def test_what_a_cpu_cannot_is_explained(model, tmp_path, capsys):
    message = fails_with(capsys, arguments(model, tmp_path, *PYTORCH, "--dtype", "float16"))
    assert "float16 needs a GPU" in message


def test_a_checkpoint_of_the_other_framework_is_refused(model, by_mxnet, capsys):
    message = fails_with(capsys, arguments(model, by_mxnet, "--resume-last", *PYTORCH))
    assert "checkpoint-0001.npz was trained with --framework mxnet" in message
