"""The slimmable network as train_nas.py trains it in MXNet, on one or more devices."""

import contextlib

import numpy as np

from models.gluon.arrays import (
    load_network,
    load_optimiser,
    load_weights,
    network_arrays,
    optimiser_arrays,
)
from models.gluon.batches import batches
from models.gluon.plain import reestimate_batch_norm
from models.gluon.runtime import contexts, mx
from models.gluon.slimmable import SlimmableNet, cut_out, sandwich_step
from models.supernet import Supernet


@contextlib.contextmanager
def open_supernet(space, schedule, execution, workers):
    """Yield an MXNetSupernet, which trains in one process."""
    yield MXNetSupernet(space, schedule, execution, workers)


class MXNetSupernet(Supernet):
    """A Supernet in MXNet."""

    def __init__(self, space, schedule, execution, workers=0):
        """
        space:     the SearchSpace whose least and greatest widths the network has
        schedule, workers: see Supernet
        execution: an Execution, of which only the number of GPUs matters here
        """
        super().__init__(schedule, batches, workers)
        self._contexts = contexts(execution.num_gpus)
        mx.random.seed(schedule.seed)
        self._net = SlimmableNet(space.description, space.smallest, space.largest)
        self._net.initialize(ctx=self._contexts)
        self._trainer = mx.gluon.Trainer(
            self._net.collect_params(),
            "sgd",
            {"momentum": schedule.momentum, "wd": schedule.wd},
            update_on_kvstore=False,  # the momenta go into checkpoints
        )

    @property
    def device(self):
        """A description of where the network is: 'MXNet on cpu(0)'."""
        return "MXNet on " + ", ".join(map(str, self._contexts))

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

    def cut_out(self, configuration):
        """Return the plain net of a configuration."""
        return cut_out(self._net, configuration)

    def reestimated(self, net, images):
        """Return a net with BatchNorm statistics re-estimated on the images."""
        return reestimate_batch_norm(net, images)

    def judged(self, nets, images, labels):
        """Return, for each net, how many images it classifies correctly and its summed losses."""
        shards = list(zip(self._split(images), self._split(labels), strict=True))
        return [np.sum([_judged(net(x), y) for x, y in shards], axis=0) for net in nets]

    def _split(self, array):
        devices = self._contexts[: len(array)]  # a last batch may have fewer images than devices
        return mx.gluon.utils.split_and_load(array, devices, even_split=False)

    def to_arrays(self):
        """Return the parameters and the optimiser's momenta as arrays for a checkpoint."""
        return network_arrays(self._net) | optimiser_arrays(self._trainer, self._net)

    @staticmethod
    def to_numpy(images):
        """Return a batch of images as a NumPy array."""
        return images.asnumpy()

    def load_weights(self, weights):
        """Start at TrainedWeights of the widest network."""
        load_weights(self._net.full, weights)

    def load_arrays(self, arrays, path):
        """Load the parameters and momenta of a checkpoint that was read from path."""
        load_network(self._net, arrays, path)
        load_optimiser(self._trainer, self._net, arrays, path)


def _judged(logits, labels):
    correct = (logits.argmax(axis=1) == labels.astype("float32")).sum()
    losses = mx.gluon.loss.SoftmaxCrossEntropyLoss()(logits, labels)
    return correct.asscalar(), losses.sum().asscalar()
