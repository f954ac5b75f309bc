"""The slimmable network as train_nas.py trains it in PyTorch: optimiser, steps, accuracies."""

import atexit
from contextlib import ExitStack

import numpy as np
import torch
import torch.distributed as dist
from torch.nn.parallel import DistributedDataParallel

from models.pytorch.arrays import load_momenta, load_network, momentum_arrays, network_arrays
from models.pytorch.batches import batches
from models.pytorch.mobilenet_v1 import reestimate_batch_norm
from models.pytorch.runtime import (
    autocast,
    check_dtype,
    joined_processes,
    lost_processes_named,
    open_device,
)
from models.pytorch.sgd import MomentumSGD
from models.pytorch.slimmable import SlimmableMobileNetV1, cut_out, sandwich_step
from utils import checkpoints
from utils.errors import UserError
from utils.images.batches import epoch_batches, full_batches, validation_batches
from utils.progress import progress_bar

REESTIMATION_IMAGES = 512  # training images that BatchNorm statistics are re-estimated on
SCALE = "loss_scale"  # of float16 training: the factor, and the steps since it changed


class TorchSupernet:
    """A slimmable MobileNet-v1 with SGD: one sandwich step at a time, on one device per process.

    Where processes train together (torchrun), each takes its share of every batch, successive
    images of it; all arguments and results are the whole batch's but for the images and labels.
    """

    def __init__(
        self,
        space,
        *,
        num_gpus,
        momentum,
        weight_decay,
        batch_size,
        workers,
        seed,
        dtype="float32",
        compile_passes=False,
        configurations_per_batch=0,
    ):
        """
        space:      the SearchSpace whose least and greatest widths the network has
        num_gpus:   None for a GPU if there is one, else the CPU; 0 for the CPU
        batch_size: images per batch, over all processes
        workers:    processes that read images, for each process that trains
        dtype:      of the forward passes, by autocast: float32, float16 (on GPUs) or bfloat16
        compile_passes: whether to compile the full-width and the masked pass; those of cut-out
                    networks have other shapes every time
        configurations_per_batch: 0 for every image its own, or the number of equal parts of the
                    batch whose images have the same one and pass on the net cut out for it
        Raises UserError for what does not divide into equal parts, or the device cannot do.
        """
        self._device = open_device(num_gpus)
        self._dtype = check_dtype(dtype, self._device)
        processes = ExitStack()
        self._rank, self._ranks = processes.enter_context(joined_processes(self._device))
        atexit.register(processes.close)
        _check_divisible("--batch-size", batch_size, self._ranks, "processes")
        groups = configurations_per_batch
        if groups:
            _check_divisible("--batch-size", batch_size, groups, "configurations per batch")
            _check_divisible("--configurations-per-batch", groups, self._ranks, "processes")
        self._batch_size, self._workers, self._seed = batch_size, workers, seed
        self._groups = groups // self._ranks
        self._net = SlimmableMobileNetV1(space.smallest, space.largest, space.classes, seed)
        self._net.to(self._device)
        if compile_passes:
            self._net.full = torch.compile(self._net.full)
            self._net.masked = torch.compile(self._net.masked)
        self._reducing = None
        if self._ranks > 1:
            self._reducing = DistributedDataParallel(self._net, broadcast_buffers=False)
        self._optimiser = MomentumSGD(self._net.parameters(), momentum, weight_decay)
        self._scaler = torch.amp.GradScaler(self._device.type, enabled=dtype == "float16")

    @property
    def device(self):
        """Where the network is, for people: 'PyTorch on cpu'."""
        together = f", {self._ranks} processes" if self._ranks > 1 else ""
        return f"PyTorch on {self._device}{together}"

    def steps(self, train):
        """Return the number of steps of an epoch; UserError if there are too few images for one."""
        return full_batches(len(train), self._batch_size)

    def batches(self, train, epoch, first=0):
        """Yield this process's (images, labels) of an epoch, shuffled by the seed and the epoch.

        first: the number of batches at the beginning that are left out
        """
        keys = epoch_batches(len(train), self._batch_size, self._seed, epoch)
        return self._read(train, [self._share(batch) for batch in keys[first:]])

    @lost_processes_named()
    def step(self, images, labels, widths, learning_rate):
        """Train one batch; returns the SandwichLosses of the whole of it.

        images: (b, 3, H, W); labels: (b,), this process's share of the batch
        widths: (B, layers), each image's random configuration, of the whole batch
        In float16 a step whose scaled gradients overflow changes no weight; its losses are as good
        as any: they are those of the weights as they stay.
        """
        widths = torch.from_numpy(self._share(np.ascontiguousarray(widths)))
        losses = sandwich_step(
            self._net,
            *(array.to(self._device, non_blocking=True) for array in (images, labels, widths)),
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
    @lost_processes_named()
    def accuracies(self, configurations, train, val):
        """Return the validation accuracy of sub-networks, 0 to 1 each.

        Each sub-network is cut out of the weights, and its BatchNorm statistics are re-estimated
        on training images. Processes that train together share the validation images. Broken images
        are not counted.
        """
        nets = [self._sub_network(configuration, train) for configuration in configurations]
        counts = torch.zeros(1 + len(nets), dtype=torch.int64, device=self._device)  # of all first
        keys = validation_batches(len(val), self._batch_size)[self._rank :: self._ranks]
        read = self._read(val, keys, fill=False)
        for images, labels in progress_bar(read, "validation", len(keys), leave=False):
            x, y = (array.to(self._device, non_blocking=True) for array in (images, labels))
            counts[0] += len(y)
            for index, net in enumerate(nets, start=1):
                counts[index] += (net(x).argmax(1) == y).sum()
        if self._ranks > 1:
            dist.all_reduce(counts)
        seen, *correct = counts.tolist()
        return [number / seen for number in correct]

    def _sub_network(self, configuration, train):
        net = cut_out(self._net, configuration)
        size = min(self._batch_size, len(train))
        keys = epoch_batches(len(train), size, self._seed, epoch=0)
        keys = keys[: max(1, REESTIMATION_IMAGES // size)]
        read = progress_bar(self._read(train, keys), "statistics", len(keys), leave=False)
        images = (images.to(self._device, non_blocking=True) for images, _ in read)
        return reestimate_batch_norm(net, images).eval()

    def _read(self, dataset, keys, fill=True):
        pin_memory = self._device.type == "cuda"
        return batches(dataset, keys, self._workers, pin_memory, fill=fill)

    def _share(self, rows):
        """Return this process's share of the rows of a whole batch."""
        size = len(rows) // self._ranks
        return rows[self._rank * size : (self._rank + 1) * size]

    def to_arrays(self):
        """Return the parameters and the optimiser's state as arrays for a checkpoint."""
        arrays = network_arrays(self._net.wide) | momentum_arrays(self._optimiser, self._net.wide)
        if self._scaler.is_enabled():
            state = self._scaler.state_dict()
            arrays[SCALE] = np.array([state["scale"], state["_growth_tracker"]])
        return arrays

    def load_arrays(self, arrays, path):
        """Take over the parameters and momenta of a checkpoint, which was read from path."""
        load_network(self._net.wide, arrays, path)
        load_momenta(self._optimiser, self._net.wide, arrays, path)
        if self._scaler.is_enabled() and SCALE in arrays:
            scale, growth = checkpoints.floats(arrays[SCALE], SCALE, path, shape=(2,)).tolist()
            if scale <= 0 or growth < 0:
                raise UserError(f"{path}: {SCALE} is {scale:g} since {growth:g} steps")
            state = {"scale": scale, "_growth_tracker": int(growth)}
            self._scaler.load_state_dict(self._scaler.state_dict() | state)


def _check_divisible(name, number, count, parts):
    if number % count:
        raise UserError(f"{name} {number} does not divide into equal parts for {count} {parts}")
