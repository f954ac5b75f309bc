"""How far to trust the additive score: a comparison with the accuracy of random sub-networks."""

from pathlib import Path

import numpy as np
from tqdm import tqdm

from nas import mrf
from nas.validation.prediction_errors import spearman, spearman_interval
from pipeline.search.plots import plot_score_check
from pipeline.search.sub_networks import evaluate
from utils.json_lines import write_lines
from utils.processes import rank
from utils.random_streams import SCORE_CHECK

DRAWS_EACH = 20  # per wanted sub-network, at most: a small space has fewer different ones


def draw_different(allowed, count, rng):
    """Return up to `count` different random states (n, N); allowed: each layer's to draw from."""
    found = {}
    for _ in range(DRAWS_EACH * count):
        found[tuple(rng.choice(positions) for positions in allowed)] = True
        if len(found) == count:
            break
    return np.array(list(found))


def check_score(reports, net, search, data, epochs):
    """Evaluate random sub-networks of a trained network and compare them with their scores.

    net: a supernet; search: its SupernetSearch; data: (training, validation) images
    epochs: that the network was trained for
    Each sub-network is cut out of the weights and its BatchNorm statistics are re-estimated on
    training images. Writes score_check.jsonl and score_check.png and prints the rank correlation
    with its 90 % interval.
    """
    rng = np.random.default_rng((reports.seed, SCORE_CHECK))
    space, unary = search.space, search.scores()
    seen = [np.flatnonzero(scores > -np.inf) for scores in unary]  # the widths with a score
    states = draw_different(seen, reports.score_check, rng)
    scores = mrf.unary_sum(unary, states.T)
    configurations = [space.configuration(row) for row in states]
    accuracies = [each.accuracy for each in evaluate(net, configurations, *data)]
    if rank():
        return
    rows = zip(configurations, map(float, scores), accuracies, strict=True)
    fields = ("configuration", "score", "accuracy")
    folder = Path(reports.expname)
    lines = [{"epoch": epochs} | dict(zip(fields, row, strict=True)) for row in rows]
    write_lines(folder / "score_check.jsonl", lines)
    correlation = spearman(scores, accuracies)
    low, high = spearman_interval(scores, accuracies, rng)
    picture = folder / "score_check.png"
    plot_score_check(scores, accuracies, correlation, (low, high), epochs, picture)
    tqdm.write(
        f"{folder / 'score_check.jsonl'}: over {len(states)} random sub-networks the rank "
        f"correlation of score and accuracy is {correlation:.3f} "
        f"(90 % interval {low:.3f} to {high:.3f})"
    )
