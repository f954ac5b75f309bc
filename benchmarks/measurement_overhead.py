"""What a sample costs beyond the timed inference: build, write, compile, warm up, bookkeeping.

    python -m benchmarks.measurement_overhead [--networks 60] [--input-size 224] [--iterations 24]

Networks are measured as by `latency.py generate`, in rounds, with one thread and batch 1. All but
their timed runs is overhead, the untimed ones and the reference network's too, in CPU time because
other processes stretch wall time; medians over groups of 20 networks. For trt only the network
definition is built, by tensorrt_rtx if installed.
"""

if __name__ == "__main__":  # before the imports that take seconds
    from utils.startup import prepare

    prepare()

import argparse
import importlib.util
import multiprocessing
import time
from concurrent.futures import ProcessPoolExecutor

import numpy as np

from nas.search_space import SearchSpace
from pipeline.latency.samples import sample_line
from utils.devices import open_device
from utils.devices.bench import CPU_DEVICES, Bench, Protocol
from utils.devices.workload import Workload
from utils.errors import exits_with_one_line


def overheads_s(name, configurations, input_size, iterations):
    """Return (overhead, timed) of a sample in seconds, the means of each group."""
    workload = Workload(1, input_size, 1000, clock="cpu")
    protocol = Protocol.for_device(name, 1, iterations=iterations)
    device = open_device(name, workload)
    space = SearchSpace(input_size)
    networks = [space.network_of(configuration) for configuration in configurations]
    largest, reference = space.network_of(space.largest), space.reference
    pairs = []
    with Bench(device, reference, workload, protocol, np.random.default_rng(0)) as bench:
        start = time.process_time()
        for group, timed in bench.time_groups(networks, largest):
            for pair in zip(group, timed, strict=True):
                sample_line(*pair, workload, protocol)
            timed_s = sum(sum(each.measurement.times_s) for each in timed)
            now = time.process_time()
            pairs.append(np.array([now - start - timed_s, timed_s]) / len(group))
            start = now
    return np.array(pairs)


def definitions_s(configurations, input_size):
    """Return the CPU time in seconds of building TensorRT's definition of each network."""
    import tensorrt_rtx  # here: it may not be installed

    from utils.devices.tensorrt_network import EngineBuilder

    builder = EngineBuilder(tensorrt_rtx, Workload(1, input_size, 1000))
    times_s = []
    for seed, configuration in enumerate(configurations):
        start = time.process_time()
        network = SearchSpace(input_size).network_of(configuration)
        _definition, _alive = builder.network(network.folded_weights(np.random.default_rng(seed)))
        times_s.append(time.process_time() - start)
    return times_s


@exits_with_one_line
def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--networks", type=int, default=60)
    parser.add_argument("--input-size", type=int, default=224)
    parser.add_argument("--iterations", type=int, default=24)
    args = parser.parse_args()

    space = SearchSpace(args.input_size)
    configurations = [space.draw_uniform(np.random.default_rng(i)) for i in range(args.networks)]
    for name in CPU_DEVICES:
        pairs = overheads_s(name, configurations, args.input_size, args.iterations)
        overhead_s, timed_s = np.median(pairs, axis=0)
        print(
            f"{name:12} overhead {overhead_s:.3f} s a sample (at most {pairs[:, 0].max():.3f}), "
            f"timed {timed_s:.3f} s: {overhead_s / (overhead_s + timed_s):.0%} of the sample"
        )
    if importlib.util.find_spec("tensorrt_rtx"):
        # In a process of its own: another TensorRT may be loaded in this one.
        with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
            times_s = pool.submit(definitions_s, configurations, args.input_size).result()
        print(
            f"trt          network definition {np.median(times_s):.3f} s a sample "
            f"(at most {np.max(times_s):.3f})"
        )
    else:
        print("trt          tensorrt_rtx is not installed")


if __name__ == "__main__":
    main()
