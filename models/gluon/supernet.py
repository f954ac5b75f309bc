"""The slimmable network as train_nas.py trains it in MXNet: optimiser, steps, accuracies."""

import numpy as np

from models.gluon.arrays import load_network, load_optimiser, network_arrays, optimiser_arrays
from models.gluon.batches import batches
from models.gluon.mobilenet_v1 import reestimate_batch_norm
from models.gluon.runtime import contexts, mx
from models.gluon.slimmable import SlimmableMobileNetV1, cut_out, sandwich_step
from utils.images.batches import epoch_batches, full_batches, validation_batches
from utils.progress import progress_bar

REESTIMATION_IMAGES = 512  # training images that BatchNorm statistics are re-estimated on


class MXNetSupernet:
    """A slimmable MobileNet-v1 with SGD: one sandwich step at a time, on one or more devices."""

    def __init__(self, space, *, num_gpus, momentum, weight_decay, batch_size, workers, seed):
        """
        space:      the SearchSpace whose least and greatest widths the network has
        num_gpus:   None for all GPUs that there are, else the CPU; 0 for the CPU
        batch_size: images per batch, over all devices
        workers:    processes that read images
        """
        self._contexts = contexts(num_gpus)
        self._batch_size, self._workers, self._seed = batch_size, workers, seed
        mx.random.seed(seed)
        self._net = SlimmableMobileNetV1(space.smallest, space.largest, space.classes)
        self._net.initialize(ctx=self._contexts)
        self._trainer = mx.gluon.Trainer(
            self._net.collect_params(),
            "sgd",
            {"momentum": momentum, "wd": weight_decay},
            update_on_kvstore=False,  # the momenta go into checkpoints
        )

    @property
    def device(self):
        """Where the network is, for people: 'MXNet on cpu(0)'."""
        return "MXNet on " + ", ".join(map(str, self._contexts))

    def steps(self, train):
        """Return the number of steps of an epoch; UserError if there are too few images for one."""
        return full_batches(len(train), self._batch_size)

    def batches(self, train, epoch, first=0):
        """Yield the (images, labels) of an epoch, shuffled by the seed and the epoch.

        first: the number of batches at the beginning that are left out
        """
        keys = epoch_batches(len(train), self._batch_size, self._seed, epoch)
        return batches(train, keys[first:], self._workers)

    def step(self, images, labels, widths, learning_rate):
        """Train one batch; returns its SandwichLosses.

        images: (B, 3, H, W); labels: (B,); widths: (B, layers), each image's random configuration
        """
        self._trainer.set_learning_rate(learning_rate)
        widths = mx.nd.array(widths)
        shards = [self._split(array) for array in (images, labels, widths)]
        losses = sandwich_step(self._net, *shards)
        self._trainer.step(1)  # the gradients are means over the batch already
        return losses

    def accuracies(self, configurations, train, val):
        """Return the validation accuracy of sub-networks, 0 to 1 each.

        Each sub-network is cut out of the weights, and its BatchNorm statistics are re-estimated
        on training images. Broken images are not counted.
        """
        nets = [self._sub_network(configuration, train) for configuration in configurations]
        correct, seen = np.zeros(len(nets)), 0
        keys = validation_batches(len(val), self._batch_size)
        read = batches(val, keys, self._workers, fill=False)
        bar = progress_bar(read, "validation", len(keys), leave=False)
        for images, labels in bar:
            seen += len(labels)
            for x, y in zip(self._split(images), self._split(labels), strict=True):
                for index, net in enumerate(nets):
                    correct[index] += int(
                        (net(x).argmax(axis=1) == y.astype("float32")).sum().asscalar()
                    )
        return [float(number) / seen for number in correct]

    def _sub_network(self, configuration, train):
        net = cut_out(self._net, configuration)
        size = min(self._batch_size, len(train))
        keys = epoch_batches(len(train), size, self._seed, epoch=0)
        keys = keys[: max(1, REESTIMATION_IMAGES // size)]
        read = progress_bar(
            batches(train, keys, self._workers), "statistics", len(keys), leave=False
        )
        return reestimate_batch_norm(net, (images for images, _ in read))

    def _split(self, array):
        devices = self._contexts[: len(array)]  # a last batch may have fewer images than devices
        return mx.gluon.utils.split_and_load(array, devices, even_split=False)

    def to_arrays(self):
        """Return the parameters and the optimiser's momenta as arrays for a checkpoint."""
        return network_arrays(self._net) | optimiser_arrays(self._trainer, self._net)

    def load_arrays(self, arrays, path):
        """Take over the parameters and momenta of a checkpoint, which was read from path."""
        load_network(self._net, arrays, path)
        load_optimiser(self._trainer, self._net, arrays, path)
