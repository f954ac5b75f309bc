"""A latency table beside what one would write instead: scikit-learn's regressors.

    python -m benchmarks.regressors [--draws 8] [--only embedded|narrow]

They are fitted to the same networks as the table, whose K and R are fixed: benchmarks.latency_fit
chooses them, and takes longer. First to the networks of benchmarks/data: 100 drawn at
random, several times, and all 800; errors are root mean squares on 200 others, in per cent of their
mean latency. Then to the 100 covering samples of each file of benchmarks/data/narrow_networks;
errors are relative, on random networks, on uniform ones and on answers of searches.

Forest, boosting, MLP and Gaussian process see the widths of the layers, as scikit-learn makes them
but for more trees and for noise. The others are told more of what takes time: "of products" see the
products of each layer's widths, the line sees the multiply-accumulate operations.
"""

if __name__ == "__main__":  # before the imports that take seconds
    from utils.startup import prepare

    prepare()

import argparse
import warnings

import numpy as np
from sklearn.compose import TransformedTargetRegressor
from sklearn.ensemble import GradientBoostingRegressor, RandomForestRegressor
from sklearn.exceptions import ConvergenceWarning
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, ConstantKernel, WhiteKernel
from sklearn.linear_model import LinearRegression, RidgeCV
from sklearn.neural_network import MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from benchmarks.latency_fit import DATA, read
from nas.latency_fit import fit
from nas.search_space import SearchSpace
from nas.validation.prediction_errors import relative_rms
from pipeline.latency.samples import without_drift
from utils.json_lines import read_lines

TABLE = "latency table"
TESTS = ("random", "uniform multipliers", "front")
WEIGHTS = (100.0, 100.0)  # K and R of the table


def widths(space, configurations):
    """Return the widths of the layers, floats (n, layers)."""
    return np.array(configurations, dtype=float)


def products(space, configurations):
    """Return each width times the one before it, floats (n, layers + 1)."""
    inner = np.array(configurations, dtype=float)
    ends = np.full((len(inner), 1), 3.0), np.full((len(inner), 1), float(space.classes))
    return np.hstack([ends[0], inner]) * np.hstack([inner, ends[1]])


def macs(space, configurations):
    """Return the multiply-accumulate operations, floats (n, 1)."""
    return np.array([[space.network_of(each).macs] for each in configurations], dtype=float)


def gaussian_process(seed):
    """Return a Gaussian process with noise, its scales fitted by maximum likelihood."""
    kernel = ConstantKernel(1.0, (1e-3, 1e6)) * RBF(5.0, (0.1, 1e4)) + WhiteKernel(1e-2, (1e-7, 1))
    return GaussianProcessRegressor(kernel, n_restarts_optimizer=2, random_state=seed)


REGRESSORS = {  # name: (what it sees, how it is made from a seed)
    "random forest": (widths, lambda seed: RandomForestRegressor(500, random_state=seed)),
    "gradient boosting": (
        widths,
        lambda seed: GradientBoostingRegressor(n_estimators=500, random_state=seed),
    ),
    "MLP": (
        widths,
        lambda seed: MLPRegressor(hidden_layer_sizes=(100, 100), max_iter=5000, random_state=seed),
    ),
    "Gaussian process": (widths, gaussian_process),
    "process of products": (products, gaussian_process),
    "ridge of products": (products, lambda seed: RidgeCV(np.logspace(-4, 4, 17))),
    "line in MACs": (macs, lambda seed: LinearRegression()),
}


def predictions(space, samples, others, seed=0):
    """Return {name: latencies in ms of other configurations} by a table and each regressor.

    samples: (configuration, latency in ms) pairs
    """
    table = fit(samples, space, *WEIGHTS)
    predicted = {TABLE: np.array([table.predict(configuration) for configuration in others])}
    fitted, latencies_ms = zip(*samples, strict=True)
    for name, (features, make) in REGRESSORS.items():
        model = make_pipeline(StandardScaler(), make(seed))
        model = TransformedTargetRegressor(model, transformer=StandardScaler())
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            model.fit(features(space, fitted), np.array(latencies_ms))
        predicted[name] = model.predict(features(space, others))
    return predicted


def error(predicted_ms, latencies_ms):
    """Return the root mean square error, in per cent of the mean latency."""
    difference = np.asarray(predicted_ms) - np.asarray(latencies_ms)
    return 100 * np.sqrt(np.mean(difference**2)) / np.mean(latencies_ms)


def embedded(draws):
    """Print the errors on the embedded samples, fitted to 100 and to 800 networks."""
    space, samples = SearchSpace(), list(zip(*read("onnxruntime_train.jsonl"), strict=True))
    others, measured_ms = read("onnxruntime_val.jsonl")
    for size, seeds in ((100, range(draws)), (len(samples), [0])):
        errors = {}
        for seed in seeds:
            chosen = np.random.default_rng(seed).choice(len(samples), size, replace=False)
            predicted = predictions(space, [samples[i] for i in chosen], others, seed)
            for name, ms in predicted.items():
                errors.setdefault(name, []).append(error(ms, measured_ms))
        print(f"{size} networks, median of {len(seeds)} draws (least to greatest)")
        for name, values in errors.items():
            low, middle, high = np.quantile(values, [0, 0.5, 1])
            print(f"  {name:20} {middle:6.2f} % ({low:.2f} to {high:.2f})", flush=True)


def narrow(path):
    """Print the errors of what is fitted to a file's covering samples on its other networks."""
    lines = [line for _, line in read_lines(path)]
    samples, _ = without_drift([(tuple(line[1]), *line[2:]) for line in lines])
    sets = {name: [] for name in ("covering", *TESTS)}
    for line, sample in zip(lines, samples, strict=True):
        sets.setdefault(line[0], []).append(sample)
    space = SearchSpace(int(path.stem.rpartition("_")[2]))
    tests = {name: zip(*sets[name], strict=True) for name in TESTS if sets[name]}
    tests = {name: tuple(pair) for name, pair in tests.items()}
    others = [each for configurations, _ in tests.values() for each in configurations]
    predicted = predictions(space, sets["covering"], others)
    print(f"{path.stem}: errors on {', '.join(tests)} networks, %")
    ends = np.cumsum([len(configurations) for configurations, _ in tests.values()])[:-1]
    for name, ms in predicted.items():
        parts = zip(np.split(ms, ends), tests.values(), strict=True)
        errors = [100 * relative_rms(part, np.array(real)) for part, (_, real) in parts]
        print(f"  {name:20}" + "".join(f"{value:7.1f}" for value in errors), flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--draws", type=int, default=8, help="draws of 100 networks")
    parser.add_argument("--only", choices=("embedded", "narrow"), help="one of the two parts")
    args = parser.parse_args()
    if args.only != "narrow":
        embedded(args.draws)
    if args.only != "embedded":
        for path in sorted((DATA / "narrow_networks").glob("*.jsonl")):
            narrow(path)


if __name__ == "__main__":
    main()
