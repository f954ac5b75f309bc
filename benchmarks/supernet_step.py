"""One training step of the slimmable network, against plain twins that make three masked passes.

    python -m benchmarks.supernet_step [--sizes 224x16 32x64] [--repeats 5]

All of them compute the same gradients of the same parameters: full width, least widths and random
widths per image. Each twin takes turns with our step in the same run, is hybridised with static
memory as ours is, and goes backward after each pass.

    multiply    three full-width passes whose masks are F.broadcast_mul(y, mask)
    block       … whose masks get no gradient: y * F.broadcast_like(F.BlockGrad(mask), y)
    sequence    … of our own masked pass: what remains is the cut-out and the unmasked pass

The peak memory of training steps, and that of steps with a single full-width pass, are printed as
well, each from a process of its own.
"""

if __name__ == "__main__":  # before the imports that take seconds
    from utils.startup import prepare

    prepare()

import argparse
import gc
import multiprocessing
import os
import platform
import time

import numpy as np

from benchmarks.memory import resident_mib
from benchmarks.timing import spread
from models.gluon.passes import Pass
from models.gluon.plain import PlainNet
from models.gluon.runtime import mx
from models.gluon.slimmable import SlimmableNet, cut_out, sandwich_step
from nas.search_space import SearchSpace
from utils.progress import progress_bar


class PlainMaskedPass(PlainNet):
    """A masked pass written straightforwardly: separate operators, masks made by comparison.

    The masks are where ours are, after the depthwise layers and at the end: fewer than usual.
    """

    def __init__(self, wide, masks):
        self.masks = masks
        parameters = wide.collect_params()
        super().__init__(wide.network, wide.configuration, 1, fused=False, params=parameters)
        for parameter in parameters.values():
            if parameter.grad_req != "null":
                parameter.grad_req = "add"

    def hybrid_forward(self, F, images, widths):
        x = images
        for index, layer in enumerate(self.features):
            x = layer(x)
            if index % 2 == 0 and index != len(self.features) - 1:
                continue
            column = index // 2
            width = F.slice_axis(widths, axis=1, begin=column, end=column + 1)
            channels = F.arange(self.configuration[column]).reshape((1, -1))
            mask = F.broadcast_lesser(channels, width).expand_dims(2).expand_dims(3)
            if self.masks == "multiply":
                x = F.broadcast_mul(x, mask)
            else:
                x = x * F.broadcast_like(F.BlockGrad(mask), x)
        return self.classifier(self.pool(x))


def three_masked_passes(masked, parameters, space, images, labels, widths):
    """The plain twin of sandwich_step."""
    parameters.zero_grad()
    hard = mx.gluon.loss.SoftmaxCrossEntropyLoss()
    soft = mx.gluon.loss.SoftmaxCrossEntropyLoss(sparse_label=False)
    largest, smallest = (mx.nd.array([c] * len(labels)) for c in (space.largest, space.smallest))
    with mx.autograd.record():
        logits = masked(images, largest)
        loss = hard(logits, labels).mean()
    loss.backward()
    target = mx.nd.softmax(logits.detach())
    for drawn in (smallest, widths):
        with mx.autograd.record():
            loss = soft(masked(images, drawn), target).mean()
        loss.backward()
    mx.nd.waitall()


def gradients(parameters):
    return {n: p.grad().asnumpy() for n, p in parameters.items() if p.grad_req != "null"}


def gradient_difference(actual, expected):
    """Return the greatest and the median over parameters of |actual - expected| / |expected|."""
    norm = np.linalg.norm
    relative = [norm(actual[name] - g) / norm(g) for name, g in expected.items()]
    return max(relative), float(np.median(relative))


def seconds(function):
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def prepared(size, batch_size, seed):
    """Return (search space, initialised net, images, labels, widths)."""
    space = SearchSpace(input_size=size, classes=1000 if size >= 64 else 10)
    rng = np.random.default_rng(seed)
    mx.random.seed(seed)
    images = mx.nd.array(rng.standard_normal((batch_size, 3, size, size)))
    labels = mx.nd.array(rng.integers(space.classes, size=batch_size))
    widths = mx.nd.array([space.draw_uniform(rng) for _ in range(batch_size)])
    net = SlimmableNet(space.description, space.smallest, space.largest)
    net.initialize()
    return space, net, images, labels, widths


def peak_mib(name, size, batch_size, seed):
    """Return the peak memory of training steps in this process in MiB, beyond the idle net's.

    name: "step", or "full" for one full-width pass
    """
    _, net, images, labels, widths = prepared(size, batch_size, seed)
    trained = net.collect_params() if name == "step" else net.full.collect_params()
    trainer = mx.gluon.Trainer(trained, "sgd", {"momentum": 0.9})
    mx.nd.waitall()
    idle = resident_mib("VmRSS")
    full = Pass(net.full, {"images": images}, images.context) if name == "full" else None
    for _ in range(2):  # the second finds the momenta in place
        if full:
            trained.zero_grad()
            logits = full.forward()
            full.backward(mx.nd.softmax(logits) - mx.nd.one_hot(labels, logits.shape[1]))
        else:
            sandwich_step(net, [images], [labels], [widths])
        trainer.step(batch_size)
        mx.nd.waitall()
    return resident_mib("VmHWM") - idle


def compare_memory(*arguments):
    """Print the peak memory of a step and of one full-width pass, and their ratio."""
    context = multiprocessing.get_context("spawn")
    peaks = []
    for name in ("step", "full"):
        with context.Pool(1) as pool:
            peaks.append(pool.apply(peak_mib, (name, *arguments)))
    step, full = peaks
    print("  most memory of the process above the idle net, with the optimiser's update")
    print(f"    step {step:.0f} MiB, one full-width pass {full:.0f} MiB: {step / full:.2f} ×")


def compare(size, batch_size, repeats, seed):
    """Time our step against each twin and print images/s, ratios and gradient differences."""
    space, net, images, labels, widths = prepared(size, batch_size, seed)
    # Without shifts, gradients of the scales before depthwise layers are 0 up to rounding.
    for parameter in net.full.collect_params(".*beta").values():
        parameter.set_data(mx.nd.random.normal(0, 0.2, parameter.shape))
    net.hybridize(static_alloc=True, static_shape=True)

    def ours():
        sandwich_step(net, [images], [labels], [widths])

    print(f"\n{size}×{size} pixels, batches of {batch_size}, {repeats} repeats")
    for masks in ("multiply", "block", "sequence"):
        if masks == "sequence":
            masked, parameters = net.masked, net.full.collect_params()
        else:
            wide = cut_out(net, space.largest)
            masked, parameters = PlainMaskedPass(wide, masks), wide.collect_params()
            masked.hybridize(static_alloc=True, static_shape=True)

        def twin(masked=masked, parameters=parameters):
            three_masked_passes(masked, parameters, space, images, labels, widths)

        ours()
        actual = gradients(net.full.collect_params())
        twin()
        difference = gradient_difference(actual, gradients(parameters))
        bar = progress_bar(range(repeats), masks, leave=False)
        pairs = [(seconds(ours), seconds(twin)) for _ in bar]
        rates = batch_size / np.array(pairs)
        print(f"  twin {masks}")
        print(f"    ours   {spread(rates[:, 0], '.1f')} images/s")
        print(f"    twin   {spread(rates[:, 1], '.1f')} images/s")
        print(f"    ratio  {spread(rates[:, 0] / rates[:, 1], '.2f')}")
        print("    gradients differ by at most {:.0e}, median {:.0e}".format(*difference))
        del masked, parameters, twin
        gc.collect()  # the static memory of a twin is as much as our step's
    compare_memory(size, batch_size, seed)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", nargs="+", default=["224x16", "32x64"], help="pixels x images")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    threads = os.environ.get("OMP_NUM_THREADS", f"all {os.cpu_count()}")
    print(f"MXNet {mx.__version__} on {platform.machine()}, OpenMP threads: {threads}")
    print("median (first to third quartile)")
    for text in options.sizes:
        size, batch_size = map(int, text.split("x"))
        compare(size, batch_size, options.repeats, options.seed)


if __name__ == "__main__":
    main()
