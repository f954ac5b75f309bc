"""What every peer is given: a trained network, a latency table, targets and training images."""

import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from models.pytorch.arrays import load_parameters
from models.pytorch.plain import PlainNet, convolutions
from nas.latency_table import LatencyTable
from nas.search_space import SearchSpace
from networks import MOBILENET_V1
from utils.command_line import Parser, add_seed, checked
from utils.errors import UserError
from utils.images.open_dataset import open_dataset
from utils.json_lines import Appender

latency_ms = checked(float, lambda ms: 0 < ms < float("inf"), "a number of milliseconds above 0")


@dataclass(frozen=True)
class Trained:
    """A trained network and its training images."""

    net: PlainNet
    input_size: int
    images: object  # the training images, as utils.images.open_dataset opens them
    seed: int

    @property
    def example(self):
        """Return an input by which a network's graph is traced."""
        return torch.zeros(1, 3, self.input_size, self.input_size)

    def batches(self, indices, batch_size=64):
        """Yield (images (B, 3, H, W), labels (B,)) of training images."""
        for start in range(0, len(indices), batch_size):
            keys = [(0, int(index)) for index in indices[start : start + batch_size]]
            images, labels = zip(*(self.images[key] for key in keys), strict=True)
            yield torch.from_numpy(np.stack(images)), torch.tensor(labels)


def open_trained(network, multiplier, parameters, data, input_size, seed):
    """Return a Trained: a Description's network of one multiplier, and the images of a data set."""
    net = PlainNet(network, network.scaled(multiplier))
    load_parameters(net, parameters)
    images, _ = open_dataset(data, input_size, seed)
    return Trained(net.eval(), input_size, images, seed)


@dataclass(frozen=True)
class Task:
    """A trained network, the widest of a table's search space, to prune to predicted latencies."""

    trained: Trained
    table: LatencyTable
    space: SearchSpace
    targets_ms: tuple[float, ...]

    @classmethod
    def open(cls, args):
        """Read what a command line names; UserError if it does not fit together."""
        table = LatencyTable.load(args.table)
        space = table.space
        if space.network != MOBILENET_V1:
            raise UserError(f"the peers prune {MOBILENET_V1}, {args.table} is for {space.network}")
        trained = open_trained(
            space.description, space.max_width, args.parameters, args.data, space.input_size,
            args.seed,
        )  # fmt: skip
        return cls(trained, table, space, tuple(args.targets))


def layers(net):
    """Return the (Conv2d, BatchNorm2d) of a MobileNet-v1 whose output channels are its widths."""
    steps = zip(net.network.convolutions, convolutions(net), strict=True)
    return [modules for step, modules in steps if not step.depthwise]


def widths(net):
    """Return the output channels of each width of a net's network, as a tuple of ints."""
    steps = zip(net.network.convolutions, convolutions(net), strict=True)
    channels = {step.outputs: conv.out_channels for step, (conv, _) in steps}
    return tuple(channels[width] for width in net.network.widths)


def parser(description):
    """Return a parser of the arguments that all peers have."""
    options = Parser(description=description)
    add = options.add_argument
    add("parameters", help="of the widest network: train_final.py --framework pytorch wrote them")
    add("table", help="latency table of the search space")
    add("results", help="file to which a JSON line is added for each target")
    add("--targets", type=latency_ms, nargs="+", required=True, metavar="MS", help="per image")
    add("--data", default="glyphs", help="images that the network was trained on")
    add_seed(add, of="the images that are drawn")
    return options


class Record:
    """Writes a peer's answers, with the CPU seconds since it was made: reading is not counted."""

    def __init__(self, path, method, task):
        self.path, self.method, self.task = Path(path), method, task
        self._start_s = time.process_time()

    def write(self, target_ms, configuration, **details):
        """Add the line of an answer to the file, and print it."""
        line = {
            "method": self.method,
            "seed": self.task.trained.seed,
            "target_ms": target_ms,
            "configuration": list(configuration),
            "predicted_ms": self.task.table.predict(configuration),
            "cpu_s": time.process_time() - self._start_s,
        } | details
        with Appender(self.path) as file:
            file.append([line])
        print(line, flush=True)
