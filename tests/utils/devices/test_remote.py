"""Devices behind a pipe: the same verbs as here, on real runtimes in a bare Python."""

import dataclasses
import importlib.util
import json
import platform
import subprocess
import sys
import zlib
from dataclasses import asdict
from types import SimpleNamespace

import numpy as np
import onnx
import pytest
import torch

from benchmarks.loopback import bare_python
from models.network import Network
from networks.mobilenet_v1 import network as mobilenet_v1
from tests.helpers.randomized import randomized_net
from tests.helpers.remote_hosts import NAME, piped
from tests.helpers.stand_in_stream import StandInStream
from utils.devices import open_device, remote_torch, torch_gpu
from utils.devices.remote import KITS, Repeated
from utils.devices.torch_script import traced
from utils.devices.workload import Workload, cpu_name
from utils.errors import UserError

OPTIONAL = {"openvino": "openvino", "ai-edge-litert": "ai_edge_litert"}  # distribution: module
WORKLOAD = Workload(batch_size=2, input_size=32, classes=10)
SMALL, LARGE = (
    Network(mobilenet_v1(10), mobilenet_v1(2).scaled(multiplier), 32) for multiplier in (0.2, 1.5)
)


@pytest.fixture(scope="module")
def python(tmp_path_factory):
    pytest.importorskip("onnxruntime")
    packages = [name for name in OPTIONAL if importlib.util.find_spec(OPTIONAL[name])]
    return bare_python(tmp_path_factory.mktemp("bare"), ["numpy", "onnxruntime", *packages])


def test_the_other_python_finds_nothing_of_ours(python):
    for name in ("utils", "onnx", "torch", "msgspec"):
        find = f"import importlib.util as u; print(u.find_spec({name!r}))"
        assert subprocess.check_output([python, "-c", find], cwd="/") == b"None\n"


@pytest.mark.parametrize(
    ("name", "package"),
    [("onnxruntime", "onnxruntime"), ("openvino", "openvino"), ("litert", "ai_edge_litert")],
)
@pytest.mark.parametrize("clock", ["wall", "cpu"])
def test_networks_are_prepared_visited_and_released(tmp_path, python, name, package, clock):
    """The wide network has 40 times the operations of the narrow one."""
    pytest.importorskip(package)
    workload = dataclasses.replace(WORKLOAD, clock=clock)
    device = open_device(name, workload, piped(tmp_path, python))
    small, large = (device.prepare(network) for network in (SMALL, LARGE))
    small_s, large_s = (min(device.visit(handle, 5, 1)) for handle in (small, large))
    assert 0 < small_s < large_s
    assert device.run(small) > 0
    device.release(small)
    with pytest.raises(UserError, match=f"{NAME}: device {name} failed there, KeyError"):
        device.visit(small, 1, 1)
    assert len(device.visit(large, 7, 3, 0.0)) == 7


def test_descriptions_tell_both_machines(tmp_path, python):
    host = piped(tmp_path, python)
    device = open_device("onnxruntime", WORKLOAD, host)
    here = open_device("onnxruntime", WORKLOAD).describe()
    told = device.describe()
    assert told["host"] == NAME
    assert (told["device_name"], told["runtime"]) == (here["device_name"], here["runtime"])
    assert told["versions"] == {**here["versions"], "python": platform.python_version()}
    assert told["client"] == {
        "device_name": cpu_name(),
        "python": platform.python_version(),
        "remote_shell": host.shell,
        "remote_python": host.python,
    }
    assert set(device.state()) == {"load_average"}
    assert device.free_memory_bytes() > 1e6


def test_too_little_memory_there_is_one_line(tmp_path, python):
    """A batch of images of 12 GB, for a process that may have 4."""
    workload = Workload(batch_size=20_000)
    with pytest.raises(UserError, match=rf"^{NAME}: not enough memory there .*: lower --batch"):
        open_device("onnxruntime", workload, piped(tmp_path, python, setting="ulimit -v 4000000"))


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_a_machine_without_a_cuda_device_is_named(tmp_path):
    """The modules of the kit are found there: this Python has PyTorch, and nothing of ours."""
    with pytest.raises(UserError, match=rf"^{NAME}: device gpu: PyTorch finds no CUDA device"):
        open_device("gpu", WORKLOAD, piped(tmp_path, sys.executable))


def test_torchscript_runs_as_the_module_does(monkeypatch):
    """On the processor in place of a CUDA device: its logits are the module's."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch_gpu, "TorchStream", StandInStream)
    monkeypatch.setattr(torch_gpu.TorchGpu, "_placed", lambda device, thing: thing)
    workload = SimpleNamespace(**asdict(WORKLOAD), images_shape=WORKLOAD.images_shape)
    device = remote_torch.open_device("gpu", workload)
    net = randomized_net(SMALL.configuration, 10)
    forward = device.load(traced(net, 32))
    assert device.run(forward) == 1.0
    module = remote_torch.Script(traced(net, 32)).module()
    images = torch.randn(5, 3, 32, 32)
    with torch.no_grad():
        torch.testing.assert_close(module(images), net(images))


def test_networks_travel_well_as_torchscript():
    """Oracle: the parameters that arrive are as many and as large as the module's."""
    data = KITS["gpu"].pack(LARGE, WORKLOAD)
    arrived, module = remote_torch.Script(data).module(), LARGE.module()
    shapes = [{n: p.shape for n, p in net.named_parameters()} for net in (arrived, module)]
    assert shapes[0] == shapes[1]
    assert len(zlib.compress(data, 1)) < len(data) / 10


@pytest.mark.skipif(
    importlib.util.find_spec("tensorrt_rtx") is None,
    reason="the optional package tensorrt_rtx is not installed",
)
@pytest.mark.parametrize("dtype", ["fp32", "fp16"])
def test_engines_are_built_from_graphs(dtype):
    """The definition is read back from TensorRT, in a process of its own: it may crash others."""
    command = [sys.executable, "-m", "tests.helpers.tensorrt_rtx_parses", dtype]
    answer = json.loads(subprocess.check_output(command).splitlines()[-1])
    kind = {"fp32": "DataType.FLOAT", "fp16": "DataType.HALF"}[dtype]
    assert answer["images"] == [kind, [2, 3, 32, 32]]
    assert answer["logits"] == [kind, [2, 10]]
    assert answer["convolutions"] == 27
    assert answer["engine_bytes"] > 1000
    assert "cannot read the graph" in answer["of_junk"]


@pytest.mark.parametrize(
    ("name", "workload", "complaint"),
    [
        ("cpu", WORKLOAD, "device cpu is timed on this machine only; others: onnxruntime"),
        ("onnxruntime", Workload(dtype="fp16"), "device onnxruntime times fp32 only"),
        ("trt", Workload(trt_builder="torch2trt"), "torch2trt builds on this machine only"),
    ],
)
def test_what_cannot_be_measured_there_is_refused_before_it_is_reached(
    tmp_path, name, workload, complaint
):
    with pytest.raises(UserError, match=complaint):
        open_device(name, workload, piped(tmp_path, "no-such-python"))


def test_repeated_weights_are_a_networks_and_pack_well():
    """Oracle: the graph of the same network with random weights has the same shapes."""
    data = LARGE.onnx(2, Repeated())
    ours, random = (
        onnx.load_from_string(model).graph.initializer
        for model in (data, LARGE.onnx(2, np.random.default_rng(0)))
    )
    assert [(t.name, t.dims) for t in ours] == [(t.name, t.dims) for t in random]
    for tensor, other in zip(ours, random, strict=True):
        values, others = map(onnx.numpy_helper.to_array, (tensor, other))
        assert np.isfinite(values).all()
        assert 0.5 * others.std() <= values.std() <= 2 * others.std()
        assert (np.abs(values) > 1e-30).mean() == (np.abs(others) > 1e-30).mean()
    assert len(zlib.compress(data, 1)) < len(data) / 15
