"""PyTorch's device, precision and processes on a machine whose GPUs are counted by hand."""

import pytest
import torch

from utils.errors import UserError
from utils.torch_runtime import autocast, check_dtype, joined_processes, open_device

CPU = torch.device("cpu")


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
    torchrun = {"RANK": 2, "WORLD_SIZE": 4, "LOCAL_RANK": 2, "MASTER_ADDR": "h", "MASTER_PORT": 1}
    for name, value in torchrun.items():
        monkeypatch.setenv(name, str(value))
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
