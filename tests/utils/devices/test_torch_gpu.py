"""Device gpu, where there is one; where there is none, it says so."""

import pytest
import torch

from models.network import Network
from networks.mobilenet_v1 import network as mobilenet_v1
from utils.devices import open_device
from utils.devices.workload import Workload
from utils.errors import UserError

has_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_a_machine_without_a_device_is_named():
    with pytest.raises(UserError, match="device gpu: PyTorch finds no CUDA device"):
        open_device("gpu", Workload())


@pytest.mark.gpu
@has_gpu
@pytest.mark.parametrize("dtype", ["fp32", "fp16"])
@pytest.mark.parametrize("cuda_graph", [False, True])
@pytest.mark.parametrize("channels_last", [False, True])
def test_networks_run(dtype, cuda_graph, channels_last):
    workload = Workload(4, 64, 10, dtype, channels_last=channels_last, cuda_graph=cuda_graph)
    device = open_device("gpu", workload)
    handles = [
        device.prepare(Network(mobilenet_v1(10), mobilenet_v1(2).scaled(m), 64)) for m in (0.2, 1.5)
    ]
    assert all(device.run(handle) > 0 for handle in [*handles, *handles])
    assert "cudnn" in device.describe()["versions"]
