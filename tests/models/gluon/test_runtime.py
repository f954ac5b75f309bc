import numpy as np
import pytest

from models.gluon.runtime import check_dtype, contexts, joined_processes, mx
from utils.errors import UserError
from utils.processes import ALONE


def test_numpy_has_the_name_that_mxnet_asks_for():
    assert vars(np)["bool"] is bool
    assert mx.nd.array([True, False], dtype="bool").asnumpy().dtype == bool


def test_no_gpus_means_the_cpu():
    assert contexts(0) == [mx.cpu()]


def test_default_contexts_are_all_gpus_or_the_cpu():
    present = mx.context.num_gpus()
    assert contexts() == ([mx.gpu(i) for i in range(present)] or [mx.cpu()])


def test_more_gpus_than_there_are_is_an_error_that_counts_them():
    present = mx.context.num_gpus()
    with pytest.raises(
        UserError, match=rf"{present + 1} GPUs were asked for, MXNet sees {present}"
    ):
        contexts(present + 1)


def test_a_negative_number_of_gpus_is_an_error():
    with pytest.raises(UserError, match="-1"):
        contexts(-1)


def test_float16_needs_a_gpu_on_every_device():
    assert check_dtype("float16", [mx.gpu(0), mx.gpu(1)]) == "float16"
    assert check_dtype("float32", [mx.cpu()]) == "float32"
    with pytest.raises(UserError, match="float16 needs a GPU"):
        check_dtype("float16", [mx.gpu(0), mx.cpu()])


def test_an_unknown_dtype_is_named():
    with pytest.raises(UserError, match="'fp17'"):
        check_dtype("fp17", [mx.cpu()])


def test_without_a_launcher_there_is_one_process(monkeypatch):
    """Oracle: MXNet's own name of what adds up the gradients; a message that says what to start."""
    monkeypatch.delenv("DMLC_ROLE", raising=False)
    with joined_processes("device") as joined:
        assert joined == (ALONE, "device")
    with (
        pytest.raises(UserError, match=r"dist_sync needs .* utils\.mxnet_launch"),
        joined_processes("dist_sync"),
    ):
        pass
