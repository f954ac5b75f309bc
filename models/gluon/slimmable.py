"""The slimmable network in Gluon, and its training step.

It holds the parameters of the greatest widths and makes three kinds of passes with them:

    net.full(images)            at full width
    net.masked(images, widths)  every image at its own width in every layer, by masks
    net.narrow(images)          at the least widths, on slices of the parameters

A masked channel is equivalent to a removed one, so the narrow pass computes what masks would, at
the cost of the narrow net.
Source: Yu and Huang 2019 (sandwich rule, in-place distillation); Berman et al. 2020.
"""

import numpy as np

from models.gluon.passes import SharedPasses
from models.gluon.plain import Maker, PlainNet, plain_layout
from models.gluon.runtime import mx
from models.supernet import SandwichLosses

_hard_cross_entropy = mx.gluon.loss.SoftmaxCrossEntropyLoss()
_soft_cross_entropy = mx.gluon.loss.SoftmaxCrossEntropyLoss(sparse_label=False)


class MaskedPass(PlainNet):
    """The pass in which every image has its own width in every layer.

    Called with images of shape (B, 3, H, W) and widths of shape (B, layers); returns logits of
    shape (B, classes). An image's channels beyond its width are zero where a step mixes channels:
    before every convolution but depthwise ones, after a depthwise BatchNorm and ReLU (or the shift
    of BatchNorm would leak as a constant), after additions, and before the classifier.
    # Differs from the paper: no masks before depthwise layers. These work channel by channel, so
    # that masks change nothing in the channels that count; but their zeros would count in the
    # batch statistics.
    """

    def hybrid_forward(self, F, images, widths):
        return self.network.run(images, Masks(F, self, widths))


class Masks(Maker):
    """Runs the steps of a network, masking each image to its widths."""

    def __init__(self, F, net, widths):
        super().__init__(F, net)
        self._widths = widths

    def masked(self, step, x):
        if step.mask is None:
            return x
        width = self.F.slice_axis(self._widths, axis=1, begin=step.mask, end=step.mask + 1)
        # Each image's channels are its sequence. A pass with F.broadcast_mul(x, mask) takes twice
        # as long: it goes backward into the masks too.
        x = self.F.SequenceMask(x, width.reshape((-1,)), use_sequence_length=True, axis=1)
        return plain_layout(self.F, x)  # its gradient comes in the layout of a convolution


class SlimmableNet(mx.gluon.Block):
    """The net of the greatest widths, whose parameters serve all narrower configurations too.

    network: a Description
    smallest, largest: configurations, the least and the greatest width of every layer
    full, masked, narrow: its three passes; calling the net makes the full-width one
    Gradients add up over passes (grad_req "add") until they are set to zero.
    Running statistics are those of the full-width pass; the masked pass reads them and never
    updates them, the narrow pass has its own. Other configurations need their own as well:
    cut_out, then reestimate_batch_norm.
    Raises UserError if a width of smallest is greater than largest's.
    """

    def __init__(self, network, smallest, largest):
        super().__init__()
        self.full = PlainNet(network, largest)
        shared = self.full.collect_params()
        # With a momentum of 1 running statistics stay as they are.
        self.masked = MaskedPass(network, largest, momentum=1, params=shared)
        self.narrow = narrow_pass(self.full, smallest)
        for parameter in shared.values():
            if parameter.grad_req != "null":
                parameter.grad_req = "add"
        self._passes = {}

    def passes(self, images, widths):
        """Return the SharedPasses of these images' shape and device, with the arrays loaded."""
        shape, context = images.shape, images.context
        if context not in self._passes or not self._passes[context].fit(self, shape, context):
            self._passes.pop(context, None)  # first: its memory is free for the new ones
            self._passes[context] = SharedPasses(self, shape, context)
        self._passes[context].load(images, widths)
        return self._passes[context]

    def forward(self, images):
        return self.full(images)

    def _collect_params_with_prefix(self, prefix=""):
        """Name every parameter once; Gluon would save and load it once per pass."""
        first_names = {}
        for name, parameter in super()._collect_params_with_prefix(prefix).items():
            first_names.setdefault(parameter, name)
        return {name: parameter for parameter, name in first_names.items()}


def narrow_pass(wide, configuration):
    """Return the pass of a net cut out of a PlainNet, with gradients into the wide net.

    It is a plain net with every parameter replaced by a slice of the wide net's. Only the running
    statistics are its own, because MXNet cannot update a slice.
    Its widths are rounded up to multiples of 16, for which oneDNN has one set of fast kernels, the
    same ones as in the masked pass. The surplus channels are off and their weights get no
    gradient, because the scale and shift of their BatchNorm are zero.
    Raises UserError that names the layer if a width is greater than the wide net's.
    """
    network = wide.network
    configuration = network.check_within(configuration, wide.configuration)
    pairs = zip(configuration, wide.configuration, strict=True)
    rounded = [min(-(-width // 16) * 16, greatest) for width, greatest in pairs]
    plain = PlainNet(network, rounded, prefix="narrow_")
    exact = PlainNet(network, configuration, prefix=plain.prefix).collect_params()
    shared = wide.collect_params()
    parameters = mx.gluon.ParameterDict("")
    slices = {}
    for name, parameter in plain.collect_params().items():
        if parameter.grad_req == "null":
            parameters.update({name: parameter})
            continue
        whole = shared[wide.prefix + name.removeprefix(plain.prefix)]
        parameters.update({whole.name: whole})
        slices[name] = _leading(mx.sym, whole.var(), parameter.shape)
        off = parameter.shape[0] - exact[name].shape[0]
        if off and name.endswith(("gamma", "beta")):
            kept = _leading(mx.sym, whole.var(), exact[name].shape)
            slices[name] = mx.sym.concat(kept, mx.sym.zeros((off,)), dim=0)
    images = mx.sym.var("images", dtype="float32")
    return mx.gluon.SymbolBlock(plain(images)(**slices), images, params=parameters)


def cut_out(net, configuration):
    """Return the PlainNet of a configuration with copies of a slimmable net's parameters.

    Its running statistics are the full-width pass's; reestimate_batch_norm computes its own.
    Raises UserError that names the layer if a width is greater than net's.
    """
    wide = net.full
    plain = PlainNet(wide.network, wide.network.check_within(configuration, wide.configuration))
    plain.initialize(ctx=wide.classifier.weight.list_ctx())
    shared = wide.collect_params()
    for name, parameter in plain.collect_params().items():
        parameter.set_data(_leading(mx.nd, shared[name].data(), parameter.shape))
    return plain


def _leading(F, array, shape):
    """Return the leading slice of an array, of this shape; only the first 2 axes may differ.

    F.slice would kill the process (SIGFPE) when the array is a depthwise weight that a pass
    in inference mode has left in oneDNN's layout.
    """
    for axis, size in enumerate(shape[:2]):
        array = F.slice_axis(array, axis=axis, begin=0, end=size)
    return array


def sandwich_step(net, images, labels, widths):
    """Compute the gradients of one training step, and return its SandwichLosses.

    net: SlimmableNet
    images, labels, widths: lists with one array per context, as gluon's split_and_load returns
        them: images of shape (B, 3, H, W), class numbers (B,), random widths (B, layers)
    Gradients are the sum of the three passes' and the mean over the images of all contexts: the
    optimiser's step is trainer.step(1). Each pass goes backward before the next one starts, so
    that the activations of only one are needed at a time, and all take turns in one memory.
    """
    net.collect_params().zero_grad()
    batch_size = sum(len(part) for part in labels)
    parts = [
        _three_passes(net.passes(x, rows), y, batch_size)
        for x, y, rows in zip(images, labels, widths, strict=True)
    ]
    mx.nd.waitall()  # an error of this step shows here, not in a later one
    columns = zip(*parts, strict=True)
    return SandwichLosses(*(np.concatenate([x.asnumpy() for x in column]) for column in columns))


def _three_passes(passes, labels, batch_size):
    """Add one context's share to the gradients; return the four losses of its images, unread."""

    def backward(of, logits, loss, target):
        logits.attach_grad()
        with mx.autograd.record():
            losses = loss(logits, target)
            mean = losses.sum() / batch_size
        mean.backward()
        of.backward(logits.grad)
        return losses.detach()

    logits = passes.full.forward()  # the sandwich rule: greatest …
    full = backward(passes.full, logits, _hard_cross_entropy, labels)
    target = mx.nd.softmax(logits.detach())  # in-place distillation

    logits = passes.narrow.forward()  # … least …
    soft_smallest = backward(passes.narrow, logits, _soft_cross_entropy, target)

    logits = passes.masked.forward()  # … and random widths
    soft_random = backward(passes.masked, logits, _soft_cross_entropy, target)
    random = _hard_cross_entropy(logits.detach(), labels)
    return full, random, soft_smallest, soft_random
