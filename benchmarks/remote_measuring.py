"""What the pipe to another machine costs: repeatability and time per network, by ssh to this one.

    python -m benchmarks.remote_measuring [--device onnxruntime] [--networks 20] [--passes 6]

Passes over the same networks, in rounds as by `latency.py generate`, alternate between this process
and an agent behind sshd on the loopback address (another pipe: --host, --remote-shell,
--remote-python). Each pair of passes gives the root mean square of log(first / second) over the
networks; the median over the pairs and its range are printed, and seconds per network.
"""

if __name__ == "__main__":  # before the imports that take seconds
    from utils.startup import prepare

    prepare()

import argparse
import contextlib
import itertools
import os
import tempfile

import numpy as np

from benchmarks.loopback import bare_python, loopback
from benchmarks.measurement_repeatability import disagreement, one_pass
from nas.search_space import SearchSpace
from pipeline.latency.measuring_options import host_of
from utils.command_line import add_ways_to_a_host
from utils.devices import open_device
from utils.devices.bench import Protocol
from utils.devices.workload import Workload

STATISTIC = "quartile / reference"  # what tables are fitted to


def pairs(passes):
    """Return the disagreement of every pass with every other one, in per cent."""
    times = [times[STATISTIC] for times, _ in passes]
    return [disagreement(*pair) for pair in itertools.combinations(times, 2)]


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--device", choices=("onnxruntime", "openvino"), default="onnxruntime")
    parser.add_argument("--networks", type=int, default=20)
    parser.add_argument("--passes", type=int, default=6)
    parser.add_argument("--iterations", type=int, default=24)
    parser.add_argument("--input-size", type=int, default=224)
    parser.add_argument("--host", help="default: this machine, by an sshd that is started")
    add_ways_to_a_host(parser.add_argument)
    args = parser.parse_args()

    space = SearchSpace(args.input_size)
    rng = np.random.default_rng(0)
    networks = [space.network_of(space.draw_uniform(rng)) for _ in range(args.networks)]
    workload = Workload(1, args.input_size, space.classes, clock="cpu")
    protocol = Protocol.for_device(args.device, 1, iterations=args.iterations)
    passes = {"here": [], "through the pipe": []}
    with contextlib.ExitStack() as stack:
        host = host_of(args)
        if not host:
            folder = stack.enter_context(tempfile.TemporaryDirectory())
            host = stack.enter_context(loopback(bare_python(folder, (args.device, "numpy"))))
        devices = {
            "here": open_device(args.device, workload),
            "through the pipe": open_device(args.device, workload, host),
        }
        print(f"load average {os.getloadavg()[0]:.1f}")
        for number in range(args.passes):
            order = list(devices.items())[:: 1 if number % 2 else -1]
            for name, device in order:
                passes[name].append(one_pass(device, workload, protocol, networks, space, number))
        devices.clear()
    print(f"load average {os.getloadavg()[0]:.1f}; {args.device}, {args.networks} networks")
    for name, of_name in passes.items():
        low, value, high = np.quantile(pairs(of_name), [0, 0.5, 1])
        seconds = [elapsed_s / args.networks for _, elapsed_s in of_name]
        print(
            f"{name:17} repeatability {value:.2f} % ({low:.2f} to {high:.2f}), "
            f"{np.median(seconds):.3f} s a network ({min(seconds):.3f} to {max(seconds):.3f})"
        )
    ours, theirs = (np.median(pairs(of_name)) for of_name in passes.values())
    more_s = [
        (there_s - here_s) / args.networks
        for (_, here_s), (_, there_s) in zip(*passes.values(), strict=True)
    ]
    print(
        f"the pipe: repeatability {theirs / ours:.2f} times that here, "
        f"{np.median(more_s):+.3f} s a network"
    )


if __name__ == "__main__":
    main()
