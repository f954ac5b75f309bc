"""Widths by FastNAS, the pruning for computer vision of NVIDIA's Model-Optimizer.

    make peers
    .venv-peers/bin/python -m benchmarks.peers.fastnas widest.params table.jsonl results.jsonl \\
        --targets 0.01 0.02

Used as its guide says (nvidia.github.io/Model-Optimizer/guides/3_pruning.html): mtp.prune with mode
"fastnas"; the score is the accuracy on images held out, the data loader calibrates BatchNorm; a
checkpoint keeps the scores for a search under another constraint. The search space has exactly our
choices, by rules for each layer ("Customizing pruning config"). The network was trained on all
training images, so that the held-out ones are some of these, but none that calibrate.
Its constraints are "flops" and "params" only: for a latency its guide recommends to measure the
pruned network's latency and to "adjust the constraints accordingly". So the limit on FLOPs is
bisected to the greatest at which the predicted latency meets the target.
Two things are not in the guide: the classifier is made a 1×1 convolution, because FastNAS does not
see through flatten and would leave the last width as it is; and torchprofile must be installed for
"flops", in a version before 0.1.
Source: github.com/NVIDIA/Model-Optimizer, version 0.47.0.
"""

if __name__ == "__main__":  # before the imports that take seconds
    from utils.startup import prepare

    prepare()

import contextlib
import os
import tempfile
from pathlib import Path

import modelopt.torch.prune as mtp
import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from benchmarks.peers.bisection import Bisection
from benchmarks.peers.task import Record, Task, layers, parser, widths
from models.pytorch.plain import Maker, PlainNet
from utils.errors import exits_with_one_line

SCORED = 2000  # images by which a network is scored
CALIBRATED = 50 * 64  # images that calibrate BatchNorm: FastNAS reads at most 50 batches


@exits_with_one_line
def main():
    """Bisect the limit on FLOPs for each target, and write the answers."""
    args = parser(__doc__.partition("\n")[0]).parse_args()
    torch.set_num_threads(1)
    task = Task.open(args)
    record = Record(args.results, "FastNAS", task)
    with tempfile.TemporaryDirectory() as folder:
        search = FastNAS(task, Path(folder) / "checkpoint.pth")
        bisection = Bisection(search.widths_within, task.table.predict)
        for target_ms in task.targets_ms:
            percent, configuration = bisection.best(target_ms)
            record.write(target_ms, configuration, percent_of_flops=percent)


class Searchable(PlainNet):
    """A copy of a PlainNet whose classifier is a 1×1 convolution."""

    def __init__(self, net):
        super().__init__(net.network, net.configuration)
        self.load_state_dict(net.state_dict())
        weight, bias = net.classifier.weight, net.classifier.bias
        self.classifier = nn.Conv2d(weight.shape[1], weight.shape[0], 1)
        self.classifier.load_state_dict({"weight": weight[:, :, None, None], "bias": bias})

    def forward(self, images):
        return self.network.run(images, _Maker(self))


class _Maker(Maker):
    def classify(self, step, x):
        return self.net.classifier(F.adaptive_avg_pool2d(x, 1)).flatten(1)


class FastNAS:
    """FastNAS on one trained network; what it scored stands in a checkpoint."""

    def __init__(self, task, checkpoint):
        self.task, self.checkpoint = task, checkpoint
        order = np.random.default_rng(task.trained.seed).permutation(len(task.trained.images))
        scored = min(SCORED, len(order) // 2)
        self._scored = list(task.trained.batches(order[:scored]))
        self._calibrating = list(task.trained.batches(order[scored : scored + CALIBRATED]))

    def widths_within(self, percent):
        """Return the widths that FastNAS chooses for a limit in per cent of the network's FLOPs.

        None if no network of the search space is below the limit.
        """
        net = Searchable(self.task.trained.net).eval()
        with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere):
            try:
                pruned, _ = mtp.prune(
                    net,
                    mode=[("fastnas", rules(net, self.task.space))],
                    constraints={"flops": f"{percent}%"},
                    dummy_input=self.task.trained.example,
                    config={
                        "data_loader": self._calibrating,
                        "collect_func": lambda batch: batch[0],
                        "score_func": lambda net: accuracy(net, self._scored),
                        "checkpoint": str(self.checkpoint),
                    },
                )
            except ValueError as error:
                if "NOT all constraints can be satisfied" in str(error):
                    return None
                raise
        return widths(pruned)


def rules(net, space):
    """Return FastNAS's config: each layer has the choices of the search space.

    They are stated for the BatchNorm after each layer: a rule for a convolution would also limit
    its input channels, which are the width of the layer before.
    """
    config = mtp.fastnas.FastNASConfig()
    config["nn.Conv2d"] = {"*": {"channels_ratio": None, "channel_divisor": 1, "kernel_size": ()}}
    every = {"*": {"features_ratio": None, "feature_divisor": 1}}
    names = {module: name for name, module in net.named_modules()}
    of_layers = {
        names[norm]: {"features_ratio": tuple(c / choices[-1] for c in choices)}
        for (_, norm), choices in zip(layers(net), space.choices, strict=True)
    }
    config["nn.BatchNorm2d"] = every | of_layers
    return config


@torch.no_grad()
def accuracy(net, batches):
    """Return the share of images that a network classifies correctly."""
    net.eval()  # FastNAS calibrates BatchNorm here
    right = [net(images).argmax(1) == labels for images, labels in batches]
    return torch.cat(right).float().mean().item()


if __name__ == "__main__":
    main()
