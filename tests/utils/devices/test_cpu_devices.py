"""The runtimes of a processor: the same three verbs, real networks, an injected clock."""

import sys

import pytest
import torch

from models.mobilenet_v1 import scaled_widths
from models.network import Network
from utils import devices
from utils.devices import open_device
from utils.devices.workload import CLOCKS, Workload, cpu_name, cpu_state
from utils.errors import UserError

NAMES = ("cpu", "onnxruntime", "openvino")
WORKLOAD = Workload(batch_size=2, input_size=32, classes=10)
SMALL, LARGE = (Network(scaled_widths(multiplier), 32, 10) for multiplier in (0.2, 1.5))


@pytest.fixture(params=NAMES)
def name(request):
    pytest.importorskip({"cpu": "torch"}.get(request.param, request.param))
    return request.param


@pytest.mark.parametrize("clock", ["wall", "cpu"])
def test_networks_are_prepared_run_and_released(name, clock):
    device = open_device(name, Workload(2, 32, 10, clock=clock))
    handles = [device.prepare(network) for network in (SMALL, LARGE)]
    assert all(device.run(handle) > 0 for handle in [*handles, *handles])
    for handle in handles:
        device.release(handle)


def test_times_are_the_clocks(name, monkeypatch):
    ticks = iter(range(0, 100, 7))
    monkeypatch.setitem(CLOCKS, "wall", lambda: next(ticks))
    device = open_device(name, WORKLOAD)
    handle = device.prepare(SMALL)
    assert [device.run(handle) for _ in range(3)] == [7, 7, 7]


def test_descriptions_say_what_ran(name):
    description = open_device(name, WORKLOAD).describe()
    package = {"cpu": "torch"}.get(name, name)
    assert package in description["versions"]
    assert description["device_name"] == cpu_name() != ""
    assert set(description) == {"device_name", "runtime", "versions"}


def test_the_state_is_the_load(name):
    assert set(open_device(name, WORKLOAD).state()) == set(cpu_state()) == {"load_average"}


def test_torch_uses_the_threads_that_are_asked_for():
    before = torch.get_num_threads()
    try:
        open_device("cpu", Workload(threads=2, input_size=32, batch_size=1))
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize("name", ["onnxruntime", "openvino"])
def test_half_precision_is_refused_where_it_would_be_single(name):
    pytest.importorskip(name)
    with pytest.raises(UserError, match=f"device {name} times fp32 only"):
        open_device(name, Workload(dtype="fp16"))


def test_half_precision_in_pytorch_runs_with_a_warning(capsys):
    device = open_device("cpu", Workload(1, 32, 10, "fp16"))
    assert "half precision on a CPU" in capsys.readouterr().err
    net = device.prepare(SMALL)
    assert {parameter.dtype for parameter in net.parameters()} == {torch.float16}
    assert device.run(net) > 0


def test_unknown_devices_are_named():
    with pytest.raises(UserError, match="unknown device 'tpu': choose from cpu, gpu"):
        open_device("tpu", WORKLOAD)


def test_a_missing_package_for_graphs_is_named(monkeypatch):
    pytest.importorskip("onnxruntime")
    for module in ("onnx_cpu", "onnxruntime_cpu"):
        monkeypatch.delitem(sys.modules, f"utils.devices.{module}", raising=False)
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(UserError, match="device onnxruntime needs the Python package 'onnx'"):
        open_device("onnxruntime", WORKLOAD)


def test_an_error_inside_a_runtime_is_not_taken_for_a_missing_package(monkeypatch):
    def broken(workload):
        raise RuntimeError("out of memory")

    torch_cpu = pytest.importorskip("utils.devices.torch_cpu")
    monkeypatch.setattr(torch_cpu, "TorchCpu", broken)
    with pytest.raises(RuntimeError, match="out of memory"):
        devices.open_device("cpu", WORKLOAD)
