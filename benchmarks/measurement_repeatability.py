"""How well two passes over the same networks agree: rounds against the reference's protocol.

    python -m benchmarks.measurement_repeatability [--device cpu] [--networks 20] [--passes 4]

The reference's protocol times each network in a row, by wall time. Rounds take the same total time
(both are printed). Passes alternate, so that both protocols see the same machine. Each pair of
passes gives the root mean square of log(first / second) over the networks, in per cent; the median
over the pairs, its range, and its ratio to that of the reference are printed.
"""

if __name__ == "__main__":  # before the imports that take seconds
    from utils.startup import prepare

    prepare()

import argparse
import itertools
import time

import numpy as np

from nas.search_space import SearchSpace
from utils.devices import DEVICES, open_device
from utils.devices.bench import Bench, Protocol, usual_rounds
from utils.devices.workload import Workload

RUNS = 24  # timed runs in rounds: 4 rounds of 6, each after 3 untimed ones, and the reference
WARMUP = 10
STATISTICS = ("mean", "median", "min", "quartile")


def one_pass(device, workload, protocol, networks, space, seed):
    """Time all networks once; return ({statistic: seconds of each network}, total seconds)."""
    reference, largest = space.reference, space.network_of(space.largest)
    start = time.perf_counter()
    with Bench(device, reference, workload, protocol, np.random.default_rng(seed)) as bench:
        groups = list(bench.time_groups(networks, largest))
    elapsed_s = time.perf_counter() - start
    timed = [one for _, group in groups for one in group]
    times = {}
    for name in STATISTICS:
        own = np.array([one.measurement.reduced_s(name) for one in timed])
        reference = np.array([one.reference.reduced_s(name) for one in timed])
        times[name] = own
        times[f"{name} / reference"] = own / reference
    return times, elapsed_s


def disagreement(first, second):
    """Return the root mean square of log(first / second), in per cent."""
    return 100 * np.sqrt(np.mean(np.log(first / second) ** 2))


def report(name, passes, statistics, baseline=None):
    """Print the median disagreement of each statistic; return them all."""
    values = {}
    seconds = np.median([elapsed_s for _, elapsed_s in passes])
    for statistic in statistics:
        pairs = [
            disagreement(one[statistic], other[statistic])
            for (one, _), (other, _) in itertools.combinations(passes, 2)
        ]
        low, values[statistic], high = np.quantile(pairs, [0, 0.5, 1])
        ratio = "" if baseline is None else f"  {baseline / values[statistic]:5.2f} times better"
        print(
            f"{name:28} {statistic:22} {values[statistic]:6.2f} % ({low:.2f} to {high:.2f})"
            f"  {seconds:5.1f} s a pass{ratio}"
        )
    return values


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    devices = [name for name in DEVICES if name != "command"]  # of which there is no CPU time
    parser.add_argument("--device", choices=devices, default="cpu")
    parser.add_argument("--networks", type=int, default=20)
    parser.add_argument("--passes", type=int, default=4)
    parser.add_argument("--input-size", type=int, default=32)
    parser.add_argument("--batch-size", type=int, default=1)
    args = parser.parse_args()

    space = SearchSpace(args.input_size, 10)
    rng = np.random.default_rng(0)
    networks = [space.network_of(space.draw_uniform(rng)) for _ in range(args.networks)]
    settings = {"batch_size": args.batch_size, "input_size": args.input_size, "classes": 10}
    wall, cpu = (Workload(**settings, clock=clock) for clock in ("wall", "cpu"))
    in_rounds = Protocol(RUNS, WARMUP, rounds=usual_rounds(RUNS), clock="cpu")
    # As long as the rounds, plus a quarter as many runs of the reference: all of them are timed.
    in_a_row = Protocol((RUNS + in_rounds.rounds * in_rounds.untimed) * 5 // 4, WARMUP)
    protocols = {
        "in a row, wall time": (wall, in_a_row),
        "in a row, CPU time": (cpu, in_a_row),
        "rounds, wall time": (wall, in_rounds),
        "rounds, CPU time": (cpu, in_rounds),
    }
    devices = {clock: open_device(args.device, w) for clock, w in (("wall", wall), ("cpu", cpu))}
    passes = {name: [] for name in protocols}
    for number in range(args.passes):
        for name, (workload, protocol) in protocols.items():
            device = devices[workload.clock]
            passes[name].append(one_pass(device, workload, protocol, networks, space, number))
    names = list(protocols)
    plain = ("mean", "median", "min")
    baseline = report(names[0], passes[names[0]], plain)["median"]
    report(names[1], passes[names[1]], plain, baseline)
    for name in names[2:]:
        statistics = (*STATISTICS, *(f"{each} / reference" for each in STATISTICS))
        report(name, passes[name], statistics, baseline)


if __name__ == "__main__":
    main()
