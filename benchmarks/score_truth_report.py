"""How the scores of benchmarks.score_truth rank beside the accuracies of retrained networks."""

import numpy as np

from benchmarks.recorded_scores import DEFAULT, Recorded
from models.mobilenet_v1 import count_macs, count_parameters
from nas.prediction_errors import spearman
from utils.errors import UserError
from utils.records import atomic_write, write_lines

RESAMPLES = 2000  # of the bootstrap
WITHIN = 0.9  # share of the resamples inside the intervals that are printed
NO_TRAINING = "none"  # variant: no supernet
LATENCY = "predicted latency"


def write_report(benchmark, variants, results, folder):
    """Write score_truth.jsonl and score_truth.md into a folder; return the table as text.

    benchmark: a ScoreTruth; variants: names, the one that others are compared with first
    results:   {job: result}, of those that are finished
    """
    trained = benchmark.trained()
    if len(trained) < 3:
        raise UserError(f"{len(trained)} networks are trained from scratch: too few to compare")
    done = [name for name in variants if f"supernet/{name}" in results]
    if variants[0] not in done:
        raise UserError(f"the supernet {variants[0]!r}, which others are compared with, is missing")
    configurations, truth = list(trained), np.array(list(trained.values()))
    predictors = sizes(configurations, benchmark.accuracy.table(), benchmark.accuracy.space())
    recorded = {}
    for variant in done:
        recorded[variant] = Recorded(benchmark.supernet_folder(variant))
        scores = recorded[variant].scores(configurations)
        predictors |= {(variant, window): values for window, values in scores.items()}
    latency_ms = predictors[NO_TRAINING, LATENCY]
    rows = compare(predictors, truth, latency_ms, (variants[0], DEFAULT))
    write_lines(folder / "score_truth.jsonl", rows)
    missing = sorted(set(variants) - set(done))
    text = as_markdown(rows, benchmark.settings, truth, missing)
    text += noise_as_text(recorded[variants[0]])
    with atomic_write(folder / "score_truth.md", "w") as file:
        file.write(text)
    return text


def sizes(configurations, table, space):
    """Return {(NO_TRAINING, name): values (n,)}: what is known of configurations untrained."""
    size = space.input_size, space.classes, space.strides
    values = {
        "MACs": [count_macs(c, *size) for c in configurations],
        "parameters": [count_parameters(c, space.classes) for c in configurations],
        LATENCY: [table.predict(c) for c in configurations],
    }
    return {(NO_TRAINING, name): np.array(column) for name, column in values.items()}


def compare(predictors, truth, latency_ms, baseline, seed=0):
    """Return a dictionary per predictor: its rank correlations with the truth, and intervals.

    predictors: {(variant, what): values (n,)}; truth: accuracies (n,); latency_ms: (n,)
    baseline:   the key that differences are taken to, on the same resamples of the configurations
    """
    rng = np.random.default_rng(seed)
    drawn = rng.integers(len(truth), size=(RESAMPLES, len(truth)))
    correlations = {
        key: np.array([spearman(values[rows], truth[rows]) for rows in drawn])
        for key, values in predictors.items()
    }
    of_baseline = spearman(predictors[baseline], truth)
    rows = []
    for key, values in predictors.items():
        correlation = spearman(values, truth)
        row = {
            "variant": key[0],
            "what": key[1],
            "rank_correlation": correlation,
            "interval": _interval(correlations[key]),
            "difference": correlation - of_baseline,
            "difference_interval": _interval(correlations[key] - correlations[baseline]),
            "at_equal_latency": partial_spearman(values, truth, latency_ms),
        }
        rows.append(row)
    return rows


def _interval(values):
    tails = np.array([1 - WITHIN, 1 + WITHIN]) / 2
    return np.nanquantile(values, tails).tolist()


def partial_spearman(first, second, given):
    """Return the rank correlation of two arrays (n,) with that of a third taken out of both.

    NaN where one of them ranks as the third does.
    """
    between, a, b = spearman(first, second), spearman(first, given), spearman(second, given)
    rest = (1 - a**2) * (1 - b**2)
    return (between - a * b) / rest**0.5 if rest > 1e-12 else float("nan")


def noise_as_text(recorded):
    """Return sentences on how far the scores of a supernet stand out of their noise."""
    lines = ["", "How far a layer's scores stand out of their noise, in “ours”, medians:", ""]
    for window in recorded.windows:
        error, spread = recorded.noise(window)
        lines.append(
            f"- {window}: standard error of a score {error:.4f}, standard deviation of the scores "
            f"of a layer's widths {spread:.4f}"
        )
    return "\n".join([*lines, ""])


def as_markdown(rows, settings, truth, missing):
    """Return the table, with what it stands on."""
    lines = [
        "# What the additive score tells of networks trained from scratch",
        "",
        f"{len(truth)} random configurations on {settings.data}, trained from scratch for "
        f"{settings.epochs} epochs, once each: accuracies {truth.min():.1%} to "
        f"{truth.max():.1%}. Supernets: PyTorch, {settings.supernet_epochs} epochs, one seed. "
        "“ours”: cosine learning rate, masks where channels are mixed, batch statistics of all "
        "images, one configuration per image. Each other variant differs in what its name says.",
        "",
        f"ρ: Spearman's rank correlation with these accuracies, and its {WITHIN:.0%} interval over "
        f"{RESAMPLES} resamples of the configurations. Δ: its difference to that of “ours, "
        f"{DEFAULT}” on the same resamples. ρ at equal latency: the rank of the predicted latency "
        "taken out of both. Smoothed: the scores of each layer's widths as a quadratic function of "
        "the logarithm of the width.",
        "",
    ]
    if missing:
        lines += [f"**Not finished: {', '.join(missing)}.**", ""]
    lines += ["| supernet | score over, or else | ρ | Δ | ρ at equal latency |"]
    lines += ["| --- | --- | --- | --- | --- |"]
    for row in rows:
        columns = (
            row["variant"],
            row["what"],
            _with_interval(row["rank_correlation"], row["interval"], ".2f"),
            _with_interval(row["difference"], row["difference_interval"], "+.2f"),
            "–" if np.isnan(row["at_equal_latency"]) else f"{row['at_equal_latency']:.2f}",
        )
        lines.append(f"| {' | '.join(columns)} |")
    return "\n".join([*lines, ""])


def _with_interval(value, interval, form):
    low, high = (format(end, form) for end in interval)
    return f"{value:{form}} ({low} to {high})"
