"""Device `cpu`: what eager PyTorch needs to take the same time again."""

import subprocess
import sys

import pytest

pytest.importorskip("torch")

# In a process of its own, whose allocator nobody has used. In a batch of 16 the greatest outputs of
# MobileNet take 51 MB, of which glibc keeps nothing by itself: 12,544 pages each.
FAULTS = """
import resource

from models.network import Network
from networks.mobilenet_v1 import network
from utils.devices import open_device
from utils.devices.workload import Workload

device = open_device("cpu", Workload(16, 224, 10))
net = device.prepare(Network(network(10), network(10).scaled(1.0), 224))
for _ in range(6):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    device.run(net)
    print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs glibc")
def test_freed_memory_is_kept():
    """Oracle: the kernel's count of page faults, once the heap has settled."""
    ended = subprocess.run(
        [sys.executable, "-c", FAULTS], check=True, stdout=subprocess.PIPE, text=True
    )
    faults = list(map(int, ended.stdout.split()))
    assert min(faults[2:]) < 12544, faults
