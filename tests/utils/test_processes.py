"""Which processes train together, and that a worker ends with its parent."""

import os
import subprocess
import sys

import pytest

from utils.processes import LAUNCHER, TORCHRUN, local_rank, mxnet_role, rank, world_size

COMPLETE = {
    "RANK": "3",
    "WORLD_SIZE": "4",
    "LOCAL_RANK": "1",
    "MASTER_ADDR": "host",
    "MASTER_PORT": "29500",
}


def set_only(monkeypatch, names, values):
    for name in names:
        monkeypatch.delenv(name, raising=False)
    for name, value in values.items():
        monkeypatch.setenv(name, value)


def test_torchrun_tells_the_rank(monkeypatch):
    set_only(monkeypatch, TORCHRUN, COMPLETE)
    assert (rank(), world_size(), local_rank()) == (3, 4, 1)


@pytest.mark.parametrize("missing", TORCHRUN)
@pytest.mark.parametrize("value", [None, ""])
def test_an_incomplete_set_is_one_process(monkeypatch, missing, value):
    """Oracle: what a process on its own is."""
    rest = {name: COMPLETE[name] for name in COMPLETE if name != missing}
    set_only(monkeypatch, TORCHRUN, rest | ({} if value is None else {missing: value}))
    assert (rank(), world_size(), local_rank()) == (0, 1, 0)


@pytest.mark.parametrize("wrong", ["x", "-1", "4", "1.5"])
def test_a_rank_that_cannot_be_is_one_process(monkeypatch, wrong):
    set_only(monkeypatch, TORCHRUN, COMPLETE | {"RANK": wrong})
    assert (rank(), world_size()) == (0, 1)


def test_mxnet_s_launcher_tells_the_role(monkeypatch):
    """Oracle: the variables of ps-lite; DMLC_ROLE alone would end MXNet's import in an error."""
    set_only(monkeypatch, ("DMLC_ROLE", *LAUNCHER), {"DMLC_ROLE": "worker"})
    assert mxnet_role() is None
    set_only(monkeypatch, (), dict.fromkeys(LAUNCHER, "1"))
    assert mxnet_role() == "worker"
    set_only(monkeypatch, (), {"DMLC_ROLE": "x"})
    assert mxnet_role() is None


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_a_worker_ends_whose_parent_left_before_it_watched(method, tmp_path):
    """Oracle: the worker's end, which closes the pipe that both write to."""
    script = tmp_path / "parent_leaves.py"
    script.write_text(
        "import multiprocessing, os, sys, time\n"
        "def work(parent):\n"
        "    while os.getppid() == parent: time.sleep(0.01)\n"
        "    from utils.processes import become_worker\n"
        "    print('alone', flush=True)\n"
        "    become_worker()\n"
        "    time.sleep(1000)\n"
        "if __name__ == '__main__':\n"
        "    context = multiprocessing.get_context(sys.argv[1])\n"
        "    context.Process(target=work, args=[os.getpid()]).start()\n"
        "    time.sleep(1)\n"
        "    os._exit(0)\n"
    )
    command = [sys.executable, script, method]
    environment = os.environ | {"PYTHONPATH": os.getcwd()}
    output = subprocess.run(
        command, env=environment, stdout=subprocess.PIPE, text=True, timeout=60, check=True
    ).stdout
    assert output == "alone\n"
