"""Quality and speed of the exact constrained search, against bisection and integer programming.

    python -m benchmarks.search

14 layers of up to 14 widths (the default search space) on synthetic devices with staircases, 200
targets between the fastest and the best configuration; then larger chains, several constraints at
once, and the whole front. It takes one thread and about two minutes.
"""

if __name__ == "__main__":  # before the imports that take seconds
    from utils.startup import prepare

    prepare()

import argparse
import time

import numpy as np

from benchmarks.oracles import milp, search_instances
from benchmarks.timing import compare
from nas.constraint import Constraint, macs, parameters
from nas.exact import dual
from nas.exact.constrained_search import solve
from nas.exact.pareto import front
from nas.search_space import SearchSpace
from nas.transitions import pack
from utils.progress import progress_bar

SPACES, TARGETS = 5, 40  # 200 searches
SLACK = 1e-9  # scores that differ by less are equal


def timed(function, *arguments):
    """Return a function's result and its time in ms."""
    start = time.perf_counter()
    result = function(*arguments)
    return result, 1e3 * (time.perf_counter() - start)


def spread(values, unit="ms"):
    """Return median, quartiles and maximum as text."""
    low, median, high, most = np.percentile(values, [25, 50, 75, 100])
    return f"{median:.3g} {unit} ({low:.3g} to {high:.3g}, at most {most:.3g})"


def total(unary, states):
    return sum(scores[state] for scores, state in zip(unary, states, strict=True))


def spent(pairwise, states):
    return sum(block[states[i], states[i + 1]] for i, block in enumerate(pairwise))


def instances():
    """Yield (unary, pairwise, target) of the 200 searches."""
    for seed in progress_bar(range(SPACES), "devices"):
        unary, pairwise = search_instances.realistic(SearchSpace(), np.random.default_rng(seed))
        for target in search_instances.targets(unary, pairwise, TARGETS):
            yield unary, pairwise, target


def against_bisection_and_milp():
    rows = []
    for number, (unary, pairwise, target) in enumerate(instances()):
        constraint = Constraint(pairwise, target)
        solve(unary, [constraint])  # compiles; the caches are as warm as in the other calls
        exact, exact_ms = timed(solve, unary, [constraint])
        bisected, _ = search_instances.bisection(unary, pairwise, target)
        milp_score, milp_ms = np.nan, np.nan
        if number % 3 == 0:
            states, milp_ms = timed(milp.solve, unary, [pairwise], [target])
            milp_score = total(unary, states)
        scores = total(unary, exact.states), total(unary, bisected), milp_score
        left = [1 - spent(pairwise, states) / target for states in (exact.states, bisected)]
        rows.append((*scores, exact_ms, milp_ms, exact.gap, *left))
    score, bisected, integer, ms, milp_ms, gap, slack, bisected_slack = np.array(rows).T
    checked = ~np.isnan(integer)
    ratio = milp_ms[checked] / ms[checked]
    print(f"exact search, 14 × 14, {len(rows)} targets: {spread(ms)}; asked for: at most 5 ms")
    print(f"  answers with a proven gap of 0: {(gap == 0).sum()} of {len(rows)}")
    print(f"  at least the bisection's score: {(score >= bisected - SLACK).sum()} of {len(rows)}")
    agree = np.abs(score - integer)[checked] < SLACK
    print(f"  equal to integer programming (HiGHS): {agree.sum()} of {checked.sum()}")
    print(f"  integer programming: {spread(milp_ms[checked])}; ratio {spread(ratio, 'times')}")
    print(f"  bisection not optimal: {100 * np.mean(bisected < score - SLACK):.0f} % of targets")
    print(f"  latency left unused, bisection: {spread(100 * bisected_slack, '%')}")
    print(f"  latency left unused, exact:     {spread(100 * slack, '%')}")


def multiplier_pair():
    unary, pairwise = search_instances.realistic(SearchSpace(), np.random.default_rng(0))
    dense, transitions, [latency] = pack(unary, [pairwise], np.inf)
    target = search_instances.targets(unary, pairwise, 3)[1]
    compare(
        "multiplier to rounding, by line intersection; plain: bisection in 50 steps",
        lambda: dual.multiplier(dense, transitions, latency, target, 0.0, None),
        lambda: dual.multiplier(dense, transitions, latency, target, 0.0, 50),
        fast_calls=200,
        plain_calls=50,
    )


def scaling():
    print("time and gap by layers and widths (realistic chains; 5 targets each)")
    for layers in (14, 50, 100, 200):
        for widths in (8, 14, 32):
            rng = np.random.default_rng(layers * widths)
            unary, pairwise = search_instances.scaled(layers, widths, rng)
            targets = search_instances.targets(unary, pairwise, 5)
            report(f"{layers:4d} × {widths:2d}", unary, pairwise, targets)
    unary, pairwise = search_instances.subset_sum(200, 32, np.random.default_rng(0))
    targets = search_instances.targets(unary, pairwise, 1)
    report("200 × 32, score = latency", unary, pairwise, targets)


def report(name, unary, pairwise, targets):
    runs = [timed(solve, unary, [Constraint(pairwise, target)]) for target in targets]
    gaps = [result.gap / abs(result.score) for result, _ in runs]
    print(f"  {name}: {spread([ms for _, ms in runs])}; greatest relative gap {max(gaps):.2g}")


def several_constraints():
    space = SearchSpace()
    counts = [macs(space), parameters(space)]
    for number in (2, 3, 4):
        rows = []
        for seed in progress_bar(range(10), f"{number} constraints"):
            rng = np.random.default_rng(seed)
            unary, first = search_instances.realistic(space, rng)
            _, second = search_instances.realistic(space, rng)
            pairwises = [first, second, *counts][:number]
            limits = [
                rng.choice(search_instances.targets(unary, pairwise, 20)[6:12])
                for pairwise in pairwises
            ]
            constraints = [Constraint(*pair) for pair in zip(pairwises, limits, strict=True)]
            result, ms = timed(solve, unary, constraints)
            states, milp_ms = timed(milp.solve, unary, pairwises, limits)
            equal = abs(total(unary, states) - result.score) < SLACK
            rows.append((ms, result.gap / abs(result.score), equal, milp_ms / ms))
        ms, gaps, equal, ratio = np.array(rows).T
        print(f"{number} constraints, 14 × 14: {spread(ms)}; {(gaps == 0).sum()} of 10 proven")
        print(f"  greatest relative gap {gaps.max():.2g}; equal to HiGHS: {int(equal.sum())} of 10")
        print(f"  integer programming takes {spread(ratio, 'times')} as long")


def whole_front():
    unary, pairwise = search_instances.realistic(SearchSpace(), np.random.default_rng(0))
    front(unary, pairwise)
    times, result = [], None
    for _ in range(9):
        result, ms = timed(front, unary, pairwise)
        times.append(ms)
    print(f"whole front, 14 × 14: {len(result.scores)} points, {spread(times)}")
    unary, pairwise = search_instances.scaled(50, 32, np.random.default_rng(0))
    result, ms = timed(front, unary, pairwise)
    kind = "all" if result.complete else "a sample"
    print(f"front, 50 × 32: {len(result.scores)} points ({kind}), {ms:.3g} ms")


def main():
    argparse.ArgumentParser(description=__doc__.partition("\n")[0]).parse_args()
    against_bisection_and_milp()
    multiplier_pair()
    scaling()
    several_constraints()
    whole_front()


if __name__ == "__main__":
    main()
