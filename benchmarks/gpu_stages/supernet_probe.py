"""A training step of the supernet on a GPU, against three full-width masked passes.

    python -m benchmarks.gpu_stages.supernet_probe bfloat16 [--compile] [--miniature]

Prints JSON lines: how long the first steps took; images/s of the plain step and of ours, G = 0 and
4; AOWS's share of a step outside the network; peak memory of tensors against one full-width pass;
gradients against the CPU's in double precision. What does not fit into memory says so.
"""

import argparse
import json
from functools import partial

import numpy as np
import torch

from benchmarks.gpu_stages.settings import FULL, MINIATURE
from benchmarks.torch_supernet_step import Step, clock, cuda_peak_mib, outside_the_network, seconds
from models.pytorch.runtime import DTYPES

GROUPS = (0, 4)


def tell(**values):
    """Print a JSON line."""
    print(json.dumps(values), flush=True)


def gradient_differences(device):
    """Return {G: median over parameters of |GPU's - CPU's| / |CPU's gradient|}, in doubles."""
    # Threads that wait for each other on busy cores take minutes.
    torch.set_num_threads(1)
    differences = {}
    for groups in GROUPS:
        steps = [Step(32, 8, torch.device(name), "float32", seed=0) for name in ("cpu", device)]
        for step in steps:
            step.net.double()
            step.images = step.images.double()
            step.ours(groups)
        pairs = zip(*(step.net.wide.parameters() for step in steps), strict=True)
        ratios = [((b.grad.cpu() - a.grad).norm() / a.grad.norm()).item() for a, b in pairs]
        differences[groups] = float(np.median(ratios))
    return differences


def rates(calls, settings, device):
    """Return {name: images/s, the median over repeats} of calls that are timed in turn."""
    now, _ = clock(device)
    rows = [[seconds(call, now) for call in calls.values()] for _ in range(settings.repeats)]
    return dict(zip(calls, settings.step[1] / np.median(rows, axis=0), strict=True))


def first_calls(calls, device):
    """Make each call twice, untimed; return those that fit into memory."""
    now, _ = clock(device)
    possible = {}
    for name, call in calls.items():
        try:
            tell(first=name, seconds=[seconds(call, now) for _ in range(2)])
            possible[name] = call
        except torch.OutOfMemoryError as error:
            tell(first=name, why=str(error).partition(". ")[0])
            torch.cuda.empty_cache()
    return possible


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("dtype", choices=tuple(DTYPES))
    parser.add_argument("--compile", action="store_true", help="as train_nas.py --compile")
    parser.add_argument("--miniature", action="store_true", help="little, on the CPU")
    args = parser.parse_args(arguments)
    settings = MINIATURE if args.miniature else FULL
    device = torch.device("cuda" if settings.cuda else "cpu")
    step = Step(*settings.step, device, args.dtype, seed=0)
    if args.compile:
        step.net.full, step.net.masked = map(torch.compile, (step.net.full, step.net.masked))
    calls = {f"G = {groups}": partial(step.ours, groups) for groups in GROUPS}
    calls = first_calls({**calls, "plain": step.twin, "full pass": step.full_pass}, device)
    measured = rates(calls, settings, device)
    tell(images_per_s=measured)
    for groups in GROUPS:
        if f"G = {groups}" in measured:
            outside_s = outside_the_network(step.space, settings.step[1], groups, repeats=20)
            step_s = settings.step[1] / measured[f"G = {groups}"]
            tell(outside=groups, ms=outside_s * 1e3, share=outside_s / (outside_s + step_s))
    if settings.cuda:
        step.plain = None  # its gradients
        calls.pop("plain", None)
        tell(peak_mib={name: cuda_peak_mib(step.net, call) for name, call in calls.items()})
    try:
        tell(gradients=gradient_differences(device.type))
    except RuntimeError as error:  # what the GPU cannot do in doubles it need not do in others
        tell(first="gradients", why=str(error).partition("\n")[0])


if __name__ == "__main__":
    main()
