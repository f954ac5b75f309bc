"""Exact search and AOWS's solve at full size, for each network, against integer programming.

    python -m benchmarks.networks [--networks resnet18 resnet50] [--targets 20]

Synthetic devices with staircases; targets between the fastest and the best configuration. The
integer program knows the widths and the layers, but not the chain. CPU time, one thread.
"""

if __name__ == "__main__":  # before the imports that take seconds
    from utils.startup import prepare

    prepare()

import argparse
import time

import numpy as np

from benchmarks.oracles import search_instances, width_milp
from benchmarks.oracles.synthetic_device import SyntheticDevice
from nas import aows, mrf, ows
from nas.constraint import least_sum
from nas.search_space import SearchSpace
from nas.transitions import pack
from networks import NETWORKS

TAU = 0.001


def timed(function, *arguments):
    """Return a function's result and its CPU time in ms."""
    start = time.process_time()
    result = function(*arguments)
    return result, 1e3 * (time.process_time() - start)


def aows_step(unary, transitions, costs, target):
    """Do what AOWS does at every training step: multipliers, and marginals at a low temperature."""
    gammas, _ = aows.solve(unary, transitions, costs, np.array([target]))
    potentials, penalties = aows.potentials(unary, costs, gammas, TAU)
    return mrf.sum_product_packed(potentials, transitions, penalties)


def compare(name, count):
    """Search one network for several targets and print times, gaps and differences."""
    space, rng = SearchSpace(network=name), np.random.default_rng(0)
    scores = search_instances.scores(space.choices, rng)
    device = SyntheticDevice(space, tile=16)
    values_ms = [device.layer_ms(variable) * rng.lognormal(0, 0.03) for variable in space.variables]
    values_ms = np.array(values_ms)
    pairwise = space.chain.pairwise([values_ms[block] for block in space.blocks])
    unary = space.chain.unary(scores)
    dense, transitions, costs = pack(unary, [pairwise], np.inf)
    sizes = transitions.sizes
    best = ows.search(unary, pairwise, np.inf)
    targets = np.linspace(least_sum(unary, pairwise), best.latency_ms, count + 2)[1:-1]
    aows_step(dense, transitions, costs, targets[0])  # compiles
    rows = []
    for target in targets:
        answer, exact_ms = timed(ows.search, unary, pairwise, target)
        _, solve_ms = timed(aows.solve, dense, transitions, costs, np.array([target]))
        _, step_ms = timed(aows_step, dense, transitions, costs, target)
        (_, score), milp_ms = timed(width_milp.solve, space, values_ms, scores, target)
        rows.append((exact_ms, solve_ms, step_ms, milp_ms, answer.gap, abs(answer.score - score)))
    exact_ms, solve_ms, step_ms, milp_ms, gaps, differences = np.array(rows).T
    print(
        f"{name}: {len(sizes)} nodes of up to {sizes.max()} states, {count} targets\n"
        f"  exact search {np.median(exact_ms):.0f} ms, at most {exact_ms.max():.0f}; gap at most "
        f"{gaps.max():.0e}\n"
        f"  AOWS's solve {np.median(solve_ms):.2f} ms, at most {solve_ms.max():.2f}; with "
        f"marginals {np.median(step_ms):.2f}, at most {step_ms.max():.2f}\n"
        f"  integer program {np.median(milp_ms) / 1e3:.1f} s; scores differ by at most "
        f"{differences.max():.0e}"
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--networks", nargs="+", choices=tuple(NETWORKS), default=list(NETWORKS))
    parser.add_argument("--targets", type=int, default=20)
    args = parser.parse_args()
    for name in args.networks:
        compare(name, args.targets)


if __name__ == "__main__":
    main()
