"""How the scores of benchmarks.score_truth rank beside the accuracies of retrained networks."""

import numpy as np

from benchmarks.retraining.recorded_scores import DEFAULT, Recorded
from benchmarks.retraining.reports import unfinished, write_results
from benchmarks.retraining.score_truth_statistics import (
    RESAMPLES,
    WITHIN,
    compare,
    correlate,
    gain_of_monotone,
    repeatability,
)
from utils.errors import UserError

AS_SUB_NETWORKS = "ours, cut out of it"  # variant: the sub-networks themselves
NO_TRAINING = "none"  # variant: no supernet
LATENCY = "predicted latency"


def write_report(benchmark, variants, folder):
    """Write score_truth.jsonl and score_truth.md into a folder; return the table as text.

    benchmark: a ScoreTruth; variants: names, the one that others are compared with first
    """
    trained = benchmark.trained()
    if len(trained) < 3:
        raise UserError(f"{len(trained)} networks are trained from scratch: too few to compare")
    supernets = {variant: benchmark.supernets(variant) for variant in variants}
    ours = variants[0]
    if not supernets[ours]:
        raise UserError(f"the supernet {ours!r}, which others are compared with, is missing")
    recorded = {v: [Recorded(path) for path in supernets[v].values()] for v in variants}
    predictors = predictions(benchmark, recorded, list(trained))
    latency_ms = predictors[NO_TRAINING, LATENCY][0]
    accuracies = list(trained.values())
    truth = np.array([np.mean(of_it) for of_it in accuracies])
    correlations = correlate(predictors, truth)
    rows = compare(correlations, predictors, truth, latency_ms, (ours, DEFAULT))
    missing = [
        f"{variant}, seed {seed}"
        for variant, paths in supernets.items()
        for seed in benchmark.seeds
        if seed not in paths
    ]
    text = as_markdown(rows, benchmark.settings, accuracies, missing)
    windows = list(recorded[ours][0].windows)
    text += gain_as_text(gain_of_monotone(correlations, windows))
    text += noise_as_text(recorded[ours])
    write_results(folder, "score_truth", rows, text)
    return text


def predictions(benchmark, recorded, configurations):
    """Return {(variant, what): values (seeds, n)}: all that ranks n configurations.

    recorded: {variant: the Recorded of its supernets}
    """
    predictors = sizes(configurations, benchmark.accuracy.table, benchmark.accuracy.space)
    for variant, supernets in recorded.items():
        scores = [supernet.scores(configurations) for supernet in supernets]
        for window in scores[0] if scores else ():
            predictors[variant, window] = np.array([of_seed[window] for of_seed in scores])
    # A supernet that was queried before the last networks were trained does not count.
    of_seeds = [
        [accuracies[configuration] for configuration in configurations]
        for accuracies in benchmark.sub_networks()
        if accuracies.keys() >= set(configurations)
    ]
    if of_seeds:
        predictors[AS_SUB_NETWORKS, "accuracy on training images"] = np.array(of_seeds)
    return predictors


def sizes(configurations, table, space):
    """Return {(NO_TRAINING, name): values (1, n)}: what is known of untrained configurations."""
    network = space.description
    values = {
        "MACs": [network.macs(c, space.input_size) for c in configurations],
        "parameters": [network.parameters(c) for c in configurations],
        LATENCY: [table.predict(c) for c in configurations],
    }
    return {(NO_TRAINING, name): np.array([row]) for name, row in values.items()}


def gain_as_text(rows):
    """Return sentences on what monotone scores gain."""
    lines = [
        "",
        "What monotone scores gain in ρ over the means, over the supernets of all rows:",
        "",
    ]
    for row in rows:
        gain = _with_interval(row["gain"], row["gain_interval"], "+.2f")
        lines.append(
            f"- {row['window']}: {gain}, from {row['means']:.2f}; better in {row['better']} of "
            f"{row['supernets']}"
        )
    return "\n".join([*lines, ""])


def noise_as_text(supernets):
    """Return sentences on how far the scores of supernets exceed their noise."""
    lines = ["", "How far a layer's scores stand out of their noise, in “ours”, medians:", ""]
    for window in supernets[0].windows:
        error, spread = np.mean([one.noise(window) for one in supernets], axis=0)
        lines.append(
            f"- {window}: standard error of a score {error:.4f}, standard deviation of the scores "
            f"of a layer's widths {spread:.4f}"
        )
    return "\n".join([*lines, ""])


def as_markdown(rows, settings, accuracies, missing):
    """Return the table, with what it is based on.

    rows: of compare; accuracies: lists, one per configuration; missing: names of supernets
    """
    truth = [np.mean(of_it) for of_it in accuracies]
    twice, correlation, difference = repeatability(accuracies)
    lines = [
        "# What the additive score tells of networks trained from scratch",
        "",
        f"{len(truth)} random configurations on {settings.data}, trained from scratch for "
        f"{settings.epochs} epochs: accuracies {min(truth):.1%} to {max(truth):.1%}. {twice} of "
        "them were trained twice and count with the mean; between the two trainings the rank "
        f"correlation is {correlation:.2f}, the mean difference {100 * difference:.1f} points.",
        "",
        f"Supernets: PyTorch, {settings.supernet_epochs} epochs. “ours”: cosine learning rate, "
        "masks where channels are mixed, batch statistics of all images, one configuration per "
        "image. Each other variant differs in what its name says.",
        "",
        "ρ: Spearman's rank correlation with these accuracies, the mean over the supernets' seeds, "
        f"and its {WITHIN:.0%} interval over {RESAMPLES} resamples of the configurations and of "
        f"the supernets. Δ: its difference to that of “ours, {DEFAULT}” on the same resamples. "
        "ρ at equal latency: the rank of the predicted latency taken out of both. Monotone: by "
        "--scores monotone, which never fall as a layer gets wider. Accuracy: of the "
        "sub-networks cut out of “ours”, with their BatchNorm statistics re-estimated.",
        "",
    ]
    lines += unfinished(missing)
    lines += ["| supernet | score over, or else | ρ | of each seed | Δ | ρ at equal latency |"]
    lines += ["| --- | --- | --- | --- | --- | --- |"]
    for row in rows:
        columns = (
            row["variant"],
            row["what"],
            _with_interval(row["rank_correlation"], row["interval"], ".2f"),
            ", ".join(f"{value:.2f}" for value in row["of_seeds"]),
            _with_interval(row["difference"], row["difference_interval"], "+.2f"),
            "–" if np.isnan(row["at_equal_latency"]) else f"{row['at_equal_latency']:.2f}",
        )
        lines.append(f"| {' | '.join(columns)} |")
    return "\n".join([*lines, ""])


def _with_interval(value, interval, form):
    low, high = (format(end, form) for end in interval)
    return f"{value:{form}} ({low} to {high})"
