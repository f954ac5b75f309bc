"""How many rounds the loop of search and measurement takes, on a device made of real timings.

    python -m benchmarks.verification [--searches 20] [--samples 100]

The device: the latency of a network is what the table of all 1,000 measured networks of
benchmarks/data predicts, times 1 + an error that is drawn, once for each network, from that table's
errors on left-out networks. For each target, from 20 to 80 % between the fastest and the largest
network, the user has a table of 100 samples drawn at random, and verifies the answer. (Not of the
first 100, timed in a quiet hour: the others take 2.4 % longer than a table of these says.) Takes a
few minutes.
"""

if __name__ == "__main__":  # before the imports that take seconds
    from utils.startup import prepare

    prepare()

import argparse
import hashlib
import tempfile
from collections import Counter
from pathlib import Path

import numpy as np
from tqdm import tqdm

from benchmarks.latency_fit import read
from benchmarks.oracles import search_instances
from nas.search_space import SearchSpace
from nas.supernet_search import SupernetSearch
from nas.validation.conformal import Residuals
from nas.validation.validated_fit import fit_validated
from pipeline.search.limits import LatencyLimit
from pipeline.search.settings import Reports
from pipeline.search.verification import ROUNDS, verify
from utils.errors import UserError
from utils.json_lines import write_lines, write_metadata
from utils.metadata import Metadata
from utils.progress import progress_bar

SPACE = SearchSpace()
WEIGHTS = (100.0, 100.0)  # K and R, near what cross-validation chooses on these samples


def measured_networks():
    """Return the (configuration, ms per image) of the embedded samples."""
    names = ("onnxruntime_train.jsonl", "onnxruntime_val.jsonl")
    return [sample for name in names for sample in zip(*read(name), strict=True)]


class Device:
    """Times any network of the space; see above."""

    def __init__(self, samples):
        self.table = fit_validated(samples, SPACE, np.random.default_rng(0), *WEIGHTS)
        self.errors = Residuals.of(self.table).values

    def latency_ms(self, configuration):
        digest = hashlib.sha256(str(tuple(configuration)).encode()).digest()
        error = self.errors[int.from_bytes(digest[:8], "big") % len(self.errors)]
        return self.table.predict(configuration) * (1 + float(error))

    def measure(self, metadata, configurations, seed):
        return [[list(c), self.latency_ms(c), {}] for c in configurations]


def search_on_random_scores(limit, rng):
    """Return a SupernetSearch whose statistics say that wider is better, to random degrees."""
    search = SupernetSearch(SPACE, [limit.constraint(SPACE)], window=1000)
    scores = search_instances.scores(SPACE.choices, rng)
    states = rng.integers(SPACE.sizes, size=(5000, len(SPACE.sizes)))
    losses = -sum(psi[column] for psi, column in zip(scores, states.T, strict=True))
    search.record(states, losses * len(scores), np.zeros(len(states)))
    return search


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--searches", type=int, default=20)
    parser.add_argument("--samples", type=int, default=100, help="networks the user has measured")
    options = parser.parse_args()
    samples = measured_networks()
    device = Device(samples)
    rounds, unused, predicted_met, excess = Counter(), [], 0, []
    shares = np.linspace(0.2, 0.8, options.searches).tolist()
    for seed, share in enumerate(progress_bar(shares, "searches")):
        rng = np.random.default_rng(seed)
        known = [samples[i] for i in rng.choice(len(samples), options.samples, replace=False)]
        table = fit_validated(known, SPACE, rng, *WEIGHTS)
        fastest, slowest = table.predict(SPACE.smallest), table.predict(SPACE.largest)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "samples.jsonl")
            write_lines(path, [[list(c), ms] for c, ms in known])
            write_metadata(path, Metadata().stating(search_space=SPACE.as_dict()))
            limit = LatencyLimit(table, fastest + share * (slowest - fastest))
            search = search_on_random_scores(limit, rng)
            plain = SPACE.configuration_at(search.best().states)
            excess.append(device.latency_ms(plain) / table.predict(plain) - 1)
            predicted_met += device.latency_ms(plain) <= limit.target_ms
            asked = Reports(expname=folder, seed=seed, samples=str(path))
            try:
                verified = verify(asked, search, [limit], device.measure)
            except UserError as error:
                tqdm.write(str(error))
                rounds["none"] += 1
                continue
            rounds[verified.rounds] += 1
            unused.append(1 - verified.measured_ms / limit.target_ms)
    print(
        f"table of {options.samples} samples; {options.searches} targets, at most {ROUNDS} rounds"
    )
    print(f"  answers that meet the target without verification: {predicted_met}")
    most = np.sort(excess)[-(-10 * len(excess) // 12) - 1]
    print(
        f"  first answers exceed their prediction by {np.mean(excess):+.2%} in the mean, "
        f"by at most {most:+.2%} in 10 of 12"
    )
    for number, count in sorted(rounds.items(), key=str):
        print(f"  verified in {number} round(s): {count}")
    low, median, high = np.percentile(np.multiply(unused, 100), (25, 50, 75))
    print(f"  latency left unused: {median:.2g} % ({low:.2g} to {high:.2g})")


if __name__ == "__main__":
    main()
