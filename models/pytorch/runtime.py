"""PyTorch's device, precision and processes, as torchrun starts them."""

import atexit
import contextlib
import datetime
import gc
import importlib
import warnings

import torch
import torch.distributed as dist
from torch.nn.parallel import DistributedDataParallel

from utils.errors import UserError
from utils.processes import ALONE, Processes, local_rank, world_size

DTYPES = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}
# For a process that is silent: longer than compiling or a validation batch can take.
PATIENCE = datetime.timedelta(minutes=30)


def open_device(num_gpus=None):
    """Return the torch.device that this process trains on.

    num_gpus: 0 for the CPU, 1 for the GPU of torchrun's LOCAL_RANK; None for a GPU if there is one
    Raises UserError if there are fewer GPUs than asked for, or more than one per process.
    """
    present = torch.cuda.device_count() if torch.cuda.is_available() else 0
    wanted = min(present, 1) if num_gpus is None else num_gpus
    if wanted > 1:
        raise UserError(
            f"with --framework pytorch one process trains on one GPU: give --num-gpus 1 and start "
            f"it by torchrun --nproc-per-node {wanted}"
        )
    if not wanted:
        return torch.device("cpu")
    index = local_rank()
    if index >= present:
        why = "" if torch.version.cuda else " (this PyTorch was built without CUDA)"
        raise UserError(f"GPU {index + 1} was asked for, PyTorch sees {present}{why}")
    torch.cuda.set_device(index)
    return torch.device("cuda", index)


def check_dtype(dtype, device):
    """Return dtype, a name of DTYPES, or raise UserError if a device should not compute in it."""
    if dtype == "float16" and device.type == "cpu":
        raise UserError("float16 needs a GPU: a CPU computes in it many times slower; try bfloat16")
    return dtype


def autocast(device, dtype):
    """Return the context manager of forward passes in dtype, where operators allow it."""
    return torch.autocast(device.type, DTYPES[dtype], enabled=dtype != "float32")


@contextlib.contextmanager
def joined_processes(device):
    """Yield the Processes that torchrun started, connected in the block; one process without it.

    Raises UserError if another process ends, or does not answer for PATIENCE.
    What communicates, like a DistributedDataParallel, has to be let go of in the block: gloo's
    threads end with the last reference to their process group, and one that still frees a tensor
    when the interpreter ends kills the process ("terminate called without an active exception").
    """
    if world_size() == 1:
        yield ALONE
        return
    backend = "nccl" if device.type == "cuda" else "gloo"
    importlib.import_module("torch._dynamo")  # imported later, it would keep the process group
    with lost_processes_named():
        dist.init_process_group(backend, timeout=PATIENCE)
        try:
            yield Processes(dist.get_rank(), dist.get_world_size())
        except BaseException:
            # The others end as soon as this one leaves, so it first reports what has gone wrong.
            atexit.register(_leave)
            raise
        _leave()


def _leave():
    """Leave the other processes, for the rest of this one's life."""
    dist.destroy_process_group()
    gc.collect()


def reducing_gradients(net):
    """Return a network in a DistributedDataParallel; each process keeps its batch statistics."""
    with warnings.catch_warnings():  # the option's successor came with PyTorch 2.13
        warnings.filterwarnings("ignore", "`broadcast_buffers` is deprecated", FutureWarning)
        return DistributedDataParallel(net, broadcast_buffers=False)


def sum_over_processes(numbers, device):
    """Return a list of numbers, each summed over all processes, which wait for each other here."""
    if not dist.is_initialized():
        return numbers
    total = torch.tensor(numbers, dtype=torch.float64, device=device)
    dist.all_reduce(total)
    return total.tolist()


@contextlib.contextmanager
def lost_processes_named():
    """Raise UserError if another process is lost: a context manager or a decorator."""
    try:
        yield
    except RuntimeError as error:
        text = str(error).lower()
        timed_out = "timed out" in text
        is_lost = isinstance(error, dist.DistError) or timed_out or "connection" in text
        if world_size() == 1 or not is_lost:
            raise
    else:
        return
    if timed_out:
        waited = f"{PATIENCE.total_seconds() / 60:g} minutes"
        raise UserError(f"another process of this training has not answered for {waited}")
    raise UserError("another process of this training has ended, for its own reason")
