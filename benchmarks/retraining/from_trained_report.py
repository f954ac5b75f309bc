"""How the scores of benchmarks.from_trained rank sub-networks, and what they took to train."""

import numpy as np

from benchmarks.retraining.from_trained_jobs import FULL, SHORT_FROM_TRAINED, STARTS
from benchmarks.retraining.reports import unfinished, write_results
from benchmarks.retraining.with_seeds import with_seeds
from nas.validation.prediction_errors import spearman
from utils.errors import UserError


def write_report(benchmark, folder):
    """Write from_trained.jsonl and from_trained.md into a folder; return the table as text.

    benchmark: a FromTrained
    """
    results = benchmark.results()
    if not any(name == FULL for name, _ in results):
        raise UserError(f"no supernet {FULL} is finished, which others are compared with")
    rows = compare(results)
    text = as_markdown(rows, benchmark)
    write_results(folder, "from_trained", rows, text)
    return text


def compare(results):
    """Return a dictionary per supernet: how its scores rank, and its sub-networks' losses.

    results: {(start, seed): scores and losses}. Scores are compared with losses, so that a good
    rank correlation is near 1: that of the score with minus the loss.
    """
    truth = -np.mean([r["losses"] for (name, _), r in results.items() if name == FULL], axis=0)
    return [
        {
            "start": name,
            "seed": seed,
            "own": float(spearman(result["scores"], -np.array(result["losses"]))),
            "common": float(spearman(result["scores"], truth)),
            "loss": float(np.mean(result["losses"])),
            "cpu_s": result["cpu_s"],
        }
        for (name, seed), result in results.items()
    ]


def as_markdown(rows, benchmark):
    """Return the table, with what it is based on, and the answer.

    rows: of compare
    """
    settings, widest = benchmark.settings, benchmark.widest()
    accuracies = ", ".join(f"{result['accuracy']:.1%}" for result in widest.values())
    lines = [
        "# A supernet from a trained network",
        "",
        f"{settings.data}, PyTorch, seeds {', '.join(map(str, benchmark.seeds))}. The widest "
        f"networks were trained for {settings.epochs} epochs, to {accuracies}.",
        "",
        "Rank correlations of the scores (monotone) with minus the cross entropies of random "
        "sub-networks, whose BatchNorm statistics are re-estimated, on validation images: the "
        "supernet's own, or the mean of those of all supernets that were trained from scratch for "
        "all epochs (which favours these). Means over the seeds, and each seed's.",
        "",
        "| supernet | epochs | own sub-networks | common ones | mean cross entropy | CPU s |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for name, start in STARTS.items():
        of_it = [row for row in rows if row["start"] == name]
        if of_it:
            columns = (
                name,
                str(benchmark.epochs(start)),
                *(with_seeds([row[key] for row in of_it], ".3f") for key in ("own", "common")),
                with_seeds([row["loss"] for row in of_it], ".3f"),
                f"{np.mean([row['cpu_s'] for row in of_it]):.0f}",
            )
            lines.append(f"| {' | '.join(columns)} |")
    missing = [
        f"{name}, seed {seed}"
        for name in STARTS
        for seed in benchmark.seeds
        if (name, seed) not in benchmark.results()
    ]
    return "\n".join([*lines, "", *unfinished(missing), answer_as_text(rows), ""])


def answer_as_text(rows):
    """Return whether a third of the epochs is enough from a trained network."""
    of = {(row["start"], row["seed"]): row for row in rows}
    both = [seed for name, seed in of if name == FULL and (SHORT_FROM_TRAINED, seed) in of]
    if not both:
        return "No seed has both supernets."
    gains = {
        key: [of[SHORT_FROM_TRAINED, seed][key] - of[FULL, seed][key] for seed in both]
        for key in ("own", "common")
    }
    texts = (f"{with_seeds(gain, '+.3f')} with {key} sub-networks" for key, gain in gains.items())
    return (
        "From a trained network, in a third of the epochs, the rank correlation is greater by "
        f"{'; '.join(texts)} than from scratch in all of them."
    )
