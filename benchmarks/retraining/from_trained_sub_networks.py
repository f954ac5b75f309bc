"""The scores and losses of random sub-networks of a supernet of train_nas.py.

The configurations and the validation images are the same for every supernet of a search space.

    python -m benchmarks.retraining.from_trained_sub_networks <its options>
"""

if __name__ == "__main__":  # before the imports that take seconds
    from utils.startup import prepare

    prepare()

import sys
from pathlib import Path

import numpy as np

import train_nas
from nas import mrf
from pipeline.search import checkpoints as supernet_checkpoints
from pipeline.search.limits import open_limits
from pipeline.search.options import parse_options
from pipeline.search.sub_networks import RandomPart, evaluate
from utils.errors import exits_with_one_line
from utils.json_lines import read_lines, write_lines

CONFIGURATIONS, IMAGES = 50, 2_000
FILE = "losses.jsonl"  # in the supernet's folder


def measure(options):
    """Write scores and losses into the supernet's folder, a line for each configuration."""
    search = train_nas.open_search(options, open_limits(options.question))
    _, load_network = supernet_checkpoints.load(options, search)
    train, val = train_nas.open_data(options, search.space)
    rng = np.random.default_rng(0)
    configurations = [search.space.draw_uniform(rng) for _ in range(CONFIGURATIONS)]
    images = RandomPart(val, min(len(val), IMAGES), rng)
    with train_nas.open_net(options, search.space) as net:
        load_network(net, train)
        evaluations = evaluate(net, configurations, train, images)
    states = np.array([search.space.states(each) for each in configurations])
    scores = mrf.unary_sum(search.scores(), states.T)
    rows = zip(configurations, scores, evaluations, strict=True)
    lines = [
        {"configuration": c, "score": float(s), "loss": e.loss, "accuracy": e.accuracy}
        for c, s, e in rows
    ]
    write_lines(Path(options.run.expname, FILE), lines)


def read_losses(folder):
    """Return {"scores", "losses"}, a list each, of what `measure` wrote."""
    lines = [line for _, line in read_lines(Path(folder, FILE))]
    return {
        "scores": [line["score"] for line in lines],
        "losses": [line["loss"] for line in lines],
    }


@exits_with_one_line
def main():
    measure(parse_options(__doc__, sys.argv[1:]))


if __name__ == "__main__":
    main()
