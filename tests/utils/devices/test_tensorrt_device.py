"""Device trt on a stand-in runtime that computes engines on the CPU: what runs is the network."""

import sys
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from models.network import Network
from models.pytorch.plain import PlainNet, folded_weights
from networks import open_network
from networks.mobilenet_v1 import network as mobilenet_v1
from tests.helpers import stand_in_tensorrt
from tests.helpers.randomized import randomized, randomized_net
from tests.helpers.stand_in_stream import StandInStream
from utils.devices import open_device
from utils.devices.workload import Workload
from utils.errors import UserError

TINY = Network(mobilenet_v1(10), mobilenet_v1(2).scaled(0.2), 32)


@pytest.fixture
def trt(monkeypatch):
    """The stand-in instead of tensorrt, and a CUDA device of the CPU's memory."""
    monkeypatch.setitem(sys.modules, "tensorrt", stand_in_tensorrt)
    modules = [f"utils.devices.tensorrt_{name}" for name in ("gpu", "engine")]
    for module in modules:
        monkeypatch.delitem(sys.modules, module, raising=False)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr("utils.devices.torch_stream.TorchStream", StandInStream)
    monkeypatch.setattr(stand_in_tensorrt.Builder, "fails", False)
    monkeypatch.setattr(stand_in_tensorrt.Context, "succeeds", True)
    yield stand_in_tensorrt
    for module in modules:  # they hold the stand-in
        sys.modules.pop(module, None)


def open_trt(**settings):
    return open_device("trt", Workload(**{"batch_size": 2, "input_size": 32, **settings}))


@pytest.mark.parametrize("name", ["inverted", "basic", "bottleneck"])
def test_engines_of_other_networks_compute_what_pytorch_computes(trt, name):
    """Additions, shortcuts, poolings and both activations; in the stand-in they are PyTorch's."""
    description = open_network(f"tests/helpers/networks/{name}.py", 12)
    net = randomized(PlainNet(description, description.base_widths))
    device = open_trt(classes=12)
    handle = device.prepare(SimpleNamespace(folded_weights=lambda rng: folded_weights(net)))
    device.run(handle)
    images, logits = device._stream.memory
    with torch.no_grad():
        expected = net(images).numpy()
    np.testing.assert_allclose(logits.numpy(), expected, rtol=0, atol=1e-4 * np.abs(expected).max())


@pytest.mark.parametrize(("dtype", "tolerance"), [("fp32", 1e-4), ("fp16", 2e-2)])
@pytest.mark.parametrize("cuda_graph", [False, True])
def test_the_engine_computes_what_pytorch_computes(trt, dtype, tolerance, cuda_graph):
    net = randomized_net(TINY.configuration, 12)
    device = open_trt(classes=12, dtype=dtype, cuda_graph=cuda_graph)
    handle = device.prepare(SimpleNamespace(folded_weights=lambda rng: folded_weights(net)))
    assert [device.run(handle) for _ in range(3)] == [1.0, 2.0, 3.0]
    images, logits = device._stream.memory
    with torch.no_grad():
        expected = net(images.float()).numpy()
    scale = np.abs(expected).max()
    np.testing.assert_allclose(logits.float().numpy(), expected, rtol=0, atol=tolerance * scale)
    assert device._stream.captured == cuda_graph
    device.release(handle)


def test_tf32_is_off_unless_asked_for(trt):
    for tf32 in (False, True):
        device = open_trt(tf32=tf32)
        assert (trt.BuilderFlag.TF32 in device._builder._config.flags) == tf32


def test_the_timing_cache_is_kept_between_processes(trt, tmp_path):
    path = tmp_path / "cache"
    open_trt(timing_cache=str(path)).prepare(TINY)
    assert path.read_bytes() == b"stand-in"
    written = path.stat().st_mtime_ns
    device = open_trt(timing_cache=str(path))
    assert device._builder._config.cache.data == b"stand-in"
    device.prepare(TINY)
    assert path.stat().st_mtime_ns == written  # it holds nothing new


def test_a_timing_cache_of_another_device_is_refused(trt, tmp_path):
    path = tmp_path / "cache"
    path.write_bytes(b"another device's")
    with pytest.raises(UserError, match="cache was written by another device or version"):
        open_trt(timing_cache=str(path))
    assert path.read_bytes() == b"another device's"


def test_what_fails_inside_tensorrt_ends_in_one_line(trt, monkeypatch):
    device = open_trt()
    handle = device.prepare(TINY)
    monkeypatch.setattr(trt.Context, "succeeds", False)
    with pytest.raises(UserError, match="could not run the engine"):
        device.run(handle)
    monkeypatch.setattr(trt.Builder, "fails", True)
    with pytest.raises(UserError, match="could not build the network"):
        device.prepare(TINY)


def test_a_machine_without_a_device_is_named(trt, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(UserError, match="device trt: there is no CUDA device"):
        open_trt()


def test_torch2trt_is_refused_on_version_11_with_the_reason(trt):
    with pytest.raises(UserError, match=r"up to TensorRT 10: it needs BuilderFlag\.FP16"):
        open_trt(trt_builder="torch2trt")


def test_torch2trt_must_be_installed_on_version_10(trt, monkeypatch):
    monkeypatch.setattr(trt, "__version__", "10.9.0")
    monkeypatch.setitem(sys.modules, "torch2trt", None)
    with pytest.raises(UserError, match="device trt needs the Python package 'torch2trt'"):
        open_trt(trt_builder="torch2trt")


def test_torch2trt_converts_the_network_for_one_batch_size(trt, monkeypatch):
    """A stand-in converter: it must get the evaluating net, the batch and the precision."""
    calls = []

    def convert(net, inputs, **options):
        calls.append((net, inputs, options))
        return lambda images: calls.append("run")

    monkeypatch.setattr(trt, "__version__", "10.9.0")
    monkeypatch.setitem(sys.modules, "torch2trt", SimpleNamespace(torch2trt=convert))
    device = open_trt(trt_builder="torch2trt", dtype="fp16", classes=10)
    assert device.run(device.prepare(TINY)) == 1.0
    (net, (images,), options), ran = calls
    assert isinstance(net, PlainNet) and not net.training
    assert {parameter.dtype for parameter in net.parameters()} == {torch.half}
    assert images.shape == (2, 3, 32, 32) and images.dtype == torch.half
    assert options == {"fp16_mode": True}
    assert ran == "run"
