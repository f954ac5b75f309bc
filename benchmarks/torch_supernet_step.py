"""One training step of the slimmable network in PyTorch, against a plain implementation.

    OMP_NUM_THREADS=1 python -m benchmarks.torch_supernet_step
    python -m benchmarks.torch_supernet_step --cuda --dtype bfloat16 --sizes 224x256

The plain one makes three full-width passes of the plain net, eagerly and in the default memory
layout: greatest, least and random widths, each going backward before the next. Its masks are
multiplied where ours are, after depthwise layers and before the classifier: fewer than usual.
All compute the same gradients of the same parameters; with G > 0 ours draws G configurations per
batch, which is another estimate of the same expectation.
Also printed: the peak memory of a step against one full-width pass, each in a process of its own;
and the share of a step that AOWS spends outside the network: solving, drawing, recording.
The command with --cuda was not run; its parts were, by benchmarks.gpu.
"""

if __name__ == "__main__":  # before the imports that take seconds
    from utils.startup import prepare

    prepare()

import argparse
import itertools
import multiprocessing
import platform
import time
from functools import partial
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch.profiler import ProfilerActivity, profile

from benchmarks.memory import resident_mib
from benchmarks.timing import spread
from models.pytorch.plain import PlainNet, convolutions
from models.pytorch.runtime import DTYPES, autocast, check_dtype
from models.pytorch.slimmable import SlimmableNet, sandwich_step
from nas.constraint import Constraint
from nas.latency_table import LatencyTable
from nas.search_space import SearchSpace
from nas.supernet_search import Schedule, SupernetSearch
from utils.progress import progress_bar


class PlainSupernet:
    """Three masked passes as one would write them."""

    def __init__(self, wide):
        self.net = PlainNet(wide.network, wide.configuration)
        self.net.to(wide.classifier.weight.device)
        self.net.load_state_dict(wide.state_dict())

    def step(self, space, images, labels, widths, context):
        """Compute the gradients of a training step."""
        self.net.zero_grad()
        largest, smallest = (
            torch.tensor([c], device=widths.device).expand_as(widths)
            for c in (space.largest, space.smallest)
        )
        with context:
            logits = self._masked(images, largest)
            loss = F.cross_entropy(logits, labels)
        loss.backward()
        target = logits.detach().softmax(1, dtype=torch.float32)
        for drawn in (smallest, widths):
            with context:
                loss = F.cross_entropy(self._masked(images, drawn), target)
            loss.backward()

    def _masked(self, x, widths):
        layers = convolutions(self.net)
        for index, (conv, norm) in enumerate(layers):
            x = F.relu(norm(conv(x)), inplace=True)
            if index % 2 or index == len(layers) - 1:
                channels = torch.arange(x.shape[1], device=x.device)
                mask = channels < widths[:, index // 2, None]
                x = x * mask[:, :, None, None].to(x.dtype)
        return self.net.classifier(x.mean((2, 3)))


class Step:
    """The nets, a batch, and the random widths of both kinds of drawing."""

    def __init__(self, size, batch_size, device, dtype, seed):
        self.space = SearchSpace(input_size=size, classes=1000 if size >= 64 else 10)
        self.context = autocast(device, dtype)
        rng = np.random.default_rng(seed)
        images = rng.standard_normal((batch_size, 3, size, size), dtype=np.float32)
        labels = rng.integers(self.space.classes, size=batch_size)
        self.images, self.labels = (torch.from_numpy(a).to(device) for a in (images, labels))
        drawn = [self.space.draw_uniform(rng) for _ in range(batch_size)]
        self._widths = torch.tensor(drawn, device=device)
        space = self.space
        self.net = SlimmableNet(space.description, space.smallest, space.largest, seed)
        self.net.to(device)
        self.plain = PlainSupernet(self.net.wide)

    def ours(self, groups):
        """Make our step with a number of configurations per batch, 0 for one per image."""
        widths = self._widths
        if groups:
            size = len(widths) // groups
            widths = widths[:groups].repeat_interleave(size, dim=0)
        batch = self.images, self.labels, widths
        return sandwich_step(self.net, *batch, groups=groups, autocast=self.context)

    def twin(self):
        """Make the plain implementation's step."""
        self.plain.step(self.space, self.images, self.labels, self._widths, self.context)

    def full_pass(self):
        """Make one full-width pass, forward and backward."""
        self.net.zero_grad()
        with self.context:
            loss = F.cross_entropy(self.net.full(self.images), self.labels)
        loss.backward()

    def gradient_difference(self):
        """Return the median over parameters of |ours - twin's| / |twin's|, in double precision.

        (In single precision ReLUs near 0 may differ, and with them a hundredth of a gradient.)
        """
        self.net.double(), self.plain.net.double()
        self.images = self.images.double()
        self.ours(0)
        self.twin()
        pairs = zip(self.net.wide.parameters(), self.plain.net.parameters(), strict=True)
        return np.median([((a.grad - b.grad).norm() / b.grad.norm()).item() for a, b in pairs])


def clock(device):
    """Return (a function that returns seconds, its name).

    With one thread on a CPU it is this process's CPU time, which other load affects less.
    """
    if device.type == "cuda":

        def synchronised():
            torch.cuda.synchronize()
            return time.perf_counter()

        return synchronised, "time"
    if torch.get_num_threads() == 1:
        return time.process_time, "CPU time of the process"
    return time.perf_counter, "time"


def seconds(function, now):
    start = now()
    function()
    return now() - start


def outside_the_network(space, batch_size, groups, repeats):
    """Return the seconds of AOWS's solve, draw and record per step."""
    table = LatencyTable({v: v.in_channels * v.out_channels / 1e6 + 1e-3 for v in space.variables})
    target_ms = (table.predict(space.smallest) + table.predict(space.largest)) / 2
    constraints = [Constraint(table.pairwise(space), target_ms)]
    search = SupernetSearch(space, constraints, window=100_000, schedule=Schedule(epochs=20))
    rng = np.random.default_rng(0)
    for _ in range(50):
        states = rng.integers(space.sizes, size=(512, len(space.sizes)))
        search.record(states, rng.random(512), np.zeros(512))
    times = []
    for _ in range(repeats + 1):  # the first compiles
        start = time.perf_counter()
        states, decision = search.draw(12.0, rng, batch_size, groups)
        search.space.widths(states)
        search.record(states, rng.random(batch_size), np.zeros(batch_size))
        times.append(time.perf_counter() - start)
    assert decision is not None
    return float(np.median(times[1:]))


def peaks_mib(name, size, batch_size, device, dtype, seed):
    """Return the greatest memory, MiB, of a Step's method in this process.

    A tuple: what tensors take, and what the process holds, malloc's fragmentation included. On a
    GPU both are PyTorch's count of tensors.
    """
    torch.set_num_threads(1)
    step = Step(size, batch_size, torch.device(device), dtype, seed)
    call = step.full_pass if name == "full" else partial(step.ours, int(name))
    if device == "cuda":
        return (cuda_peak_mib(step.net, call),) * 2
    before = resident_mib("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # resets the peak
    call()
    resident = resident_mib("VmHWM") - before
    step.net.zero_grad()
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
        call()
    events = profiler.profiler.kineto_results.events()
    changes = sorted((e.start_ns(), e.nbytes()) for e in events if e.name() == "[memory]")
    return max(itertools.accumulate(size for _, size in changes)) / 2**20, resident


def cuda_peak_mib(net, call):
    """Return the peak memory of tensors in a call, MiB, above the idle net's."""
    call()
    net.zero_grad()
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    call()
    return (torch.cuda.max_memory_allocated() - before) / 2**20


def compare_memory(*arguments):
    """Print the memory of a step, and of one full-width pass, each in a process of its own."""
    context = multiprocessing.get_context("spawn")
    peaks = {}
    for name in ("full", "0", "4"):
        with context.Pool(1) as pool:
            peaks[name] = np.array(pool.apply(peaks_mib, (name, *arguments)))
    print("  most memory of tensors, and of the process, above the idle net")
    for name, title in (
        ("full", "one full-width pass"),
        ("0", "step, G = 0"),
        ("4", "step, G = 4"),
    ):
        tensors, process = peaks[name]
        ratios = "{:.2f} × and {:.2f} ×".format(*peaks[name] / peaks["full"])
        print(f"    {title}: {tensors:.0f} and {process:.0f} MiB, {ratios}")


def compare(size, batch_size, options, device):
    """Time our step against the twin and print images/s and ratios."""
    step = Step(size, batch_size, device, options.dtype, options.seed)
    now, unit = clock(device)
    print(f"\n{size}×{size} pixels, batches of {batch_size}, {options.repeats} repeats, by {unit}")
    small = Step(32, 4, torch.device("cpu"), "float32", options.seed)
    print(f"  gradients differ by {small.gradient_difference():.0e} (median over parameters)")
    calls = (step.twin, partial(step.ours, 0), partial(step.ours, 4))
    times = [
        [seconds(call, now) for call in calls]
        for _ in progress_bar(range(options.repeats), "steps", leave=False)
    ]
    rates = batch_size / np.array(times)
    for name, column in zip(("plain", "G = 0", "G = 4"), rates.T, strict=True):
        print(
            f"  {name}  {spread(column, '.2f')} images/s, {spread(column / rates[:, 0], '.2f')} ×"
        )
    for column, groups in ((1, 0), (2, 4)):
        outside = outside_the_network(step.space, batch_size, groups, repeats=20)
        share = outside / (outside + batch_size / np.median(rates[:, column]))
        print(f"  outside the network, G = {groups}: {outside * 1e3:.2f} ms, {share:.2%} of a step")
    compare_memory(size, batch_size, device.type, options.dtype, options.seed)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", nargs="+", default=["224x16"], help="pixels x images")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--cuda", action="store_true", help="on the GPU")
    parser.add_argument("--dtype", choices=tuple(DTYPES), default="float32")
    options = parser.parse_args()
    device = torch.device("cuda" if options.cuda else "cpu")
    check_dtype(options.dtype, device)
    where = torch.cuda.get_device_name() if options.cuda else platform.machine()
    print(f"PyTorch {torch.__version__} on {where}, threads: {torch.get_num_threads()}")
    print("median (first to third quartile)")
    for text in options.sizes:
        compare(*map(int, text.split("x")), options, device)


if __name__ == "__main__":
    main()
