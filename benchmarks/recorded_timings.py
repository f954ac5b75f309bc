"""How good a latency table of 100 networks is on recorded timings, over several draws of them.

    python -m benchmarks.recorded_timings [--draws 3] [--prior shared|linear] [--auto] [FILE ...]

The files are those that benchmarks.narrow_networks wrote, by default those of benchmarks/data. A
draw takes 68 networks of the set "covering" and 32 of "biased", so that about every third covers
the range, as in new samples files. Errors are relative, root mean square (mean; least to greatest
of the draws), in per cent, on random networks, uniform ones and answers of searches. The shares
inside the 90 % interval are those of the fastest, middle and slowest third of the latency range, of
all draws together. "Excess": for 12 targets and random scores, the answer is the network of the
highest score among those predicted to meet the target, without the draw's own and the answers of
searches; by how much it takes longer than predicted, in the mean and in 10 of 12. "Noise" is what
the spread of its runs lets one expect of one measurement. K and R are 100, or cross-validated with
--auto.
"""

if __name__ == "__main__":  # before the imports that take seconds
    from utils.startup import prepare

    prepare()

import argparse
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.latency_fit import DATA
from benchmarks.optimiser_bias import answers
from nas.latency_fit import count_matrix
from nas.prior import PRIORS, SHARED
from nas.search_space import SearchSpace
from nas.validation.conformal import Interval
from nas.validation.cross_validation import AUTO
from nas.validation.prediction_errors import errors_by_thirds
from nas.validation.validated_fit import fit_validated
from pipeline.latency.samples import without_drift
from utils.json_lines import read_lines

TESTS = {"random": ("random", "uniform"), "uniform": ("uniform multipliers",), "front": ("front",)}
DRAWN = {"covering": 68, "biased": 32}
WEIGHT = 100.0
NOISE = 0.16  # of the interquartile range: standard error of the lower quartile of 40 normal runs


@dataclass(frozen=True)
class Recording:
    """The networks of a file, their latencies without drift, and the noise of each."""

    space: SearchSpace
    sets: np.ndarray  # (n,), the set that each network belongs to
    configurations: np.ndarray  # (n, layers)
    latencies_ms: np.ndarray  # (n,)
    noise: np.ndarray  # (n,), relative

    @classmethod
    def read(cls, path):
        """Read a file whose name ends with the side of the images."""
        lines = [line for _, line in read_lines(path)]
        samples, _ = without_drift([(tuple(widths), *rest) for _, widths, *rest in lines])
        configurations, latencies_ms = map(np.array, zip(*samples, strict=True))
        details = [line[3] for line in lines]
        noise = np.array([NOISE * each["iqr_ms"] / each["median_ms"] for each in details])
        sets = np.array([line[0] for line in lines])
        space = SearchSpace(int(path.stem.rpartition("_")[2]))
        return cls(space, sets, configurations, latencies_ms, noise)

    def of(self, *names):
        """Return the indices of the networks of some sets."""
        return np.flatnonzero(np.isin(self.sets, names))

    def draw(self, rng):
        """Return the indices of the networks of one draw."""
        parts = [rng.choice(self.of(name), n, replace=False) for name, n in DRAWN.items()]
        return np.concatenate(parts)


def tested(recording, seed, prior, weights):
    """Return (errors, excess) of a table of one draw.

    errors: {test: (predicted / measured - 1, inside the interval per third, networks per third)}
    excess: (mean, of 10 of 12) of the answers
    """
    rng = np.random.default_rng(seed)
    own = recording.draw(rng)
    configurations, latencies_ms = recording.configurations, recording.latencies_ms
    samples = [(tuple(configurations[i].tolist()), latencies_ms[i]) for i in own]
    table = fit_validated(samples, recording.space, rng, *weights, prior=prior)
    predicted_ms = count_matrix(recording.space, configurations) @ table.values(recording.space)
    errors = {}
    for test, names in TESTS.items():
        chosen = recording.of(*names)
        if not len(chosen):
            continue
        pair = predicted_ms[chosen], latencies_ms[chosen]
        thirds = errors_by_thirds(*pair, interval=Interval.of(table))
        counts = np.array([third.networks for third in thirds])
        inside = np.nan_to_num([third.inside for third in thirds]) * counts
        errors[test] = pair[0] / pair[1] - 1, inside, counts
    others = np.setdiff1d(np.flatnonzero(recording.sets != "front"), own)
    found = answers(predicted_ms[others], configurations[others], rng)
    answer = others[[index for _, index in found]]
    excess = np.sort(latencies_ms[answer] / predicted_ms[answer] - 1)
    return errors, (excess.mean(), excess[9])


def report(path, draws, prior, weights):
    """Print a file's noise, and the errors and intervals of tables of several draws."""
    recording = Recording.read(path)
    results = [tested(recording, seed, prior, weights) for seed in range(draws)]
    print(f"{path.stem}, prior {prior}, {draws} draws")
    for test in results[0][0]:
        parts = [errors[test] for errors, _ in results]
        rms = [100 * np.sqrt(np.mean(part[0] ** 2)) for part in parts]
        mean = 100 * np.mean([part[0] for part in parts])
        inside, networks = (sum(part[i] for part in parts) for i in (1, 2))
        noise = 100 * np.sqrt(np.mean(recording.noise[recording.of(*TESTS[test])] ** 2))
        shares = ", ".join(
            f"{100 * a / n:.0f}" if n else "–" for a, n in zip(inside, networks, strict=True)
        )
        print(
            f"  {test:8} {np.mean(rms):5.2f} ({mean:+.1f}; {min(rms):.2f} to {max(rms):.2f}), "
            f"noise {noise:.1f}; inside: {shares} %",
            flush=True,
        )
    mean, most = 100 * np.mean([excess for _, excess in results], axis=0)
    print(f"  excess {mean:+.2f} %, of 10 of 12 {most:+.2f} %", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    recorded = sorted((DATA / "narrow_networks").glob("*.jsonl"))
    parser.add_argument("files", nargs="*", type=Path, default=recorded, help="recorded timings")
    parser.add_argument("--draws", type=int, default=3, help="draws of 100 networks (3)")
    parser.add_argument("--prior", choices=tuple(PRIORS), default=SHARED)
    parser.add_argument("--auto", action="store_true", help="cross-validate K and R")
    args = parser.parse_args()
    for path in args.files:
        report(path, args.draws, args.prior, (AUTO, AUTO) if args.auto else (WEIGHT, WEIGHT))


if __name__ == "__main__":
    main()
