"""How good a latency table is where searches answer: from the narrowest network to the widest.

    python -m benchmarks.narrow_networks --synthetic
    python -m benchmarks.narrow_networks output/narrow.jsonl -D onnxruntime --input-size 32

Tables of 100 samples of each design are compared on 100 random networks, the uniform networks of
all multipliers, and 40 answers of searches for random scores with the table of the covering
samples; these are timed a second time, which tells the noise. On a runtime, all are timed in rounds
beside the reference network, whose drift is divided out; each is a line of the file, and a second
run goes on where the first one ended. On the synthetic devices nothing is timed, and the noise-free
latency is the truth. Errors are relative, root mean square, in per cent.
"""

if __name__ == "__main__":  # before the imports that take seconds
    from utils.startup import prepare

    prepare()

import argparse
import itertools
from dataclasses import replace
from pathlib import Path

import numpy as np
from tqdm import tqdm

from benchmarks.oracles import search_instances
from benchmarks.oracles.synthetic_device import SyntheticDevice
from nas import ows
from nas.latency_fit import count_matrix, fit
from nas.prior import PRIORS
from nas.sampling import DESIGNS, draw_configurations
from nas.search_space import SearchSpace
from nas.validation.conformal import Interval
from nas.validation.cross_validation import AUTO, FOLDS, CrossValidator, choose, number_of_trials
from nas.validation.prediction_errors import errors_by_thirds, relative_rms
from nas.validation.validated_fit import fit_validated
from pipeline.latency.samples import sample_line, without_drift
from utils.devices import open_device
from utils.devices.bench import Bench, Protocol
from utils.devices.workload import Workload
from utils.json_lines import Appender, read_lines
from utils.progress import progress_bar

SAMPLES, HELD_OUT, FRONT = 100, 100, 40
TESTS = ("random", "uniform multipliers", "front")
AGAIN = ", again"  # the same networks, timed a second time
WEIGHTS = (100.0, 100.0)  # K and R
FAR = 0.1  # relative error


def first_plan(space):
    """Return (set, configuration) of all networks but the front, mixed, always in one order."""
    plan = []
    for seed, design in enumerate(DESIGNS):
        draws = draw_configurations(space, seed, design, 1, [])
        plan += [(design, configuration) for configuration in itertools.islice(draws, SAMPLES)]
    rng = np.random.default_rng(99)
    plan += [("random", space.draw_uniform(rng)) for _ in range(HELD_OUT)]
    plan += [
        ("uniform multipliers", configuration) for configuration in space.uniform_multipliers()
    ]
    return [plan[index] for index in rng.permutation(len(plan))]


def front(space, table):
    """Return the answers of searches for random scores, at targets over the table's range.

    In random order: a group of small networks alone leaves the caches to the reference network.
    """
    pairwise = table.pairwise(space)
    rng = np.random.default_rng(7)
    ends_ms = table.predict(space.smallest), table.predict(space.largest)
    answers = []
    for target_ms in np.geomspace(1.05 * ends_ms[0], 0.95 * ends_ms[1], FRONT):
        scores = search_instances.scores(space.choices, rng)
        answers.append(ows.search(scores, pairwise, target_ms, "lagrangian").configuration(space))
    different = list(dict.fromkeys(answers))
    return [different[index] for index in rng.permutation(len(different))]


def fit_covering(space, samples):
    """Return the table of the covering samples, with the project's own fit."""
    own = [(configuration, ms) for name, configuration, ms in samples if name == "covering"]
    return fit_validated(own, space, np.random.default_rng(0), *WEIGHTS)


class Synthetic:
    """Measures on a synthetic device, with noise; `truth_ms` is without."""

    def __init__(self, device):
        self.device, self.space = device, device.space

    def measure(self, plan):
        configurations = [configuration for _, configuration in plan]
        latencies_ms = self.device.measure(configurations, np.random.default_rng(1)).tolist()
        return [(*each, ms) for each, ms in zip(plan, latencies_ms, strict=True)]

    def truth_ms(self, samples):
        return self.device.true_ms([configuration for _, configuration, _ in samples])


class Runtime:
    """Measures on a runtime, into a file of lines [set, widths, latency in ms, details]."""

    def __init__(self, args):
        self.space = SearchSpace(args.input_size, args.classes)
        self.path = Path(args.file)
        self.workload = Workload(1, args.input_size, args.classes, clock="cpu")
        self.protocol = Protocol.for_device(args.device, 1, iterations=args.iterations)
        self.device = open_device(args.device, self.workload)

    def measure(self, plan):
        """Return the samples of a plan, without drift; times what the file does not hold yet."""
        done = [line for _, line in read_lines(self.path)] if self.path.exists() else []
        known = {(line[0], tuple(line[1])) for line in done}
        left = [each for each in plan if each not in known]
        networks = [self.space.network_of(configuration) for _, configuration in left]
        reference, largest = self.space.reference, self.space.network_of(self.space.largest)
        rng = np.random.default_rng(len(done))
        names = iter(left)
        with (
            Appender(self.path) as file,
            Bench(self.device, reference, self.workload, self.protocol, rng) as bench,
            progress_bar(desc="timing networks", total=len(left)) as bar,
        ):
            for group, timed in bench.time_groups(networks, largest):
                lines = [
                    [next(names)[0], *sample_line(*pair, self.workload, self.protocol)]
                    for pair in zip(group, timed, strict=True)
                ]
                file.append(lines)
                done += lines
                bar.update(len(lines))
        samples, _ = without_drift([(tuple(widths), *rest) for _, widths, *rest in done])
        return [(line[0], *sample) for line, sample in zip(done, samples, strict=True)]

    def truth_ms(self, samples):
        return np.array([ms for *_, ms in samples])


def errors_text(errors):
    """Return the root mean square, mean and greatest of relative errors as text, in per cent."""
    rms, largest = np.sqrt(np.mean(errors**2)), errors[np.abs(errors).argmax()]
    return f"{100 * rms:5.2f} ({100 * errors.mean():+5.1f}, {100 * largest:+6.1f})"


def compare(name, source):
    """Measure, fit all priors to all designs, and print their errors and the intervals'."""
    plan = first_plan(source.space)
    table = fit_covering(source.space, source.measure(plan))
    plan += [("front", configuration) for configuration in front(source.space, table)]
    plan += [(f"{test}{AGAIN}", configuration) for test, configuration in plan if test in TESTS]
    samples = source.measure(plan)
    tests = {test: [each for each in samples if each[0] == test] for test in TESTS}
    counts = {
        test: count_matrix(source.space, [configuration for _, configuration, _ in group])
        for test, group in tests.items()
    }
    truth_ms = {test: source.truth_ms(group) for test, group in tests.items()}
    tqdm.write(f"{name}: root mean square (mean, greatest) of predicted / measured - 1, per cent")
    tqdm.write(f"  {'':42}" + "".join(f"{test:>23}" for test in TESTS))
    for design, prior in itertools.product(DESIGNS, PRIORS):
        own = [tuple(sample) for name, *sample in samples if name == design]
        values_ms = fit_by_cross_validation(source.space, own, prior)
        texts = [errors_text(counts[test] @ values_ms / truth_ms[test] - 1) for test in TESTS]
        tqdm.write(f"  {design:9} {prior:32}" + "".join(f"{text:>23}" for text in texts))
    intervals(table, tests)
    repeatability(table, tests, samples)


def fit_by_cross_validation(space, samples, prior):
    """Return the entries in ms, (variables,), of the table with the R of least error."""
    regularize, total = WEIGHTS[0], number_of_trials(WEIGHTS[0], AUTO) * FOLDS
    with progress_bar(desc="fitting", total=total, leave=False) as bar:
        validator = CrossValidator(samples, space, np.random.default_rng(0), prior=prior)
        best, _ = choose(validator, regularize, tick=bar.update)
    return fit(samples, space, regularize, best.strength, prior=prior).values(space)


def intervals(table, tests):
    """Print what share is inside the interval of the covering samples' table, by thirds."""
    interval = Interval.of(table)
    plain = replace(interval, scale=type(interval.scale)())
    for test, group in tests.items():
        _, configurations, measured_ms = zip(*group, strict=True)
        predicted_ms = [table.predict(configuration) for configuration in configurations]
        for kind, one in (("scaled", interval), ("constant", plain)):
            thirds = errors_by_thirds(predicted_ms, measured_ms, interval=one)
            inside = ", ".join(f"{100 * third.inside:.0f} of {third.networks}" for third in thirds)
            rms = 100 * relative_rms(predicted_ms, measured_ms)
            tqdm.write(f"  {test}: error {rms:.2f}; % inside the {kind} interval, thirds: {inside}")


def repeatability(table, tests, samples):
    """Print how far two measurements disagree, and how many predictions are far from both."""
    for test, group in tests.items():
        again = {c: ms for name, c, ms in samples if name == test + AGAIN}
        _, configurations, first_ms = zip(*group, strict=True)
        ratios = np.array(first_ms) / [again[c] for c in configurations]
        noise = 100 * np.sqrt(np.mean(np.log(ratios) ** 2) / 2)
        pairs = zip(configurations, first_ms, strict=True)
        predicted = [(table.predict(c), (ms, again[c])) for c, ms in pairs]
        far = sum(_is_far(ms, both) for ms, both in predicted)
        tqdm.write(
            f"  {test}: noise of one measurement {noise:.2f} %; more than {FAR:.0%} from both "
            f"measurements: {far} of {len(group)}"
        )


def _is_far(predicted_ms, measured_ms):
    """Return whether a prediction is FAR above, or below, all measurements."""
    errors = [predicted_ms / ms - 1 for ms in measured_ms]
    return min(errors) > FAR or max(errors) < -FAR


def synthetic_devices(space):
    """Return named synthetic devices, with and without a floor of small layers."""
    return {
        "tiles of 8": SyntheticDevice(space, 8),
        "tiles of 32": SyntheticDevice(space, 32),
        "tiles of 16, floor": SyntheticDevice(space, 16, launch_ms=1e-4, floor_ms=0.006),
        "tiles of 32, high floor": SyntheticDevice(space, 32, launch_ms=1e-4, floor_ms=0.015),
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("file", nargs="?", help="file of the measurements, which goes on")
    parser.add_argument("--synthetic", action="store_true", help="on synthetic devices")
    parser.add_argument("-D", "--device", default="onnxruntime")
    parser.add_argument("--input-size", type=int, default=32)
    parser.add_argument("--classes", type=int, default=1000)
    parser.add_argument("--iterations", type=int, default=60, help="timed runs of each (60)")
    args = parser.parse_args()
    if args.synthetic == bool(args.file):
        parser.error("give either a file or --synthetic")
    if args.synthetic:
        for name, device in synthetic_devices(SearchSpace()).items():
            compare(f"synthetic device, {name}", Synthetic(device))
    else:
        compare(f"{args.device}, {args.input_size}×{args.input_size}", Runtime(args))


if __name__ == "__main__":
    main()
