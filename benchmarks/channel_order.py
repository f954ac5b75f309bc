"""By which measure should the channels of a trained network be sorted?

    python -m benchmarks.channel_order mobilenet_v1 0.35 final/mobilenet-best.params

Channels are sorted by each measure, and sub-networks, which keep the first channels, evaluated
without any training: random configurations of 30 % to 100 % of the trained widths, on validation
glyphs, with BatchNorm statistics re-estimated. It prints a table: the mean accuracy, that of the
better half of the sub-networks, and the mean cross entropy.
"""

if __name__ == "__main__":  # before the imports that take seconds
    from utils.startup import prepare

    prepare()

import argparse

import numpy as np

from models.channel_order import importances, sorted_by
from models.execution import Execution
from models.supernet import TrainingSchedule
from models.trained_files import read_trained
from nas.search_space import SearchSpace
from pipeline.search.sub_networks import RandomPart, evaluate
from utils.errors import exits_with_one_line
from utils.images.open_dataset import open_dataset

CONFIGURATIONS, IMAGES, LEAST = 12, 1_000, 0.3  # LEAST: width, of the trained network's


def as_trained(weights):
    """Return importances that leave the channels in the order of the training."""
    return {width: -np.arange(len(i)) for width, i in importances(weights).items()}


def at_random(weights):
    """Return random importances."""
    rng = np.random.default_rng(0)
    return {width: rng.random(len(i)) for width, i in importances(weights).items()}


def least_first(weights):
    """Return the importances the other way round."""
    return {width: -i for width, i in importances(weights).items()}


def filters(weights):
    """Return the sums of the absolute weights of the filters that write a channel."""
    return written(weights, lambda each: np.abs(each.kernel).sum((1, 2, 3)))


def scales(weights):
    """Return the sums of the absolute scales that BatchNorms give a channel."""
    return written(weights, lambda each: np.abs(each.scale))


def written(weights, of):
    """Return {Width: the sum over the layers that write it of a measure of their channels}.

    of: TrainedConvolution -> (out_channels,)
    """
    sums = {}
    for step, each in zip(weights.network.convolutions, weights.convolutions, strict=True):
        # A depthwise convolution normalises anew: what came before it does not count.
        before = 0 if step.depthwise else sums.get(step.outputs, 0)
        sums[step.outputs] = before + np.float64(of(each))
    return sums


def scaled(weights):
    """Return BatchNorm's scales times the lengths of the weights of the layers that read."""
    lengths = {width: np.sqrt(i) for width, i in importances(weights).items()}
    return {width: each * lengths[width] for width, each in scales(weights).items()}


MEASURES = {
    "as trained": as_trained,
    "at random": at_random,
    "absolute weights of the layers that write": filters,
    "BatchNorm scales": scales,
    "BatchNorm scales × weights of the layers that read": scaled,
    "weights of the layers that read": importances,
    "the same, least first": least_first,
}


@exits_with_one_line
def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("network", help="as in train_final.py --network")
    parser.add_argument("width", type=float, help="multiplier of the trained network")
    parser.add_argument("file", help="its parameters, as for train_nas.py --init")
    args = parser.parse_args()
    train, val = open_dataset("glyphs", 32, 0)
    space = SearchSpace(
        32, len(train.classes), LEAST * args.width, args.width, 8, network=args.network
    )
    weights, _ = read_trained(args.file, space.description, space.largest)
    rng = np.random.default_rng(0)
    configurations = [space.draw_uniform(rng) for _ in range(CONFIGURATIONS)]
    images = RandomPart(val, IMAGES, rng)
    print("| channels sorted by | accuracy | of the better half | cross entropy |")
    print("| --- | --- | --- | --- |")
    for name, measure in MEASURES.items():
        net = supernet(space, sorted_by(measure(weights), weights))
        results = evaluate(net, configurations, train, images)
        accuracies = np.sort([each.accuracy for each in results])
        better = accuracies[len(accuracies) // 2 :].mean()
        loss = np.mean([each.loss for each in results])
        print(f"| {name} | {accuracies.mean():.1%} | {better:.1%} | {loss:.2f} |", flush=True)


def supernet(space, weights):
    """Return a PyTorch supernet with these weights, to evaluate sub-networks of."""
    from models.pytorch.supernet import TorchSupernet

    schedule = TrainingSchedule(1, 256, 0.1, "constant", 0.9, 0, 0)
    net = TorchSupernet(space, schedule, Execution(framework="pytorch", num_gpus=0))
    net.load_weights(weights)
    return net


if __name__ == "__main__":
    main()
