"""train_final.py's training in PyTorch: one device per process, several processes by torchrun."""

import contextlib
from functools import partial

import numpy as np
import torch
import torch.distributed as dist
import torch.nn.functional as F

from models.arrays import AVERAGE, SCALE, UPDATES, has_average
from models.pytorch.arrays import (
    load_momenta,
    load_network,
    load_parameters,
    load_scale,
    load_weights,
    momentum_arrays,
    save_parameters,
    scale_array,
    to_array,
)
from models.pytorch.averaging import Average
from models.pytorch.batches import batches
from models.pytorch.plain import (
    PlainNet,
    convolutions,
    folded_weights,
    initialised,
    reestimate_batch_norm,
)
from models.pytorch.recipe import make_objective, make_optimiser
from models.pytorch.runtime import (
    autocast,
    check_dtype,
    joined_processes,
    open_device,
    reducing_gradients,
    sum_over_processes,
)
from utils import checkpoints
from utils.errors import UserError


@contextlib.contextmanager
def open_training(execution, batch_size):
    """Yield a TorchFinalTraining; the processes that train together are connected in the block."""
    device = open_device(execution.num_gpus)
    check_dtype(execution.dtype, device)
    with joined_processes(device) as processes:
        training = TorchFinalTraining(execution, batch_size, device, processes)
        try:
            yield training
        finally:
            training.leave_processes()


class TorchFinalTraining:
    """A network in training, with the methods of models.gluon.final.MXNetFinalTraining."""

    def __init__(self, execution, batch_size, device, processes):
        self._execution, self._device = execution, device
        self.rank, self.world_size = processes
        self.batch_size = batch_size
        self.read = partial(batches, pin_memory=device.type == "cuda")

    def build(self, network, configuration, seed, schedule, targets, steps, supernet=None):
        """Make a Description's net, its loss and its optimiser, for epochs of `steps` steps.

        supernet: TrainedWeights of its widest network, if that is the teacher
        """
        net = initialised(PlainNet(network, configuration), seed)
        self._net = net.to(self._device, memory_format=torch.channels_last)
        self._forward = self._net
        if self.world_size > 1:  # each with its own batch statistics, as MXNet's devices have
            self._forward = reducing_gradients(self._net)
        if self._execution.compile:
            self._forward = torch.compile(self._forward)
        self._objective = make_objective(targets, network, self._device, supernet)
        self._optimiser = make_optimiser(self._net, schedule, steps)
        is_scaled = self._execution.dtype == "float16"
        self._scaler = torch.amp.GradScaler(self._device.type, enabled=is_scaled)
        self._average = None
        if schedule.average is not None:
            self._average = Average(self._net, schedule.average)

    def leave_processes(self):
        """Let go of what is connected with other processes; nothing is trained after that."""
        self._forward = None

    @property
    def averages(self):
        """Whether weights are averaged."""
        return self._average is not None

    @property
    def learning_rate(self):
        """The learning rate of the last update."""
        return self._optimiser.learning_rate

    def step(self, images, labels, share):
        """Train one batch and return its mean loss over all processes; share: see Objective."""
        self._net.train()
        self._optimiser.zero_grad()
        with autocast(self._device, self._execution.dtype):
            loss = self._objective(self._forward, *self._placed(images, labels), share).mean()
        self._scaler.scale(loss).backward()
        updates = self._optimiser.updates + 1
        self._scaler.step(self._optimiser)
        self._optimiser.updates = updates  # one skipped because float16 overflowed counts
        self._scaler.update()
        if self._average:
            self._average.update(self._net, updates)
        return self.sum_over_processes(loss.item()) / self.world_size

    @torch.inference_mode()
    def evaluate(self, images, labels, averaged=False):
        """Return (cross entropies, places of the labels' logits), arrays (B,), of a batch.

        averaged: whether by the averaged weights
        """
        net = self._average.net if averaged else self._net.eval()
        images, labels = self._placed(images, labels)
        with autocast(self._device, self._execution.dtype):
            logits = net(images).float()
        places = (logits >= logits.gather(1, labels[:, None])).sum(1)
        return to_array(F.cross_entropy(logits, labels, reduction="none")), to_array(places)

    def average_statistics(self):
        """Set all processes' running statistics to their average: they saw different images."""
        if self.world_size > 1:
            for _, norm in convolutions(self._net):
                for statistic in (norm.running_mean, norm.running_var):
                    dist.all_reduce(statistic)
                    statistic.div_(self.world_size)

    def reestimate_average(self, batches):
        """Re-estimate the BatchNorm statistics of the averaged weights on batches of images."""
        self._average.reestimate(map(self._placed_images, batches))

    def sum_over_processes(self, value):
        """Return the sum of a number over all processes, which wait for each other here."""
        return sum_over_processes([value], self._device)[0]

    def save_parameters(self, path):
        """Write the network's parameters."""
        save_parameters(self._net, path)

    def load_parameters(self, path):
        """Load the parameters from a file."""
        load_parameters(self._net, path)
        if self._average:
            self._average.restart(self._net)

    def start_at(self, weights, batches):
        """Set the parameters from TrainedWeights, the BatchNorm statistics from images."""
        load_weights(self._net, weights)
        reestimate_batch_norm(self._net, map(self._placed_images, batches))
        if self._average:
            self._average.restart(self._net)

    def optimiser_arrays(self):
        """Return the optimiser's state as arrays for a checkpoint."""
        updates = np.int64(self._optimiser.updates)
        arrays = {UPDATES: updates, SCALE: scale_array(self._scaler)}
        if self._average:
            arrays |= self._average.arrays()
        return momentum_arrays(self._optimiser, self._net) | arrays

    def load_optimiser(self, arrays, path):
        """Load the state that optimiser_arrays returned; path: the file that it was read from."""
        if UPDATES not in arrays or SCALE not in arrays:
            raise UserError(f"{path} holds no optimiser state")
        updates = checkpoints.integers(arrays[UPDATES], UPDATES, path)
        load_momenta(self._optimiser, self._net, arrays, path)
        load_scale(self._scaler, arrays, path)
        if self._average and has_average(arrays):
            self._average.load(arrays, path)
        self.set_updates(int(updates))

    def set_updates(self, updates):
        """Set the number of updates made, which the learning rate depends on."""
        self._optimiser.updates = updates

    @staticmethod
    def to_numpy(images):
        """Return a batch of images as a NumPy array."""
        return to_array(images)

    def save_averaged(self, arrays, source, path):
        """Write the averaged network among a checkpoint's arrays as parameters.

        source: the file that the arrays were read from
        """
        net = PlainNet(self._net.network, self._net.configuration)
        load_network(net, arrays, source, AVERAGE)
        save_parameters(net, path)

    def deployed(self, path):
        """Return (FoldedWeights, images -> logits) of a parameters file, float32 on the CPU."""
        net = PlainNet(self._net.network, self._net.configuration)
        load_parameters(net, path)
        net.eval()
        return folded_weights(net), lambda images: to_array(net(torch.from_numpy(images)))

    def _placed(self, images, labels):
        return self._placed_images(images), labels.to(self._device, non_blocking=True)

    def _placed_images(self, images):
        return images.to(self._device, memory_format=torch.channels_last, non_blocking=True)
