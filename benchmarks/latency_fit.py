"""How good a latency table from few samples is, compared with Eq. (7) of the paper and its code.

    python -m benchmarks.latency_fit [--draws 8] [--repeats 3]

Errors are root mean squares, in per cent of the mean latency, on networks that were not fitted: the
200 measured ones of benchmarks/data, or 400 of a synthetic device, whose noise-free latency is the
truth. "K and R", "R alone" and "K alone" use the best weights in hindsight. Each goal is printed
beside what was reached. It takes 8 to 14 minutes.
"""

if __name__ == "__main__":  # before the imports that take seconds
    from utils.startup import prepare

    prepare()

import argparse
import json
import multiprocessing
import resource
import time
from pathlib import Path

import cvxpy as cp
import numpy as np
from tqdm import tqdm

from benchmarks.oracles.reference_pipeline import (
    deterministic_biased,
    fit_eq7,
    released_pairs,
    unrelated,
)
from benchmarks.oracles.synthetic_device import SyntheticDevice
from nas import fit_problem
from nas.latency_fit import count_matrix, fit
from nas.sampling import BiasedSampler
from nas.search_space import SearchSpace
from nas.validation.conformal import Interval
from nas.validation.validated_fit import fit_validated
from utils.progress import progress_bar

DATA = Path(__file__).parent / "data"
SPACE = SearchSpace()
TILES = (8, 16, 32, 64)


def say(text):
    """Print a line above the progress bar."""
    tqdm.write(text)


def demand(name, value, limit, unit="%"):
    """Print a goal, what was reached, their ratio and whether the goal was met."""
    verdict = "holds" if value <= limit else "FAILS"
    say(f"  {verdict}: {name}: {value:.3g} {unit}, at most {limit:.3g}: ratio {value / limit:.2f}")


def covered(shares):
    """Print the coverage of the 90 % interval in per cent, and whether it is 86 to 94."""
    verdict = "holds" if 86 <= np.mean(shares) <= 94 else "FAILS"
    each = ", ".join(f"{share:.1f}" for share in shares)
    say(f"  {verdict}: inside the 90 % interval: {np.mean(shares):.1f} % ({each}), 86 to 94 wanted")


def error(values_ms, configurations, latencies_ms):
    """Return the error of a table on networks, in per cent of their mean latency."""
    predicted_ms = count_matrix(SPACE, configurations) @ values_ms
    latencies_ms = np.asarray(latencies_ms)
    return 100 * np.sqrt(np.mean((predicted_ms - latencies_ms) ** 2)) / latencies_ms.mean()


def automatic(samples, seed):
    """Return (values in ms, table) of `latency.py fit` with its default options."""
    table = fit_validated(samples, SPACE, np.random.default_rng(seed))
    return table.values(SPACE), table


def coverage(table, configurations, measured_ms):
    """Return the share of measured networks inside the table's interval, in per cent."""
    predicted_ms = count_matrix(SPACE, configurations) @ table.values(SPACE)
    return 100 * Interval.of(table).coverage(predicted_ms, np.asarray(measured_ms))


def chosen(table):
    """Return the weights of a table as text."""
    report = table.metadata.fit
    return f"K {report.regularize:g}, R {report.strength:.3g}"


def read(name):
    """Return (configurations, latencies in ms) of a file of real timings."""
    lines = [json.loads(line) for line in (DATA / name).read_text().splitlines()]
    return [tuple(line[0]) for line in lines], [line[1] for line in lines]


def real_timings(draws, bar):
    """Compare on real timings: 800 samples, and 100 of them at random, `draws` times."""
    say("Real timings (onnxruntime, one thread), error on 200 held-out networks")
    configurations, latencies_ms = read("onnxruntime_train.jsonl")
    held_out = read("onnxruntime_val.jsonl")
    samples = list(zip(configurations, latencies_ms, strict=True))
    plain = error(fit_eq7(SPACE, configurations, latencies_ms), *held_out)
    wrong = error(fit_eq7(SPACE, configurations, latencies_ms, "released"), *held_out)
    say(f"  Eq. (7), K = 100, 800 samples: {plain:.2f} %; with the released pairs {wrong:.2f} %")
    values_ms, table = automatic(samples, 0)
    bar.update()
    shares = [coverage(table, *held_out)]
    demand(f"800 samples ({chosen(table)})", error(values_ms, *held_out), 3.1)
    covered(shares)

    errors, shares = [], []
    for seed in range(draws):
        drawn = np.random.default_rng(seed).choice(len(samples), 100, replace=False)
        values_ms, table = automatic([samples[i] for i in drawn], seed)
        bar.update()
        errors.append(error(values_ms, *held_out))
        shares.append(coverage(table, *held_out))
    say(f"  100 samples: {', '.join(f'{e:.2f}' for e in errors)} % in {draws} random draws")
    demand("100 samples, median, against Eq. (7) with 800", float(np.median(errors)), plain)
    covered(shares)
    values_ms, table = automatic(samples[:100], 0)
    bar.update()
    say(
        f"  the first 100 samples, all of one quiet hour: {error(values_ms, *held_out):.2f} %, "
        f"{coverage(table, *held_out):.0f} % inside: an interval knows no drift it has not seen"
    )


def synthetic_device(tile, bar):
    """Compare on a synthetic device: 500 and 8,000 samples; returns the coverage with 500."""
    say(f"Synthetic device, tiles of {tile} channels, 1 % noise, error on 400 networks' true time")
    device = SyntheticDevice(SPACE, tile)
    rng = np.random.default_rng(tile)
    others = [SPACE.draw_uniform(rng) for _ in range(400)]
    truth = others, device.true_ms(others)
    measured_ms = device.measure(others, rng)
    sampler = BiasedSampler(SPACE)
    ours = [sampler.draw(rng) for _ in range(8000)]
    samples = list(zip(ours, device.measure(ours, rng), strict=True))
    theirs = deterministic_biased(SPACE, 8000)
    their_ms = device.measure(theirs, rng)
    reference = error(fit_eq7(SPACE, theirs, their_ms, "released"), *truth)
    repaired = error(fit_eq7(SPACE, theirs, their_ms), *truth)
    bar.update()

    values_ms, table = automatic(samples[:500], 0)
    few = error(values_ms, *truth)
    bar.update()
    say(f"  the reference's 8,000 samples: {reference:.2f} %, its pairs mended {repaired:.2f} %")
    demand(f"500 samples ({chosen(table)}), against the reference's 8,000", few, reference)
    demand("500 samples, against the reference's 8,000 with its pairs mended", few, repaired)
    many = fit(samples, SPACE, 100, strength=10)
    demand("8,000 samples (K 100, R 10)", error(many.values(SPACE), *truth), 0.7)
    bar.update()
    for count in (500, 1000, 2000):
        both, prior, order = (
            min(
                error(fit(samples[:count], SPACE, k, strength=r).values(SPACE), *truth)
                for k in weights_k
                for r in weights_r
            )
            for weights_k, weights_r in (
                ((100,), (0.1, 1, 10, 100)),
                ((0,), (0.1, 1, 10, 100)),
                ((1, 10, 100, 1000), (0,)),
            )
        )
        say(
            f"  {count} samples: K and R {both:.2f} %, R alone {prior:.2f} %, K alone {order:.2f} %"
        )
        bar.update()
    return coverage(table, others, measured_ms)


def one_fit(connection):
    """Fit 8,000 samples and send (seconds, peak memory in gigabytes, objective)."""
    rng = np.random.default_rng(0)
    configurations = [SPACE.draw_uniform(rng) for _ in range(8000)]
    latencies_ms = SyntheticDevice(SPACE).measure(configurations, rng)
    start = time.perf_counter()
    table = fit(list(zip(configurations, latencies_ms, strict=True)), SPACE, 100, strength=10)
    seconds = time.perf_counter() - start
    gigabytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    connection.send((seconds, gigabytes, table.metadata.fit.objective))


def one_fit_by_clarabel(connection):
    """The same with another solver, an interior-point method, as the plain twin."""
    fit_problem.SOLVER, fit_problem.SOLVER_OPTIONS = cp.CLARABEL, {}
    one_fit(connection)


def in_a_process(function):
    """Return what `function` sends from a fresh process."""
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=function, args=(sender,))
    process.start()
    result = receiver.recv()
    process.join()
    return result


def cost(repeats, bar):
    """Measure a fit of 8,000 samples: time, memory, and how close to the optimum it is."""
    say("A fit of 8,000 samples with K and R, in a process of its own")
    runs, twins = [], []
    for _ in range(repeats):
        runs.append(in_a_process(one_fit))
        twins.append(in_a_process(one_fit_by_clarabel))
        bar.update()
    (seconds, gigabytes, objective), (twin_s, _, twin) = np.median(runs, 0), np.median(twins, 0)
    low, high = np.min(runs, 0)[0], np.max(runs, 0)[0]
    demand(f"time, median of {repeats} ({low:.1f} to {high:.1f} s)", seconds, 10, "s")
    demand("memory", gigabytes, 1, "GiB")
    say(f"  the time of Clarabel, {twin_s:.1f} s, is {twin_s / seconds:.1f} times that of SCS")
    say(f"  objective above Clarabel's: {objective / twin - 1:+.1e} of it")


def main():
    """Run all comparisons."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--draws", type=int, default=8, help="draws of 100 real samples (8)")
    parser.add_argument("--repeats", type=int, default=3, help="of the timing (3)")
    args = parser.parse_args()
    wrong = released_pairs(SPACE.variables)
    say(
        f"released pairs, reconstructed: {unrelated(wrong, SPACE.variables)} order unrelated layers"
    )
    with progress_bar(total=2 + args.draws + 6 * len(TILES) + args.repeats) as bar:
        real_timings(args.draws, bar)
        covered([synthetic_device(tile, bar) for tile in TILES])
        cost(args.repeats, bar)


if __name__ == "__main__":
    main()
