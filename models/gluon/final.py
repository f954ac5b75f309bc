"""train_final.py's training in MXNet: several devices per process, several processes by kvstore."""

import numpy as np

from models.gluon.arrays import (
    load_optimiser,
    load_parameters,
    optimiser_arrays,
    save_parameters,
    set_updates,
    start_kvstore,
)
from models.gluon.batches import batches
from models.gluon.mobilenet_v1 import MobileNetV1, folded_weights
from models.gluon.recipe import make_objective, make_trainer
from models.gluon.runtime import check_dtype, contexts, mx
from utils.errors import UserError
from utils.processes import mxnet_role

OWN_KEYS = 1_000_000  # in the kvstore, beside the trainer's, which count the parameters


class MXNetFinalTraining:
    """A MobileNet-v1 in training. A context manager, in which processes are connected.

    rank, ranks: of this process and how many there are; batch_size: images of a batch of this
    process; read: the function that makes batches of a dataset
    """

    def __init__(self, options):
        if options.compile:
            raise UserError("--compile needs --framework pytorch; --mode hybrid compiles in MXNet")
        self._options = options
        self._devices = contexts(options.num_gpus)
        check_dtype(options.dtype, self._devices)
        self.batch_size = options.batch_size * len(self._devices)
        self.read = batches
        self._known_keys = set()

    def __enter__(self):
        name = self._options.kv_store
        self._kvstore, self.rank, self.ranks = name, 0, 1
        if name.startswith("dist"):
            if mxnet_role() is None:
                raise UserError(
                    f"--kv-store {name} needs a scheduler and servers: start it by "
                    "python -m utils.mxnet_launch -n WORKERS --launcher local"
                )
            self._kvstore = mx.kv.create(name)
            self.rank, self.ranks = self._kvstore.rank, self._kvstore.num_workers
        return self

    def __exit__(self, *exception):
        if self.ranks > 1 and exception[0]:
            # Otherwise the process would wait for the others at its end, and they for it.
            mx.base._LIB.MXKVStoreSetBarrierBeforeExit(self._kvstore.handle, 0)

    def build(self, classes, steps):
        """Make the network, its loss and its trainer, for epochs of so many steps."""
        options = self._options
        mx.random.seed(options.seed)
        self._net = MobileNetV1(options.configuration, classes)
        self._net.initialize(ctx=self._devices)
        self._net.cast(options.dtype)
        if options.mode == "hybrid":
            self._net.hybridize(static_alloc=True, static_shape=True)
        self._objective = make_objective(options, classes, self._devices)
        self._trainer = make_trainer(self._net, options, steps, self._kvstore)
        start_kvstore(self._trainer)

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
        self._trainer.step(len(images) * self.ranks)
        loss = sum(float(part.sum().asscalar()) for part in losses)
        return self.sum_over_ranks(loss / len(images)) / self.ranks

    def evaluate(self, images, labels):
        """Return (cross entropies, ranks of the labels' logits), arrays (B,), of a batch."""
        cross_entropy = mx.gluon.loss.SoftmaxCrossEntropyLoss()
        losses, ranks = [], []
        for x, y in self._shards(images, labels):
            logits = self._net(x.astype(self._options.dtype, copy=False))
            logits = logits.astype("float32", copy=False)
            losses.append(cross_entropy(logits, y))
            of_label = mx.nd.pick(logits, y, keepdims=True)
            ranks.append(mx.nd.broadcast_lesser_equal(of_label, logits).sum(axis=1))
        mx.nd.waitall()
        return tuple(np.concatenate([s.asnumpy() for s in shards]) for shards in (losses, ranks))

    def average_statistics(self):
        """Set the running statistics of all devices and processes to their average.

        They saw different images. The files hold the average, which is what is to be validated.
        """
        mx.nd.waitall()
        parameters = self._net.collect_params().values()
        statistics = [p for p in parameters if p.grad_req == "null"]
        if self.ranks * len(self._devices) == 1:
            return
        means = [statistic._reduce() for statistic in statistics]  # over the devices
        flat = self._sum(mx.nd.concat(*means, dim=0)) / self.ranks
        start = 0
        for statistic, mean in zip(statistics, means, strict=True):
            statistic.set_data(flat[start : start + len(mean)])
            start += len(mean)

    def sum_over_ranks(self, value):
        """Return the sum of a number over all processes, which wait for each other here."""
        if self.ranks == 1:
            return value
        return float(self._sum(mx.nd.array([value])).asscalar())

    def _sum(self, values):
        """Return the sum of a vector over all processes; every length has its own key."""
        if self.ranks == 1:
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
        """Take over the parameters of a file."""
        load_parameters(self._net, path, self._devices)

    def optimiser_arrays(self):
        """Return the optimiser's state as arrays for a checkpoint."""
        return optimiser_arrays(self._trainer, self._net)

    def load_optimiser(self, arrays, path):
        """Take over the state of optimiser_arrays, which was read from path."""
        load_optimiser(self._trainer, self._net, arrays, path)

    def set_updates(self, updates):
        """Set how many updates were made, by which the learning rates go."""
        set_updates(self._trainer, updates)

    @staticmethod
    def to_numpy(images):
        """Return a batch of images as a NumPy array."""
        return images.asnumpy()

    def deployed(self, path):
        """Return (FoldedWeights, images -> logits) of a parameters file, float32 on the CPU."""
        net = MobileNetV1(self._net.configuration, self._net.classes)
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
