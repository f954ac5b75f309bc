"""The one place that imports MXNet: `from models.gluon.runtime import mx`; contexts, processes.

MXNet 1.9.1 asks NumPy for `np.bool`, which NumPy 1.24 removed: give it back before the import.
In a server or scheduler of MXNet's launcher the import does its work and ends the process.
"""

import contextlib
import os

import numpy as np

from utils.errors import UserError
from utils.processes import ALONE, Processes, end_with_parent, mxnet_role

if mxnet_role():
    end_with_parent()
else:
    os.environ.pop("DMLC_ROLE", None)  # left over from something else: MXNet would abort
if "bool" not in vars(np):
    vars(np)["bool"] = bool
# One workspace for all operators, not four: they run one after the other anyway.
os.environ.setdefault("MXNET_CPU_TEMP_COPY", "1")
os.environ.setdefault("MXNET_SUBGRAPH_VERBOSE", "0")  # no line for every executor that is bound
import mxnet as mx

_features = mx.runtime.Features()

# oneDNN joins BatchNorm and ReLU in one operator, which exists for the CPU only.
FUSES_BATCH_NORM = _features.is_enabled("MKLDNN") and not _features.is_enabled("CUDA")

DTYPES = ("float16", "float32")


def contexts(num_gpus=None):
    """Return the list of devices to train on.

    num_gpus: None for all GPUs present, or the CPU if there are none; 0 for the CPU
    Raises UserError if there are fewer GPUs than asked for.
    """
    present = mx.context.num_gpus() if _features.is_enabled("CUDA") else 0
    wanted = present if num_gpus is None else num_gpus
    if wanted < 0:
        raise UserError(f"{wanted} GPUs: the number must not be negative")
    if wanted > present:
        why = "" if _features.is_enabled("CUDA") else " (this MXNet was built without CUDA)"
        raise UserError(f"{wanted} GPUs were asked for, MXNet sees {present}{why}")
    return [mx.gpu(i) for i in range(wanted)] or [mx.cpu()]


def check_dtype(dtype, devices):
    """Return dtype, "float16" or "float32", or raise UserError if a device cannot compute in it.

    devices: a list of MXNet contexts. Needs no data, so that a script can ask before reading any.
    """
    if dtype not in DTYPES:
        raise UserError(f"dtype {dtype!r} is not one of {', '.join(DTYPES)}")
    if dtype == "float16" and any(device.device_type == "cpu" for device in devices):
        raise UserError("float16 needs a GPU: MXNet has no float16 convolutions on a CPU")
    return dtype


@contextlib.contextmanager
def joined_processes(kv_store):
    """Yield (Processes, kvstore) as started by MXNet's launcher, connected in the block.

    kv_store: the name of a KVStore; unless it begins with "dist", there is one process, and the
              name itself is yielded: it sums the gradients of the process's devices
    Raises UserError for a "dist" store if MXNet's launcher did not start this process.
    """
    if not kv_store.startswith("dist"):
        yield ALONE, kv_store
        return
    if mxnet_role() is None:
        raise UserError(
            f"--kv-store {kv_store} needs a scheduler and servers: start it by "
            "python -m utils.mxnet_launch -n WORKERS --launcher local"
        )
    store = mx.kv.create(kv_store)
    try:
        yield Processes(store.rank, store.num_workers), store
    except BaseException:
        if store.num_workers > 1:
            # Otherwise the process would wait for the others at its end, and they for it.
            mx.base._LIB.MXKVStoreSetBarrierBeforeExit(store.handle, 0)
        raise
