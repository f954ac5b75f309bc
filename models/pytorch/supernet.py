"""The slimmable network as train_nas.py trains it in PyTorch: optimiser, steps, accuracies."""

import contextlib
from functools import partial

import numpy as np
import torch
import torch.nn.functional as F

from models.arrays import SCALE
from models.pytorch.arrays import (
    load_momenta,
    load_network,
    load_scale,
    load_weights,
    momentum_arrays,
    network_arrays,
    scale_array,
    to_array,
)
from models.pytorch.batches import batches
from models.pytorch.plain import reestimate_batch_norm
from models.pytorch.runtime import (
    autocast,
    check_dtype,
    joined_processes,
    open_device,
    reducing_gradients,
    sum_over_processes,
)
from models.pytorch.sgd import MomentumSGD
from models.pytorch.slimmable import SlimmableNet, cut_out, sandwich_step
from models.supernet import Supernet
from utils.errors import UserError
from utils.processes import ALONE


@contextlib.contextmanager
def open_supernet(space, schedule, execution, workers, slimmable=SlimmableNet):
    """Yield a TorchSupernet; the processes that train together are connected in the block."""
    with joined_processes(open_device(execution.num_gpus)) as processes:
        net = TorchSupernet(space, schedule, execution, workers, processes, slimmable)
        try:
            yield net
        finally:
            net.leave_processes()


class TorchSupernet(Supernet):
    """A Supernet in PyTorch, on one device per process (torchrun)."""

    def __init__(
        self, space, schedule, execution, workers=0, processes=ALONE, slimmable=SlimmableNet
    ):
        """
        space:     the SearchSpace whose least and greatest widths the network has
        schedule, workers, processes: see Supernet; the processes are connected
        execution: an Execution; the passes of cut-out networks, whose shapes differ every time,
                   are not compiled
        slimmable: the class of the network
        Raises UserError for what does not divide into equal parts or the device cannot do.
        """
        self._device = open_device(execution.num_gpus)
        self._dtype = check_dtype(execution.dtype, self._device)
        read = partial(batches, pin_memory=self._device.type == "cuda")
        super().__init__(schedule, read, workers, processes)
        groups = schedule.configurations_per_batch
        _check_divisible("--batch-size", schedule.batch_size, self.world_size, "processes")
        if groups:
            parts = "configurations per batch"
            _check_divisible("--batch-size", schedule.batch_size, groups, parts)
            _check_divisible("--configurations-per-batch", groups, self.world_size, "processes")
        self._groups = groups // self.world_size
        self._net = slimmable(space.description, space.smallest, space.largest, schedule.seed)
        self._net.to(self._device)
        if execution.compile:
            self._net.full = torch.compile(self._net.full)
            self._net.masked = torch.compile(self._net.masked)
        self._reducing = None
        if self.world_size > 1:
            self._reducing = reducing_gradients(self._net)
        self._optimiser = MomentumSGD(self._net.parameters(), schedule.momentum, schedule.wd)
        self._scaler = torch.amp.GradScaler(self._device.type, enabled=self._dtype == "float16")

    def leave_processes(self):
        """Let go of what is connected with other processes; nothing is trained after that."""
        self._reducing = None

    @property
    def device(self):
        """A description of where the network is: 'PyTorch on cpu'."""
        together = f", {self.world_size} processes" if self.world_size > 1 else ""
        return f"PyTorch on {self._device}{together}"

    def step(self, images, labels, widths, learning_rate):
        """Train one batch; returns the SandwichLosses of the whole batch.

        images: (b, 3, H, W); labels: (b,), this process's share of the batch
        widths: (B, layers), each image's random configuration, of the whole batch
        In float16 a step whose scaled gradients overflow changes no weight; its losses are
        valid all the same: they are those of the unchanged weights.
        """
        widths = torch.from_numpy(self.share(np.ascontiguousarray(widths)))
        losses = sandwich_step(
            self._net,
            *map(self._placed, (images, labels, widths)),
            groups=self._groups,
            autocast=autocast(self._device, self._dtype),
            scaler=self._scaler,
            reducing=self._reducing,
        )
        self._optimiser.learning_rate = learning_rate
        self._scaler.step(self._optimiser)
        self._scaler.update()
        return losses

    @torch.no_grad()
    def evaluate(self, configurations, train, images):
        return super().evaluate(configurations, train, images)

    def cut_out(self, configuration):
        """Return the plain net of a configuration."""
        return cut_out(self._net, configuration)

    def reestimated(self, net, images):
        """Return a net in evaluation mode, with BatchNorm statistics re-estimated on the images."""
        return reestimate_batch_norm(net, map(self._placed, images)).eval()

    def judged(self, nets, images, labels):
        """Return, for each net, how many images it classifies correctly and its summed losses."""
        images, labels = self._placed(images), self._placed(labels)
        rows = []
        for net in nets:
            logits = net(images)
            losses = F.cross_entropy(logits, labels, reduction="sum")
            rows.append([(logits.argmax(1) == labels).sum().item(), losses.item()])
        return rows

    def summed(self, numbers):
        """Return a list of numbers, each summed over all processes."""
        return sum_over_processes(numbers, self._device)

    def _placed(self, array):
        return array.to(self._device, non_blocking=True)

    def to_arrays(self):
        """Return the parameters and the optimiser's state as arrays for a checkpoint."""
        arrays = network_arrays(self._net.wide) | momentum_arrays(self._optimiser, self._net.wide)
        if self._scaler.is_enabled():
            arrays[SCALE] = scale_array(self._scaler)
        return arrays

    @staticmethod
    def to_numpy(images):
        """Return a batch of images as a NumPy array."""
        return to_array(images)

    def load_weights(self, weights):
        """Start at TrainedWeights of the widest network."""
        load_weights(self._net.wide, weights)

    def load_arrays(self, arrays, path):
        """Load the parameters and momenta of a checkpoint that was read from path."""
        load_network(self._net.wide, arrays, path)
        load_momenta(self._optimiser, self._net.wide, arrays, path)
        if self._scaler.is_enabled() and SCALE in arrays:
            load_scale(self._scaler, arrays, path)


def _check_divisible(name, number, count, parts):
    if number % count:
        raise UserError(f"{name} {number} does not divide into equal parts for {count} {parts}")
