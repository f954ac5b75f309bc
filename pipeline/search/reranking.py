"""The answer among those that the noise of the scores leaves: the most accurate sub-network.

A score is the mean of so many images; a sub-network's accuracy is of all images, and of all its
layers together. Training images are used, so that validation images stay unseen by the choice.
"""

from pathlib import Path

import numpy as np
from tqdm import tqdm

from pipeline.search.limits import latency_field
from pipeline.search.sub_networks import RandomPart, evaluate
from utils.json_lines import write_lines
from utils.processes import rank
from utils.progress import progress_bar

STREAM = 4  # sets the random numbers apart from those of training
IMAGES = 20_000  # of the training images, at most


def rerank(options, net, search, data, epochs):
    """Return the SearchResult of highest accuracy among --rerank candidates of a SupernetSearch.

    net: its trained supernet; data: (training, validation) images
    epochs: that the network was trained for
    Writes rerank.jsonl, a line per candidate, by falling accuracy, and prints what changed.
    """
    train, _ = data
    rng = np.random.default_rng((options.seed, STREAM))
    candidates = search.candidates(
        rng, options.rerank, lambda draws: progress_bar(draws, "candidates", leave=False, delay=1)
    )
    configurations = [search.space.configuration(result.states) for result in candidates]
    images = RandomPart(train, min(len(train), IMAGES), rng)
    accuracies = evaluate(net, configurations, train, images)
    # The best by score comes first, and a stable order keeps it before its equals.
    order = sorted(range(len(candidates)), key=lambda index: -accuracies[index])
    latency = latency_field(search.constraints[0])
    if rank():
        return candidates[order[0]]
    lines = [
        {
            "epoch": epochs,
            "configuration": configurations[index],
            "score": float(candidates[index].score),
            latency: candidates[index].latency_ms,
            "accuracy": accuracies[index],
        }
        for index in order
    ]
    path = Path(options.expname, "rerank.jsonl")
    write_lines(path, lines)
    tqdm.write(
        f"{path}: of {len(candidates)} candidates the best has accuracy "
        f"{lines[0]['accuracy']:.2%} on {len(images)} training images, as a sub-network; the one "
        f"of best score {accuracies[0]:.2%}"
    )
    return candidates[order[0]]
