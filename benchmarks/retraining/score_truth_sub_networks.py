"""The accuracies on training images of given sub-networks of a supernet of train_nas.py.

benchmarks.score_truth compares them with the additive scores.

    python -m benchmarks.retraining.score_truth_sub_networks CONFIGURATIONS.json <its options>
"""

if __name__ == "__main__":  # before the imports that take seconds
    from utils.startup import prepare

    prepare()

import argparse
import json
from pathlib import Path

import train_nas
from pipeline.search import checkpoints as supernet_checkpoints
from pipeline.search.limits import open_limits
from pipeline.search.options import parse_options
from pipeline.search.sub_networks import evaluate
from utils.errors import exits_with_one_line
from utils.json_lines import write_lines

ACCURACIES = "accuracies.jsonl"  # in the supernet's folder


def measure(options, configurations):
    """Write the accuracies of configurations into the supernet's folder."""
    search = train_nas.open_search(options, open_limits(options.question))
    _, load_network = supernet_checkpoints.load(options, search)
    train, _ = train_nas.open_data(options, search.space)
    with train_nas.open_net(options, search.space) as net:
        load_network(net, train)
        evaluations = evaluate(net, configurations, train, train)
    lines = [
        {"configuration": configuration, "accuracy": evaluation.accuracy}
        for configuration, evaluation in zip(configurations, evaluations, strict=True)
    ]
    write_lines(Path(options.run.expname, ACCURACIES), lines)


@exits_with_one_line
def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("configurations", type=Path, help="a JSON list of lists of widths")
    parser.add_argument("options", nargs=argparse.REMAINDER, help="of train_nas.py")
    args = parser.parse_args()
    configurations = json.loads(args.configurations.read_text(encoding="utf-8"))
    measure(parse_options(__doc__, args.options), configurations)


if __name__ == "__main__":
    main()
