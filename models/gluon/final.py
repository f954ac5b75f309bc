"""train_final.py's training in MXNet: several devices per process, several processes by kvstore."""

import contextlib

import numpy as np

from models.arrays import AVERAGE, has_average
from models.gluon.arrays import (
    load_network,
    load_optimiser,
    load_parameters,
    load_weights,
    network_arrays,
    optimiser_arrays,
    save_parameters,
    set_updates,
    start_kvstore,
)
from models.gluon.averaging import Average
from models.gluon.batches import batches
from models.gluon.plain import PlainNet, folded_weights, reestimate_batch_norm
from models.gluon.recipe import make_objective, make_trainer
from models.gluon.runtime import check_dtype, contexts, joined_processes, mx
from utils.errors import UserError

OWN_KEYS = 1_000_000  # in the kvstore, apart from the trainer's, which number the parameters


@contextlib.contextmanager
def open_training(execution, batch_size):
    """Yield an MXNetFinalTraining; the processes that train together are connected in the block.

    batch_size: images per device
    """
    if execution.compile:
        raise UserError("--compile needs --framework pytorch; --mode hybrid compiles in MXNet")
    devices = contexts(execution.num_gpus)
    check_dtype(execution.dtype, devices)
    with joined_processes(execution.kv_store) as (processes, kvstore):
        yield MXNetFinalTraining(execution, batch_size, devices, processes, kvstore)


class MXNetFinalTraining:
    """A network in training.

    rank, world_size: this process's number, and how many there are; batch_size: images per batch
    in this process; read: the function that makes batches of a dataset
    """

    def __init__(self, execution, batch_size, devices, processes, kvstore):
        self._execution, self._devices, self._kvstore = execution, devices, kvstore
        self.rank, self.world_size = processes
        self.batch_size = batch_size * len(devices)
        self.read = batches
        self._known_keys = set()

    def build(self, network, configuration, seed, schedule, targets, steps, supernet=None):
        """Make a Description's net, its loss and its trainer, for epochs of `steps` steps.

        supernet: TrainedWeights of its widest network, if that is the teacher
        """
        execution = self._execution
        mx.random.seed(seed)
        self._net = PlainNet(network, configuration)
        self._net.initialize(ctx=self._devices)
        self._net.cast(execution.dtype)
        if execution.mode == "hybrid":
            self._net.hybridize(static_alloc=True, static_shape=True)
        self._objective = make_objective(targets, network, self._devices, execution, supernet)
        self._trainer = make_trainer(self._net, schedule, steps, execution.dtype, self._kvstore)
        start_kvstore(self._trainer)
        self._average = None
        if schedule.average is not None:
            self._average = Average(self._net, schedule.average, self._devices)

    @property
    def averages(self):
        """Whether weights are averaged."""
        return self._average is not None

    @property
    def learning_rate(self):
        """The learning rate of the last update."""
        return self._trainer.learning_rate

    def step(self, images, labels, share):
        """Train one batch and return its mean loss over all processes; share: see Objective."""
        shards = self._shards(images, labels)
        losses = [self._objective(self._net, x, y, share) for x, y in shards]
        mx.autograd.backward(losses)
        # Layers ask for new memory layouts of their weights while they run; if the update did not
        # wait, it would sometimes come first, and equal seeds would give unequal losses.
        mx.nd.waitall()
        self._trainer.step(len(images) * self.world_size)
        if self._average:
            self._average.update(self._net, self._trainer._optimizer.num_update)
        loss = sum(float(part.sum().asscalar()) for part in losses)
        return self.sum_over_processes(loss / len(images)) / self.world_size

    def evaluate(self, images, labels, averaged=False):
        """Return (cross entropies, places of the labels' logits), arrays (B,), of a batch.

        averaged: whether by the averaged weights, in single precision
        """
        net = self._average.net if averaged else self._net
        dtype = "float32" if averaged else self._execution.dtype
        cross_entropy = mx.gluon.loss.SoftmaxCrossEntropyLoss()
        losses, places = [], []
        for x, y in self._shards(images, labels):
            logits = net(x.astype(dtype, copy=False))
            logits = logits.astype("float32", copy=False)
            losses.append(cross_entropy(logits, y))
            of_label = mx.nd.pick(logits, y, keepdims=True)
            places.append(mx.nd.broadcast_lesser_equal(of_label, logits).sum(axis=1))
        mx.nd.waitall()
        return tuple(np.concatenate([s.asnumpy() for s in shards]) for shards in (losses, places))

    def average_statistics(self):
        """Set the running statistics of all devices and processes to their average.

        They saw different images. The files hold the average, so that is what must be validated.
        """
        mx.nd.waitall()
        parameters = self._net.collect_params().values()
        statistics = [p for p in parameters if p.grad_req == "null"]
        if self.world_size * len(self._devices) == 1:
            return
        means = [statistic._reduce() for statistic in statistics]  # over the devices
        flat = self._sum(mx.nd.concat(*means, dim=0)) / self.world_size
        start = 0
        for statistic, mean in zip(statistics, means, strict=True):
            statistic.set_data(flat[start : start + len(mean)])
            start += len(mean)

    def reestimate_average(self, batches):
        """Re-estimate the BatchNorm statistics of the averaged weights on batches of images."""
        self._average.reestimate(batches)

    def sum_over_processes(self, value):
        """Return the sum of a number over all processes, which wait for each other here."""
        if self.world_size == 1:
            return value
        return float(self._sum(mx.nd.array([value])).asscalar())

    def _sum(self, values):
        """Return the sum of a vector over all processes; every length has its own key."""
        if self.world_size == 1:
            return values
        key, total = OWN_KEYS + len(values), mx.nd.zeros_like(values)
        if key not in self._known_keys:
            self._kvstore.init(key, total)
            self._known_keys.add(key)
        self._kvstore.push(key, values)
        self._kvstore.pull(key, total)
        return total

    def save_parameters(self, path):
        """Write the network's parameters."""
        save_parameters(self._net, path)

    def load_parameters(self, path):
        """Load the parameters from a file."""
        load_parameters(self._net, path, self._devices)
        if self._average:
            self._average.restart(self._net)

    def start_at(self, weights, batches):
        """Set the parameters from TrainedWeights, the BatchNorm statistics from images."""
        net = PlainNet(self._net.network, self._net.configuration)  # in single precision
        net.initialize(ctx=self._devices[:1])
        load_weights(net, weights)
        reestimate_batch_norm(net, batches)
        load_network(self._net, network_arrays(net), "the supernet")
        if self._average:
            self._average.restart(self._net)

    def optimiser_arrays(self):
        """Return the optimiser's state as arrays for a checkpoint."""
        average = self._average.arrays() if self._average else {}
        return optimiser_arrays(self._trainer, self._net) | average

    def load_optimiser(self, arrays, path):
        """Load the state that optimiser_arrays returned; path: the file that it was read from."""
        load_optimiser(self._trainer, self._net, arrays, path)
        if self._average and has_average(arrays):
            self._average.load(arrays, path)

    def set_updates(self, updates):
        """Set the number of updates made, which the learning rate depends on."""
        set_updates(self._trainer, updates)

    @staticmethod
    def to_numpy(images):
        """Return a batch of images as a NumPy array."""
        return images.asnumpy()

    def save_averaged(self, arrays, source, path):
        """Write the averaged network among a checkpoint's arrays as parameters.

        source: the file that the arrays were read from
        """
        net = PlainNet(self._net.network, self._net.configuration)
        net.initialize()
        load_network(net, arrays, source, AVERAGE)
        save_parameters(net, path)

    def deployed(self, path):
        """Return (FoldedWeights, images -> logits) of a parameters file, float32 on the CPU."""
        net = PlainNet(self._net.network, self._net.configuration)
        net.initialize()
        load_parameters(net, path, [mx.cpu()])
        return folded_weights(net), lambda images: net(mx.nd.array(images)).asnumpy()

    def _shards(self, images, labels):
        """Return each device's share (images, float32 labels) of a batch, on the device."""
        devices = self._devices[: len(images)]  # a last batch may have fewer images
        split = mx.gluon.utils.split_and_load
        images = split(images, devices, even_split=False)
        labels = split(labels.astype("float32"), devices, even_split=False)
        return zip(images, labels, strict=True)
