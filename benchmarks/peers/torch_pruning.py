"""Widths by Torch-Pruning: global magnitude or Taylor importance.

    make peers
    .venv-peers/bin/python -m benchmarks.peers.torch_pruning widest.params table.jsonl \\
        results.jsonl --importance taylor --targets 0.01 0.02

Pruned progressively, as its reproduction of its paper does (pruning ratio 1, 400 steps, until the
wanted speed is reached; its reproduce/main.py), with all channels ranked together ("Global
Pruning" in its README, "High-level Pruners"); the speed is the table's prediction. The importances
are its defaults: group L2 norm and first-order Taylor expansion. Taylor's gradients are those of 10
batches of 64 training images, as in its example prune_timm_vit.py, drawn anew before each step.
As its README says, the classifier is not pruned; nor is a layer once it has the narrowest of its
choices, which of 16 channels are 8. A max_pruning_ratio ("useful if over-pruning happens") stops
what a step prunes beyond the narrowest multiplier of the search space.
Rounded to the search space's choices by benchmarks.peers.rounding.
Source: github.com/VainF/Torch-Pruning, version 1.6.1.
"""

if __name__ == "__main__":  # before the imports that take seconds
    from utils.startup import prepare

    prepare()

import numpy as np
import torch
import torch.nn.functional as F
import torch_pruning as tp

from benchmarks.peers.rounding import RoundingSearch
from benchmarks.peers.task import Record, Task, layers, parser, widths
from utils.command_line import positive
from utils.errors import UserError, exits_with_one_line

BATCHES, BATCH_SIZE = 10, 64  # of Taylor's gradients
IMPORTANCES = {
    "magnitude": tp.importance.GroupMagnitudeImportance,
    "taylor": tp.importance.GroupTaylorImportance,
}


@exits_with_one_line
def main():
    """Prune until the lowest target is met, and write the best rounding for each target."""
    options = parser(__doc__.partition("\n")[0])
    options.add_argument("--importance", choices=tuple(IMPORTANCES), required=True)
    options.add_argument("--steps", type=positive, default=400, help="to prune all channels")
    args = options.parse_args()
    torch.set_num_threads(1)
    task = Task.open(args)
    record = Record(args.results, f"Torch-Pruning {args.importance}", task)
    searches = [RoundingSearch(task.table, task.space, ms) for ms in task.targets_ms]
    narrowest = task.space.min_width / task.space.max_width
    every = pruned_widths(task.trained, args.importance, args.steps, narrowest, narrowest_of(task))
    for pruned in every:
        for search in searches:
            search.see(pruned)
            if search.is_done:
                record.write(search.target_ms, search.best, pruned=search.rounded)
        searches = [search for search in searches if not search.is_done]
        if not searches:
            break
    for search in searches:  # met at most by widths rounded down
        if search.best is None:
            raise UserError(f"no pruned network takes {search.target_ms:g} ms or less")
        record.write(search.target_ms, search.best, pruned=search.rounded)


def narrowest_of(task):
    """Return {convolution: its least number of channels in the search space}."""
    pairs = zip(layers(task.trained.net), task.space.choices, strict=True)
    return {conv: choices[0] for (conv, _), choices in pairs}


def pruned_widths(trained, importance, steps, narrowest, least=None):
    """Yield the widths of a Trained's network before pruning and after each step; prunes it.

    narrowest: about the share of channels that every layer keeps
    least:     {module: channels}: with as many or fewer it is pruned no more
    """
    net, rng, least = trained.net, np.random.default_rng(trained.seed), least or {}
    pruner = tp.pruner.BasePruner(
        net,
        trained.example,
        importance=IMPORTANCES[importance](),
        global_pruning=True,
        pruning_ratio=1.0,
        iterative_steps=steps,
        max_pruning_ratio=1 - narrowest,
        ignored_layers=[net.classifier],
    )
    yield widths(net)
    for _ in range(steps):
        done = {conv for conv, channels in least.items() if conv.out_channels <= channels}
        pruner.ignored_layers += done - set(pruner.ignored_layers)
        if importance == "taylor":
            accumulate_gradients(trained, rng)
        pruner.step()
        yield widths(net)


def accumulate_gradients(trained, rng):
    """Set the gradients of the network's parameters to the sum over batches of training images."""
    trained.net.zero_grad()
    count = len(trained.images)
    drawn = rng.choice(count, min(BATCHES * BATCH_SIZE, count), replace=False)
    for images, labels in trained.batches(drawn, BATCH_SIZE):
        F.cross_entropy(trained.net(images), labels).backward()


if __name__ == "__main__":
    main()
