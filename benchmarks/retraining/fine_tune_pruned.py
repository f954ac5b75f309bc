"""train_final.py from the weights of a network that another tool has pruned.

    python -m benchmarks.retraining.fine_tune_pruned --from-supernet pruned.safetensors \\
        --configuration WIDTHS … --save-dir output/pruned

Takes its options; --from-supernet names the state dictionary, --configuration its widths.
"""

if __name__ == "__main__":  # before the imports that take seconds
    from utils.startup import prepare

    prepare()

from dataclasses import replace
from types import SimpleNamespace

import train_final
from models.trained_files import read_trained
from networks import open_network
from pipeline.final.options import parse_options
from pipeline.final.supernet import Source, Supernet
from utils.digest import digest
from utils.errors import exits_with_one_line


class Pruned(Supernet):
    """A pruned network in the place of the supernet that training starts from."""

    def sub_network(self, _):
        return self.weights


@exits_with_one_line
def main(arguments=None):
    options = parse_options(__doc__, arguments)
    path, network = options.files.from_supernet, open_network(options.network)
    classes = read_trained(path, network, options.configuration)[0].classes
    network = open_network(options.network, classes)
    weights, _ = read_trained(path, network, options.configuration)
    source = Source(path, epoch=1, sha256=digest(path))
    pruned = Pruned(source, SimpleNamespace(classes=classes), weights)
    train_final.run(replace(options, source=source), pruned)


if __name__ == "__main__":
    main()
