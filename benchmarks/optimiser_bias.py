"""Does a search pick networks that its table predicts too fast? Real timings beside predictions.

    python -m benchmarks.optimiser_bias [--draws 4]

A table is fitted to 100 of the real timings of benchmarks/data; the others, about 900 networks that
it has not seen, are searched: ten times, for 12 targets and random scores, the answer is the
network of the highest score that is predicted to meet the target. Of all networks that look fast
enough, a search prefers those that look faster than they are; this shows by how much. Prints, per
prior, the excess of the answers' measured latency over their prediction.
"""

if __name__ == "__main__":  # before the imports that take seconds
    from utils.startup import prepare

    prepare()

import argparse

import numpy as np

from benchmarks.latency_fit import SPACE, demand, read, say
from benchmarks.oracles.search_instances import scores
from nas import mrf
from nas.latency_fit import count_matrix
from nas.prior import PRIORS
from nas.validation.validated_fit import fit_validated, number_of_fits
from utils.progress import progress_bar

TARGETS, SAMPLES = 12, 100
REPEATS = 10  # of the targets with other scores, for each table


def answers(predicted_ms, configurations, rng):
    """Return (target in ms, index of the network) for each target, from low to high ones."""
    states = [SPACE.states(configuration) for configuration in configurations]
    found = []
    for target_ms in np.quantile(predicted_ms, np.linspace(0.05, 0.95, TARGETS)):
        unary = scores(SPACE.choices, rng)
        values = np.array([mrf.unary_sum(unary, each) for each in states])
        values[predicted_ms > target_ms] = -np.inf
        found.append((target_ms, int(values.argmax())))
    return found


def one_draw(seed, prior, bar):
    """Return (excess over the prediction, is the target missed), (REPEATS, TARGETS) each."""
    train, held_out = read("onnxruntime_train.jsonl"), read("onnxruntime_val.jsonl")
    configurations = np.array([*train[0], *held_out[0]])
    latencies_ms = np.array([*train[1], *held_out[1]])
    order = np.random.default_rng(seed).permutation(len(train[0]))
    own = order[:SAMPLES]
    others = np.setdiff1d(np.arange(len(configurations)), own)
    samples = [(tuple(configurations[i]), latencies_ms[i]) for i in own]
    rng = np.random.default_rng(seed)
    table = fit_validated(samples, SPACE, rng, tick=bar.update, prior=prior)
    predicted_ms = count_matrix(SPACE, configurations[others]) @ table.values(SPACE)
    found = [answers(predicted_ms, configurations[others], rng) for _ in range(REPEATS)]
    targets_ms, indices = np.moveaxis(np.array(found), 2, 0)
    indices = indices.astype(int)
    measured_ms = latencies_ms[others][indices]
    return measured_ms / predicted_ms[indices] - 1, measured_ms > targets_ms


def main():
    """Compare the priors."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--draws", type=int, default=4, help="draws of 100 samples (4)")
    args = parser.parse_args()
    total = len(PRIORS) * args.draws * number_of_fits("auto", "auto")
    with progress_bar(total=total, desc="fitting") as bar:
        for prior in PRIORS:
            drawn = [one_draw(seed, prior, bar) for seed in range(args.draws)]
            excess, missed = map(np.concatenate, zip(*drawn, strict=True))
            say(f"prior {prior}: {TARGETS} targets, {args.draws} draws of {SAMPLES} samples")
            tenth = np.sort(excess, axis=1)[:, 9]
            demand("mean excess", 100 * float(excess.mean()), 1)
            demand("excess of 10 of 12", 100 * float(tenth.mean()), 3)
            say(f"  targets missed: {missed.sum(axis=1).mean():.1f} of {TARGETS}")


if __name__ == "__main__":
    main()
