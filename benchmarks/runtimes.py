"""Every runtime that is usable here, on the same networks: repeatability, overhead, tables.

    python -m benchmarks.runtimes [--networks 40] [--input-size 224] [--devices cpu …]

Each runtime, in a process of its own, times the same networks twice by the default protocol; the
passes of all runtimes alternate. For each it prints
    repeatability  root mean square of log(first pass / second pass), the reference network's drift
                   divided out, in per cent
    overhead       CPU time of a network beyond its timed runs: writing, loading, warm-up, its share
                   of the reference network; with --command also that of the program's starts
    errors         of a latency table and of scikit-learn's regressors, in per cent of the mean
                   latency, on networks that they were not fitted to: a fifth of the networks at a
                   time, by the four other fifths, all of the first pass
So few networks make a poor table, but are measured in minutes: benchmarks.regressors has 100 and
more. With --command, as of latency.py, that program is a runtime too, and warms up by itself. On
GPUs the overhead is not to be compared with that on CPUs.
"""

if __name__ == "__main__":  # before the imports that take seconds
    from utils.startup import prepare

    prepare()

import argparse
import multiprocessing
import os
import resource
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass

import numpy as np

from benchmarks.regressors import error, predictions
from nas.search_space import SearchSpace
from utils.command_line import add_command, command_of
from utils.devices import DEVICES, open_device
from utils.devices.bench import Bench, Protocol
from utils.devices.workload import Workload
from utils.errors import UserError, exits_with_one_line

FOLDS = 5
COMMAND_ROUNDS = 3  # a start of a program costs more than a few runs


@dataclass(frozen=True)
class Pass:
    """What one pass over the networks has measured."""

    latencies_ms: np.ndarray  # at the machine speed of the pass's reference network
    overhead_s: float  # of CPU time, for each network


def configurations_of(space, count):
    """Return the configurations that all runtimes time."""
    rng = np.random.default_rng(0)
    return [space.draw_uniform(rng) for _ in range(count)]


def cpu_s():
    """Return the CPU time of this process and of programs that it has started and seen end."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in used)


def measure(name, space, count, iterations, command, seed):
    """Return a Pass, or the reason why a device is not usable."""
    rounds = COMMAND_ROUNDS if name == "command" else None
    protocol = Protocol.for_device(name, 1, rounds, iterations=iterations)
    workload = Workload(1, space.input_size, space.classes, clock=protocol.clock, command=command)
    try:
        device = open_device(name, workload)
    except UserError as reason:
        return str(reason)
    networks = [space.network_of(each) for each in configurations_of(space, count)]
    rng, start_s = np.random.default_rng(seed), cpu_s()
    with Bench(device, space.reference, workload, protocol, rng) as bench:
        groups = list(bench.time_groups(networks, space.network_of(space.largest)))
    timed = [one for _, group in groups for one in group]
    own_s, reference_s = (
        np.array([getattr(one, kind).reduced_s(protocol.reduction) for one in timed])
        for kind in ("measurement", "reference")
    )
    overhead_s = (cpu_s() - start_s - iterations * own_s.sum()) / count
    speed = np.median(reference_s) / reference_s if protocol.rounds else 1.0
    return Pass(1e3 * own_s * speed, overhead_s)


def repeatability(first, second):
    """Return how two passes' latencies disagree, in per cent, but for a common factor."""
    ratios = np.log(first.latencies_ms / second.latencies_ms)
    return 100 * np.std(ratios)


def held_out_errors(space, configurations, latencies_ms):
    """Return {name: error in per cent} of a table and of regressors, by cross-validation."""
    order = np.random.default_rng(1).permutation(len(configurations))
    predicted = {}
    for fold in np.array_split(order, FOLDS):
        rest = [i for i in order if i not in fold]
        samples = [(configurations[i], latencies_ms[i]) for i in rest]
        others = [configurations[i] for i in fold]
        for name, ms in predictions(space, samples, others).items():
            predicted.setdefault(name, np.empty(len(configurations)))[fold] = ms
    return {name: error(ms, latencies_ms) for name, ms in predicted.items()}


def passes_of(names, *settings):
    """Return {name: [two Passes]}, or [the reason, the reason], of devices; they alternate."""
    passes = {name: [] for name in names}
    context = multiprocessing.get_context("spawn")
    for seed in (0, 1):
        for name in names:
            with ProcessPoolExecutor(1, context) as pool:  # runtimes do not meet in a process
                passes[name].append(pool.submit(measure, name, *settings, seed).result())
    return passes


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--networks", type=int, default=40)
    parser.add_argument("--input-size", type=int, default=224)
    parser.add_argument("--iterations", type=int, default=24, help="timed runs of each network")
    parser.add_argument("--devices", nargs="+", choices=DEVICES, default=DEVICES, help="(all)")
    add_command(parser.add_argument, "also time by a program")
    return parser.parse_args()


@exits_with_one_line
def main():
    args = parse_arguments()
    space = SearchSpace(args.input_size)
    settings = (space, args.networks, args.iterations, command_of(args))
    print(
        f"{args.networks} networks, {args.input_size}×{args.input_size}, batch 1, one thread, "
        f"{args.iterations} runs in rounds; load {os.getloadavg()[0]:.1f}"
    )
    configurations = configurations_of(space, args.networks)
    for name, (first, second) in passes_of(args.devices, *settings).items():
        if isinstance(first, str):
            print(f"{name:12} not measured: {first}")
            continue
        low, middle, high = np.quantile(first.latencies_ms, [0, 0.5, 1])
        print(
            f"{name:12} repeatability {repeatability(first, second):.1f} %, overhead "
            f"{(first.overhead_s + second.overhead_s) / 2:.2f} s, latencies {low:.2f} to "
            f"{high:.2f} ms, median {middle:.2f}"
        )
        errors = held_out_errors(space, configurations, first.latencies_ms)
        listed = ", ".join(f"{each} {value:.1f}" for each, value in errors.items())
        print(f"{'':12} errors, %: {listed}", flush=True)
    print(f"load {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
