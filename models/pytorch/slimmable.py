"""The slimmable network in PyTorch, and its training step.

It holds the parameters of the greatest widths and makes three kinds of passes with them, each in
training mode:

    net.full(images)                   at full width
    net.masked(images, widths)         every image at its own width in every layer, by masks
    net.narrow(images, configuration)  all images at the same widths, on slices of the parameters

A masked channel is equivalent to a removed one, so the narrow pass computes what masks would, at
the cost of the narrow net.
Source: Yu and Huang 2019 (sandwich rule, in-place distillation); Berman et al. 2020.
"""

from contextlib import nullcontext

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import nn

from models.pytorch.batch_norm import batch_norm
from models.pytorch.plain import Maker, PlainNet, initialised
from models.supernet import SandwichLosses


class SlimmableNet(nn.Module):
    """The net of the greatest widths, whose parameters serve all narrower configurations too.

    network: a Description
    smallest, largest: configurations, the least and the greatest width of every layer
    seed: of the parameters, as `initialised` makes them
    Activations are channels-last, the fastest layout for convolutions and BatchNorm.
    Running statistics are those of the full-width pass; no other pass reads or updates any.
    Where processes train together, batch statistics are those of all their images.
    Raises UserError if a width of smallest is greater than largest's.
    """

    def __init__(self, network, smallest, largest, seed=0):
        super().__init__()
        self.wide = initialised(PlainNet(network, largest), seed)
        self.wide.to(memory_format=torch.channels_last)
        self.smallest = network.check_within(smallest, self.wide.configuration)

    def forward(self, images, widths=None, one_for_all=False):
        """Make the pass that the arguments select, for wrappers that call no other method.

        widths: None for full width, else each image's
        one_for_all: whether all images have the same widths: a narrow pass of this process alone
        """
        if widths is None:
            return self.full(images)
        if one_for_all:
            return self.narrow(images, widths[0].tolist(), synchronised=False)
        return self.masked(images, widths)

    def full(self, images):
        """Return the logits (B, classes) of images (B, 3, H, W), and update running statistics."""
        return self._logits(images, self.wide.configuration, tracks=True)

    def masked(self, images, widths):
        """Return the logits of images, each at its own widths: an integer tensor (B, layers).

        An image's channels beyond its width are zero where a step mixes channels: before every
        convolution but depthwise ones, after a depthwise BatchNorm and ReLU (or the shift of
        BatchNorm would leak as a constant), after additions, and before the classifier.
        # Differs from the paper: no masks before depthwise layers. These work channel by channel,
        so that masks change nothing in the channels that count; but their zeros would count in
        the batch statistics.
        """
        return self._logits(images, self.wide.configuration, widths=widths)

    def narrow(self, images, configuration, synchronised=True):
        """Return the logits of the net cut out for a configuration, in training mode.

        synchronised: whether all processes make this pass, each with its share of the images
        Raises UserError that names the layer if a width is greater than the net's.
        """
        configuration = self.wide.network.check_within(configuration, self.wide.configuration)
        return self._logits(images, configuration, synchronised=synchronised)

    def _logits(self, images, configuration, **how):
        x = images.contiguous(memory_format=torch.channels_last)
        return self.wide.network.run(x, Pass(self.wide, configuration, **how))


class Pass(Maker):
    """Runs the steps in training mode on the first channels of a net's parameters.

    configuration: how many; widths: each image's own, (B, layers), by masks; None for no masks
    tracks, synchronised: see batch_norm
    """

    def __init__(self, wide, configuration, *, widths=None, tracks=False, synchronised=True):
        super().__init__(wide)
        self._shapes = wide.network.kernel_shapes(configuration)
        self._widths = widths
        self._statistics = {"tracks": tracks, "synchronised": synchronised}

    def normalised(self, step, x, conv, norm):
        outputs, inputs, *_ = self._shapes[step.index]
        groups = outputs if step.depthwise else 1
        weight = conv.weight[:outputs, :inputs]
        x = F.conv2d(x, weight, None, conv.stride, conv.padding, groups=groups)
        return batch_norm(x, norm, **self._statistics)

    def finished(self, step, x):
        if self._widths is not None and step.mask is not None:
            # Masking before a ReLU equals masking after it. In place: later steps need only the
            # masked values, so the masked pass takes no more memory than one without masks.
            x.mul_(channel_mask(self._widths[:, step.mask], x))
        return super().finished(step, x)

    def classify(self, step, x):
        weight, bias = self.net.classifier.weight, self.net.classifier.bias
        return F.linear(x.mean((2, 3)), weight[:, : x.shape[1]], bias)


def channel_mask(widths, x):
    """Return the mask of channels below each image's width, to multiply x (B, C, H, W) by."""
    channels = torch.arange(x.shape[1], device=x.device)
    return (channels < widths[:, None]).to(x.dtype)[:, :, None, None]


@torch.no_grad()
def cut_out(net, configuration):
    """Return the PlainNet of a configuration with copies of a slimmable net's parameters.

    Its running statistics are the full-width pass's; reestimate_batch_norm computes its own.
    Raises UserError that names the layer if a width is greater than net's.
    """
    wide = net.wide
    plain = PlainNet(wide.network, wide.network.check_within(configuration, wide.configuration))
    plain.to(wide.classifier.weight, memory_format=torch.channels_last)
    whole = wide.state_dict()
    for name, array in plain.state_dict().items():
        array.copy_(whole[name][tuple(map(slice, array.shape))])
    return plain


def sandwich_step(
    net, images, labels, widths, *, groups=0, autocast=None, scaler=None, reducing=None
):
    """Compute the gradients of one training step, and return its SandwichLosses.

    images, labels, widths: this process's share of the batch, tensors (B, 3, H, W), (B,) and
        (B, layers): class numbers, and the random configuration of every image
    groups: 0, or the number of equal groups of successive images that have the same configuration:
        each passes through the net cut out for it, with its own batch statistics
    autocast: torch.autocast to make the forward passes in; scaler: GradScaler of the losses
    reducing: where processes train together, the DistributedDataParallel of the net
    Gradients are the sum of the three passes', and the mean over all processes' images; losses are
    those of all processes, in order. Each pass goes backward before the next one starts, so that
    the activations of only one are needed at a time.
    """
    net.zero_grad(set_to_none=True)
    autocast = autocast or nullcontext()

    def backward(losses):
        loss = losses.sum() / len(labels)
        (scaler.scale(loss) if scaler else loss).backward()
        return losses.detach()

    with autocast:  # the sandwich rule: greatest …
        logits = net.full(images)
        full = F.cross_entropy(logits, labels, reduction="none")
    full = backward(full)
    target = logits.detach().softmax(1, dtype=full.dtype)  # in-place distillation

    with autocast:  # … least …
        logits = net.narrow(images, net.smallest)
        soft_smallest = F.cross_entropy(logits, target, reduction="none")
    soft_smallest = backward(soft_smallest)

    random, soft_random = [], []  # … and random widths
    parts = (array.chunk(groups or 1) for array in (images, labels, target, widths))
    for index, (x, y, t, rows) in enumerate(zip(*parts, strict=True), start=1):
        # DistributedDataParallel averages the accumulated gradients over the processes when the
        # backward pass of its own call ends, so it makes only the last pass.
        forward = reducing if reducing and index == (groups or 1) else net
        with autocast:
            logits = forward(x, rows, bool(groups))
            soft = F.cross_entropy(logits, t, reduction="none")
            random.append(F.cross_entropy(logits.detach(), y, reduction="none"))
        soft_random.append(backward(soft))
    losses = torch.stack((full, torch.cat(random), soft_smallest, torch.cat(soft_random)))
    return SandwichLosses(*_gathered(losses.float()).cpu().numpy())


def _gathered(losses):
    """Return the losses of all processes, (4, images), given this one's."""
    if not dist.is_initialized():
        return losses
    parts = [torch.empty_like(losses) for _ in range(dist.get_world_size())]
    dist.all_gather(parts, losses)
    return torch.cat(parts, dim=1)
