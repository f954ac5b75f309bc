"""What a sample costs beside the timed inference: build, write, compile, warm up, bookkeeping.

    python -m benchmarks.measurement_overhead [--networks 12] [--input-size 224] [--iterations 24]

Each network is measured as `latency.py generate` does, one thread, batch 1. Everything but the
timed runs is overhead, in CPU time, since other processes stretch wall time; the share is that of
the timed runs. For trt only the network definition is built, by tensorrt_rtx, if it is installed.
"""

if __name__ == "__main__":  # before the imports that take seconds
    from utils.startup import prepare

    prepare()

import argparse
import importlib.util
import subprocess
import sys
import time

import numpy as np

from models.network import Network
from nas.search_space import SearchSpace
from pipeline.latency.samples import sample_line
from utils.devices import open_device
from utils.devices.bench import Bench, Protocol
from utils.devices.workload import Workload

TENSORRT = """
import time
import numpy as np
import tensorrt_rtx as trt
from models.network import Network
from nas.search_space import SearchSpace
from utils.devices.workload import Workload
from utils.devices.tensorrt_network import EngineBuilder

builder = EngineBuilder(trt, Workload(1, {input_size}, 1000))
space = SearchSpace({input_size})
times_s = []
for i in range({networks}):
    start = time.process_time()
    rng = np.random.default_rng(i)
    weights = Network(space.draw_uniform(rng), {input_size}, 1000).folded_weights(rng)
    network, alive = builder.network(weights)
    times_s.append(time.process_time() - start)
print(f"{{np.median(times_s):.3f}} {{np.max(times_s):.3f}}")
"""


def overheads_s(name, configurations, input_size, iterations):
    """Return (overhead, timed) in seconds of each sample."""
    workload = Workload(1, input_size, 1000, clock="cpu")
    protocol = Protocol(iterations, warmup=10, clock="cpu")
    device = open_device(name, workload)
    networks = [Network(configuration, input_size, 1000) for configuration in configurations]
    largest = Network(SearchSpace(input_size).largest, input_size, 1000)
    reference = Network.reference(input_size, 1000)
    pairs = []
    with Bench(device, reference, workload, protocol, np.random.default_rng(0)) as bench:
        start = time.process_time()
        for (network,), (timed,) in bench.time_groups(networks, largest):
            sample_line(network, timed, workload, protocol)
            timed_s = sum(timed.measurement.times_s)
            now = time.process_time()
            pairs.append((now - start - timed_s, timed_s))
            start = now
    return np.array(pairs)


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--networks", type=int, default=12)
    parser.add_argument("--input-size", type=int, default=224)
    parser.add_argument("--iterations", type=int, default=24)
    args = parser.parse_args()

    space = SearchSpace(args.input_size)
    configurations = [space.draw_uniform(np.random.default_rng(i)) for i in range(args.networks)]
    for name in ("cpu", "onnxruntime", "openvino"):
        pairs = overheads_s(name, configurations, args.input_size, args.iterations)
        overhead_s, timed_s = np.median(pairs, axis=0)
        print(
            f"{name:12} overhead {overhead_s:.3f} s a sample (at most {pairs[:, 0].max():.3f}), "
            f"timed {timed_s:.3f} s: {overhead_s / (overhead_s + timed_s):.0%} of the sample"
        )
    if importlib.util.find_spec("tensorrt_rtx"):
        code = TENSORRT.format(input_size=args.input_size, networks=args.networks)
        process = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True
        )
        median_s, most_s = process.stdout.split()
        print(f"trt          network definition {median_s} s a sample (at most {most_s})")
    else:
        print("trt          tensorrt_rtx is not installed")


if __name__ == "__main__":
    main()
