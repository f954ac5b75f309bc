"""train_final.py in several processes on the loopback address, against one process."""

import copy
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from models.gluon import final as mxnet_final
from models.gluon.runtime import mx
from models.pytorch.arrays import load_parameters
from models.pytorch.batches import batches
from models.pytorch.plain import PlainNet, convolutions, initialised
from models.pytorch.recipe import make_objective, make_optimiser
from models.recipe import averaging_share
from networks.mobilenet_v1 import network as mobilenet_v1
from pipeline.final.options import parse_options
from tests.helpers.final_runs import SMALL, lines_of, losses, train
from tests.helpers.threads import same_threads
from train_final import JITTER, LIGHTING
from utils.images.batches import DatasetBatches
from utils.images.open_dataset import open_dataset

ROOT = Path(__file__).parent.parent
PATIENCE_S = 600  # a busy machine starts five processes in minutes; not what is tested
RECIPE = "--num-epochs 2 --lr 0.02 --lr-mode cosine --label-smoothing --batch-size 8 --average 0.7"
MXNET = ["-m", "utils.mxnet_launch", "-n", "2", "-s", "1", "--launcher", "local", sys.executable]
TORCH = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
TORCH += ["-m", "tests.helpers.gloo_threads"]


def command(launcher, options, out):
    """Return the command of a run in two processes, and its environment."""
    files = ["--save-dir", str(out), "--logging-file", str(out / "log")]
    words = [sys.executable, *launcher, "train_final.py", *options.split(), *files]
    return words, same_threads("mxnet" if launcher is MXNET else "pytorch")


def run(launcher, options, out):
    """Run the script in two processes; return the lines of its results.jsonl."""
    words, environment = command(launcher, options, out)
    ended = subprocess.run(
        words,
        check=False,
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.count("best validation top-1") == 1  # one process speaks
    return lines_of(out)


def test_two_mxnet_workers_are_one_process_with_two_devices(folder, tmp_path, monkeypatch):
    """Oracle: one process on two CPU contexts of the same batch size: BatchNorm is per device."""
    options = f"{SMALL} {RECIPE} --data-dir {folder}"
    both = run(MXNET, f"{options} --kv-store dist_sync", tmp_path / "both")
    monkeypatch.setattr(mxnet_final, "contexts", lambda count: [mx.cpu(0), mx.cpu(1)])
    one = train(options, tmp_path / "one")
    np.testing.assert_allclose(losses(both), losses(one), rtol=1e-5, atol=1e-5)
    averages = [[line["averaged_val_loss"] for line in lines] for lines in (both, one)]
    np.testing.assert_allclose(*averages, rtol=1e-2)  # one's statistics are of greater batches
    found, wanted = (mx.nd.load(f"{tmp_path}/{n}/mobilenet-0002.params") for n in ("both", "one"))
    assert found.keys() == wanted.keys()
    for name, array in wanted.items():
        np.testing.assert_allclose(
            found[name].asnumpy(), array.asnumpy(), rtol=1e-5, atol=1e-5, err_msg=name
        )


def test_two_torch_processes_are_one_that_splits_its_batches(folder, tmp_path):
    """Oracle: a loop over two copies of the network, which get the mean of their gradients."""
    text = f"{SMALL} {RECIPE} --data-dir {folder} --framework pytorch"
    both = run(TORCH, text, tmp_path)
    options = parse_options("", text.split())
    train_set, val = open_dataset(folder, 32, 3, colour_jitter=JITTER, lighting=LIGHTING)
    shares = [DatasetBatches(train_set, val, 8, 0, 3, batches, rank, 2) for rank in (0, 1)]
    first = initialised(PlainNet(mobilenet_v1(3), options.configuration), options.data.seed)
    first.to(memory_format=torch.channels_last)
    nets = [first, copy.deepcopy(first)]
    optimisers = [make_optimiser(net, options.schedule, shares[0].steps) for net in nets]
    objective = make_objective(options.targets, mobilenet_v1(3), torch.device("cpu"))
    epochs, average = [], copy.deepcopy(list(first.parameters()))
    for epoch in range(2):
        means = []
        for halves in zip(*(share.train_batches(epoch) for share in shares), strict=True):
            for net, optimiser, (images, labels) in zip(nets, optimisers, halves, strict=True):
                optimiser.zero_grad()
                x = images.contiguous(memory_format=torch.channels_last)
                loss = objective(net, x, labels, 1.0).mean()
                loss.backward()
                means.append(loss.item())
            for one, other in zip(*(net.parameters() for net in nets), strict=True):
                one.grad = (one.grad + other.grad) / 2
                other.grad = one.grad
            for optimiser in optimisers:
                optimiser.step()
            share = averaging_share(0.7, optimisers[0].updates)
            for mean, new in zip(average, first.parameters(), strict=True):
                mean.data += share * (new.data - mean.data)
        epochs.append(np.mean(means))
    assert [r["train_loss"] for r in both] == pytest.approx(epochs, abs=1e-5)
    saved = PlainNet(mobilenet_v1(3), options.configuration)
    load_parameters(saved, tmp_path / "mobilenet-0002.params")
    for (name, wanted), found in zip(first.named_parameters(), saved.parameters(), strict=True):
        torch.testing.assert_close(found, wanted, rtol=1e-5, atol=1e-5, msg=name)
    load_parameters(saved, tmp_path / "mobilenet-0002.averaged.params")
    for (name, found), wanted in zip(saved.named_parameters(), average, strict=True):
        torch.testing.assert_close(found, wanted, rtol=1e-5, atol=1e-5, msg=name)
    load_parameters(saved, tmp_path / "mobilenet-0002.params")
    norms = [[norm for _, norm in convolutions(net)] for net in (saved, *nets)]
    for found, one, other in zip(*norms, strict=True):
        mean = (one.running_mean + other.running_mean) / 2
        torch.testing.assert_close(found.running_mean, mean, rtol=1e-5, atol=1e-5)


def group(leader):
    """Return {process: DMLC_ROLE} of the living processes of a process group."""
    found = {}
    for path in Path("/proc").glob("[0-9]*"):
        try:
            state, _, process_group = (path / "stat").read_text().rpartition(")")[2].split()[:3]
            if int(process_group) == leader and state != "Z":
                variables = (path / "environ").read_bytes().decode().split("\0")
                roles = [v.partition("=")[2] for v in variables if v.startswith("DMLC_ROLE=")]
                found[int(path.name)] = roles[0] if roles else "launcher"
        except OSError:  # it has just ended
            continue
    return found


@pytest.mark.parametrize("victim", ["worker", "launcher"])
def test_no_process_outlives_a_failure(folder, tmp_path, victim):
    """Oracle: the processes of the launcher's group, in /proc, a while after the kill."""
    options = f"{SMALL} --data-dir {folder} --num-epochs 9999 --log-interval 1"
    words, environment = command(MXNET, f"{options} --kv-store dist_sync", tmp_path)
    with subprocess.Popen(
        words,
        cwd=ROOT,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    ) as launcher:
        try:
            log = tmp_path / "log"
            wait_for(lambda: log.exists() and "batch 2/" in log.read_text(), PATIENCE_S)
            roles = group(launcher.pid)
            wanted = ["launcher", "scheduler", "server", "worker", "worker"]
            assert sorted(roles.values()) == wanted
            os.kill(next(p for p, role in roles.items() if role == victim), signal.SIGKILL)
            wait_for(lambda: not group(launcher.pid), PATIENCE_S)
            assert launcher.wait(PATIENCE_S) == (2 if victim == "worker" else -signal.SIGKILL)
        finally:
            for process in group(launcher.pid):
                os.kill(process, signal.SIGKILL)


def wait_for(condition, timeout_s):
    """Wait until a condition holds, at most so long."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.2)


def test_distributed_training_without_a_launcher_ends_in_one_line(folder, tmp_path, capsys):
    """Oracle: the command that starts it is in the line."""
    with pytest.raises(SystemExit):
        train(f"{SMALL} --data-dir {folder} --kv-store dist_sync", tmp_path)
    assert "python -m utils.mxnet_launch" in capsys.readouterr().err
