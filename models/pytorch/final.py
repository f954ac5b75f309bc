"""train_final.py's training in PyTorch: one device per process, several processes by torchrun."""

from functools import partial

import numpy as np
import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch.nn.parallel import DistributedDataParallel

from models.pytorch.arrays import (
    load_momenta,
    load_parameters,
    momentum_arrays,
    save_parameters,
    to_array,
)
from models.pytorch.batches import batches
from models.pytorch.mobilenet_v1 import MobileNetV1, convolutions, folded_weights, initialised
from models.pytorch.recipe import make_objective, make_optimiser
from models.pytorch.runtime import autocast, check_dtype, joined_processes, open_device
from models.recipe import learning_rates
from utils import checkpoints
from utils.errors import UserError

UPDATES, SCALE = "updates", "loss_scale"


class TorchFinalTraining:
    """A MobileNet-v1 in training: the verbs of models.gluon.final.MXNetFinalTraining.

    A context manager, in which the processes that train together are connected.
    """

    def __init__(self, options):
        self._options = options
        self._device = open_device(options.num_gpus)
        check_dtype(options.dtype, self._device)
        self._processes = joined_processes(self._device)
        self.batch_size = options.batch_size
        self.read = partial(batches, pin_memory=self._device.type == "cuda")

    def __enter__(self):
        self.rank, self.ranks = self._processes.__enter__()
        return self

    def __exit__(self, *exception):
        return self._processes.__exit__(*exception)

    def build(self, classes, steps):
        """Make the network, its loss and its optimiser, for epochs of so many steps."""
        options = self._options
        net = initialised(MobileNetV1(options.configuration, classes), options.seed)
        self._net = net.to(self._device, memory_format=torch.channels_last)
        self._forward = self._net
        if self.ranks > 1:  # each with its own batch statistics, as MXNet's devices have
            self._forward = DistributedDataParallel(self._net, broadcast_buffers=False)
        if options.compile:
            self._forward = torch.compile(self._forward)
        self._objective = make_objective(options, classes, self._device)
        self._optimiser = make_optimiser(self._net, options, learning_rates(options, steps))
        self._scaler = torch.amp.GradScaler(self._device.type, enabled=options.dtype == "float16")

    @property
    def learning_rate(self):
        """The learning rate of the last update."""
        return self._optimiser.learning_rate

    def step(self, images, labels, share):
        """Train one batch and return its mean loss over all processes; share: see Objective."""
        self._net.train()
        self._optimiser.zero_grad()
        with autocast(self._device, self._options.dtype):
            loss = self._objective(self._forward, *self._placed(images, labels), share).mean()
        self._scaler.scale(loss).backward()
        updates = self._optimiser.updates + 1
        self._scaler.step(self._optimiser)
        self._optimiser.updates = updates  # one that is skipped, as float16 overflowed, counts
        self._scaler.update()
        return self.sum_over_ranks(loss.item()) / self.ranks

    @torch.inference_mode()
    def evaluate(self, images, labels):
        """Return (cross entropies, ranks of the labels' logits), arrays (B,), of a batch."""
        self._net.eval()
        images, labels = self._placed(images, labels)
        with autocast(self._device, self._options.dtype):
            logits = self._net(images).float()
        ranks = (logits >= logits.gather(1, labels[:, None])).sum(1)
        return to_array(F.cross_entropy(logits, labels, reduction="none")), to_array(ranks)

    def average_statistics(self):
        """Set all processes' running statistics to their average: they saw different images."""
        if self.ranks > 1:
            for _, norm in convolutions(self._net):
                for statistic in (norm.running_mean, norm.running_var):
                    dist.all_reduce(statistic)
                    statistic.div_(self.ranks)

    def sum_over_ranks(self, value):
        """Return the sum of a number over all processes, which wait for each other here."""
        if self.ranks == 1:
            return value
        total = torch.tensor(value, dtype=torch.float64, device=self._device)
        dist.all_reduce(total)
        return total.item()

    def save_parameters(self, path):
        """Write the network's parameters."""
        save_parameters(self._net, path)

    def load_parameters(self, path):
        """Take over the parameters of a file."""
        load_parameters(self._net, path)

    def optimiser_arrays(self):
        """Return the optimiser's state as arrays for a checkpoint."""
        arrays = momentum_arrays(self._optimiser, self._net)
        scale = self._scaler.state_dict() or {}
        scale = [scale[name] for name in ("scale", "_growth_tracker") if scale]
        return arrays | {UPDATES: np.int64(self._optimiser.updates), SCALE: np.float64(scale)}

    def load_optimiser(self, arrays, path):
        """Take over the state of optimiser_arrays, which was read from path."""
        if UPDATES not in arrays or SCALE not in arrays:
            raise UserError(f"{path} holds no optimiser state")
        updates = checkpoints.integers(arrays[UPDATES], UPDATES, path)
        shape = (2,) if arrays[SCALE].size else (0,)
        scale = checkpoints.floats(arrays[SCALE], SCALE, path, shape=shape)
        if (scale < 0).any():
            raise UserError(f"{path}: {SCALE} holds a number below 0")
        load_momenta(self._optimiser, self._net, arrays, path)
        self.set_updates(int(updates))
        if self._scaler.is_enabled() and scale.size:
            scale, growth = scale
            state = {"scale": float(scale), "_growth_tracker": int(growth)}
            self._scaler.load_state_dict(self._scaler.state_dict() | state)

    def set_updates(self, updates):
        """Set how many updates were made, by which the learning rates go."""
        self._optimiser.updates = updates

    @staticmethod
    def to_numpy(images):
        """Return a batch of images as a NumPy array."""
        return to_array(images)

    def deployed(self, path):
        """Return (FoldedWeights, images -> logits) of a parameters file, float32 on the CPU."""
        net = MobileNetV1(self._net.configuration, self._net.classes)
        load_parameters(net, path)
        net.eval()
        return folded_weights(net), lambda images: to_array(net(torch.from_numpy(images)))

    def _placed(self, images, labels):
        images = images.to(self._device, memory_format=torch.channels_last, non_blocking=True)
        return images, labels.to(self._device, non_blocking=True)
