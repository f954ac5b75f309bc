"""The runtimes of a processor: the same three verbs, real networks, an injected clock."""

import os
import resource
import sys
from pathlib import Path

import pytest
import torch

from models.network import Network
from networks.mobilenet_v1 import network as mobilenet_v1
from utils import devices
from utils.devices import cpu_runtimes, open_device
from utils.devices.cpu_runtimes import free_memory_bytes
from utils.devices.workload import CLOCKS, Workload, cpu_name, cpu_state
from utils.errors import UserError

PACKAGES = {
    "cpu": "torch",
    "litert": "ai_edge_litert",
    "onnxruntime": "onnxruntime",
    "openvino": "openvino",
}
WORKLOAD = Workload(batch_size=2, input_size=32, classes=10)
SMALL, LARGE = (
    Network(mobilenet_v1(10), mobilenet_v1(2).scaled(multiplier), 32) for multiplier in (0.2, 1.5)
)


@pytest.fixture(params=PACKAGES)
def name(request):
    pytest.importorskip(PACKAGES[request.param])
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
    assert PACKAGES[name].replace("_", "-") in description["versions"]
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


@pytest.mark.parametrize("name", ["litert", "onnxruntime", "openvino"])
def test_half_precision_is_refused_where_it_would_be_single(name):
    pytest.importorskip(PACKAGES[name])
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


def test_a_missing_optional_package_is_named_with_the_file_that_brings_it(monkeypatch):
    """Oracle: the file is in the repository and names the package."""
    monkeypatch.delitem(sys.modules, "utils.devices.litert_cpu", raising=False)
    for module in ("ai_edge_litert", "ai_edge_litert.interpreter"):
        monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(UserError) as caught:
        open_device("litert", WORKLOAD)
    message, _, file = str(caught.value).rpartition(" -r ")
    assert message == "device litert needs the Python package 'ai_edge_litert': pip install"
    assert "\nai-edge-litert" in (Path(devices.__file__).parents[2] / file).read_text()


def test_an_error_inside_a_runtime_is_not_taken_for_a_missing_package(monkeypatch):
    def broken(workload):
        raise RuntimeError("out of memory")

    torch_cpu = pytest.importorskip("utils.devices.torch_cpu")
    monkeypatch.setattr(torch_cpu, "TorchCpu", broken)
    with pytest.raises(RuntimeError, match="out of memory"):
        devices.open_device("cpu", WORKLOAD)


def test_the_free_memory_is_that_of_the_container(tmp_path, monkeypatch):
    """Oracle: by hand: 1,000 bytes of which 600 are used, 100 of these by a cache of files."""
    monkeypatch.setattr(cpu_runtimes, "_available_bytes", lambda: 2000)
    monkeypatch.setattr(resource, "getrlimit", lambda kind: (resource.RLIM_INFINITY,) * 2)
    texts = {"max": "1000\n", "current": "600\n", "stat": "anon 5\ninactive_file 100\n"}
    for name, text in texts.items():
        (tmp_path / f"memory.{name}").write_text(text)
    files = tuple(str(tmp_path / f"memory.{name}") for name in ("max", "current"))
    monkeypatch.setattr(cpu_runtimes, "CGROUPS", (files,))
    assert free_memory_bytes() == 500
    (tmp_path / "memory.max").write_text("max\n")
    assert free_memory_bytes() == 2000


def test_the_free_memory_is_at_most_what_ulimit_leaves(monkeypatch):
    """Oracle: by hand: what this process has already, of the kernel, and 1,000 pages."""
    page = os.sysconf("SC_PAGE_SIZE")
    monkeypatch.setattr(cpu_runtimes, "_available_bytes", lambda: 2**60)
    monkeypatch.setattr(cpu_runtimes, "CGROUPS", ())
    monkeypatch.setattr(cpu_runtimes, "_number_in", lambda path: 5)
    monkeypatch.setattr(resource, "getrlimit", lambda kind: (1005 * page, 2000 * page))
    assert free_memory_bytes() == 1000 * page
