"""PyTorch's device, precision and processes on a machine whose GPUs are counted by hand."""

import datetime
import multiprocessing
import os
import socket
import time

import pytest
import torch

from models.pytorch import runtime as torch_runtime
from models.pytorch.runtime import (
    autocast,
    check_dtype,
    joined_processes,
    lost_processes_named,
    open_device,
)
from utils.errors import UserError

TORCHRUN = {"RANK": 2, "WORLD_SIZE": 4, "LOCAL_RANK": 2, "MASTER_ADDR": "h", "MASTER_PORT": 1}
CPU = torch.device("cpu")


def set_torchrun(monkeypatch):
    for name, value in TORCHRUN.items():
        monkeypatch.setenv(name, str(value))


def test_no_gpus_means_the_cpu():
    assert open_device(0) == CPU


def test_the_default_is_a_gpu_where_there_is_one():
    assert open_device().type == ("cuda" if torch.cuda.is_available() else "cpu")


def test_more_gpus_than_one_process_takes_need_torchrun():
    with pytest.raises(UserError, match="torchrun --nproc-per-node 4"):
        open_device(4)


def test_missing_gpus_are_counted(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    set_torchrun(monkeypatch)
    with pytest.raises(UserError, match="GPU 3 was asked for, PyTorch sees 2"):
        open_device(1)


def test_float16_needs_a_gpu():
    assert check_dtype("bfloat16", CPU) == "bfloat16"
    assert check_dtype("float16", torch.device("cuda", 0)) == "float16"
    with pytest.raises(UserError, match="float16 needs a GPU"):
        check_dtype("float16", CPU)


@pytest.mark.parametrize(("dtype", "product"), [("float32", "float32"), ("bfloat16", "bfloat16")])
def test_autocast_chooses_the_precision_of_products(dtype, product):
    """Oracle: the type of a matrix product of single-precision factors."""
    factor = torch.ones(2, 2)
    with autocast(CPU, dtype):
        assert (factor @ factor).dtype == getattr(torch, product)


def test_without_torchrun_there_is_one_process(monkeypatch):
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    with joined_processes(CPU) as processes:
        assert processes == (0, 1)


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (RuntimeError("[…] Timed out waiting 1800000ms for recv"), "not answered for 30 minutes"),
        (torch.distributed.DistStoreError("Timed out after 1801 seconds"), "for 30 minutes"),
        (RuntimeError("[…] Connection closed by peer"), "has ended, for its own reason"),
    ],
)
def test_a_lost_process_is_one_line(monkeypatch, error, message):
    """Oracle: the text of gloo's own errors, seen with a process that was stopped or killed."""
    with pytest.raises(type(error)), lost_processes_named():  # a process on its own
        raise error
    set_torchrun(monkeypatch)
    with pytest.raises(UserError, match=message), lost_processes_named():
        raise error
    with pytest.raises(RuntimeError, match="shapes"), lost_processes_named():
        raise RuntimeError("shapes disagree")


def answer_late(rank, port, ends):
    os.environ.update({name: str(value) for name, value in TORCHRUN.items()})
    os.environ.update(RANK=str(rank), WORLD_SIZE="2", MASTER_ADDR="127.0.0.1", MASTER_PORT=port)
    torch_runtime.PATIENCE = datetime.timedelta(seconds=1)
    try:
        with joined_processes(CPU):
            if rank:
                time.sleep(5)
            torch.distributed.all_reduce(torch.ones(1))
    except UserError as error:
        ends.put((rank, str(error)))


def test_a_silent_process_is_not_waited_for_without_end():
    """Oracle: the line of the process that waits, with a patience of a second."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    context = multiprocessing.get_context("fork")
    ends = context.Queue()
    processes = [context.Process(target=answer_late, args=(rank, port, ends)) for rank in range(2)]
    for process in processes:
        process.start()
    waited = "another process of this training has not answered for 0.0166667 minutes"
    assert ends.get(timeout=60) == (0, waited)
    for process in processes:
        process.kill()
        process.join()
