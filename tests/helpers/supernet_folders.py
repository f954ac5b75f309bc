"""Folders as train_nas.py leaves them, of a supernet that was not trained but drawn."""

import json

import numpy as np

from models.arrays import NETWORK, with_prefix
from models.parameter_names import layouts
from nas.search_space import SearchSpace
from utils import checkpoints

SPACE = SearchSpace(input_size=32, classes=3, min_width=0.05, max_width=0.15, levels=3)
ANSWER = (8, 8, 8, 16, 24, 16, 24, 48, 24, 80, 24, 24, 48, 104)
PREFIXES = {"mxnet": f"{NETWORK}full.", "pytorch": NETWORK}
LAYOUTS = {"mxnet": "ours in MXNet", "pytorch": "ours in PyTorch"}


def drawn_arrays(space=SPACE, seed=0):
    """Return the arrays of the widest network in order, none of which hides a mistake."""
    rng = np.random.default_rng(seed)
    *shapes, classifier = space.description.kernel_shapes(space.largest)
    arrays = []
    for shape in shapes:
        fan_in = shape[1] * shape[2] * shape[3]
        arrays.append(rng.normal(0, (2 / fan_in) ** 0.5, shape))
        for low, high in ((0.5, 1.5), (-0.5, 0.5), (-0.5, 0.5), (0.5, 2)):
            arrays.append(rng.uniform(low, high, shape[0]))
    arrays += [rng.normal(0, classifier[1] ** -0.5, classifier), rng.normal(0, 0.5, classifier[0])]
    return [array.astype(np.float32) for array in arrays]


def write_supernet(folder, framework="pytorch", space=SPACE, epoch=4, step=0, seed=0):
    """Write a folder of train_nas.py with one checkpoint and ANSWER; return it."""
    folder.mkdir(exist_ok=True)
    names = layouts(space.description)[LAYOUTS[framework]]
    arrays = dict(zip(names, drawn_arrays(space, seed), strict=True))
    values = {
        "epoch": epoch,
        "step": step,
        "loss_sums": {},
        "search_space": space.as_dict(),
        "batch_size": 8,
        "seed": 0,
        "AOWS": False,
        "limits": [],
        "framework": framework,
    }
    path = checkpoints.checkpoint_path(folder, epoch, step)
    checkpoints.save(path, with_prefix(PREFIXES[framework], arrays), values)
    line = {"epoch": epoch, "latency_ms": 1.0, "target_ms": 2.0, "score": 0.5}
    lines = [line | {"configuration": widths} for widths in (space.smallest, ANSWER)]
    (folder / "results.jsonl").write_text("".join(json.dumps(each) + "\n" for each in lines))
    return folder
