"""The slimmable MobileNet-v1 in PyTorch, and its training step.

It holds the parameters of the greatest widths and makes three kinds of passes with them, each in
training mode:

    net.full(images)                   at full width
    net.masked(images, widths)         every image at its own width in every layer, by masks
    net.narrow(images, configuration)  all images at the same widths, on slices of the parameters

A masked channel equals a removed one, so that the narrow pass gives what masks would give, at the
cost of the narrow net.
Source: Yu and Huang 2019 (sandwich rule, in-place distillation); Berman et al. 2020.
"""

from contextlib import nullcontext

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import nn

from models.mobilenet_v1 import BASE_WIDTHS, check_within
from models.pytorch.batch_norm import batch_norm
from models.pytorch.mobilenet_v1 import MobileNetV1, convolutions, initialised
from models.supernet import SandwichLosses


class SlimmableMobileNetV1(nn.Module):
    """The net of the greatest widths, whose parameters serve all narrower configurations too.

    smallest, largest: configurations, the least and the greatest width of every layer
    seed: of the parameters, as `initialised` makes them
    Activations lie channels-last, which convolutions and BatchNorm are fastest with.
    Running statistics are those of the full-width pass; no other pass reads or updates any.
    Where processes train together, batch statistics are those of all their images.
    Raises UserError if a width of smallest is greater than largest's.
    """

    def __init__(self, smallest, largest=BASE_WIDTHS, classes=1000, seed=0):
        super().__init__()
        self.wide = initialised(MobileNetV1(largest, classes), seed)
        self.wide.to(memory_format=torch.channels_last)
        self.smallest = check_within(smallest, self.wide.configuration)

    def forward(self, images, widths=None, one_for_all=False):
        """Make the pass that the arguments ask for, for wrappers that know no other method.

        widths: None for full width, else each image's
        one_for_all: whether all widths are equal, for the narrow pass of this process alone
        """
        if widths is None:
            return self.full(images)
        if one_for_all:
            return self.narrow(images, widths[0].tolist(), synchronised=False)
        return self.masked(images, widths)

    def full(self, images):
        """Return the logits (B, classes) of images (B, 3, H, W); running statistics follow."""
        return self._logits(images, self.wide.configuration, tracks=True)

    def masked(self, images, widths):
        """Return the logits of images, each at its own widths: an integer tensor (B, layers).

        An image's channels beyond its width are zero where a layer mixes channels: before every
        pointwise layer, behind the depthwise BatchNorm and ReLU (or the shift of BatchNorm would
        leak as a constant), and before the classifier.
        # Differs from the paper: no masks before depthwise layers. These work channel by channel,
        so that masks change nothing in the channels that count; but their zeros would count in
        the batch statistics.
        """
        return self._logits(images, self.wide.configuration, widths=widths)

    def narrow(self, images, configuration, synchronised=True):
        """Return the logits that the net cut out for a configuration has in training mode.

        synchronised: whether all processes make this pass, each with its share of the images
        Raises UserError that names the layer if a width is greater than the net's.
        """
        configuration = check_within(configuration, self.wide.configuration)
        return self._logits(images, configuration, synchronised=synchronised)

    def _logits(self, images, configuration, *, widths=None, tracks=False, synchronised=True):
        x = images.contiguous(memory_format=torch.channels_last)
        layers = convolutions(self.wide)
        for index, (conv, norm) in enumerate(layers):
            is_depthwise = index % 2 == 1
            width = configuration[index // 2]  # a depthwise layer keeps the width before it
            groups = width if is_depthwise else 1
            weight = conv.weight[:width] if is_depthwise else conv.weight[:width, : x.shape[1]]
            x = F.conv2d(x, weight, None, conv.stride, conv.padding, groups=groups)
            x = batch_norm(x, norm, tracks=tracks, synchronised=synchronised)
            if widths is not None and (is_depthwise or index == len(layers) - 1):
                # A mask in front of a ReLU is a mask behind it. In place: BatchNorm goes backward
                # from its input, so that the masked pass holds no more than one without masks.
                x.mul_(channel_mask(widths[:, index // 2], x))
            x = F.relu_(x)
        weight, bias = self.wide.classifier.weight, self.wide.classifier.bias
        return F.linear(x.mean((2, 3)), weight[:, : x.shape[1]], bias)


def channel_mask(widths, x):
    """Return the mask of channels below each image's width, to multiply x (B, C, H, W) by."""
    channels = torch.arange(x.shape[1], device=x.device)
    return (channels < widths[:, None]).to(x.dtype)[:, :, None, None]


@torch.no_grad()
def cut_out(net, configuration):
    """Return the MobileNetV1 of a configuration with copies of a slimmable net's parameters.

    Its running statistics are the full-width pass's: reestimate_batch_norm makes its own.
    Raises UserError that names the layer if a width is greater than net's.
    """
    wide = net.wide
    plain = MobileNetV1(check_within(configuration, wide.configuration), wide.classes)
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
        each passes on the net cut out for it, with batch statistics of its own
    autocast: torch.autocast to make the forward passes in; scaler: GradScaler of the losses
    reducing: where processes train together, the DistributedDataParallel of the net
    Gradients are the sum of the three passes', and the mean over all processes' images; losses are
    all processes' in their order. Each pass goes backward before the next one starts, so that the
    activations of only one are needed at a time.
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
        # DistributedDataParallel takes the mean over the processes of what gradients have added up
        # to when the backward pass of its own call ends: so it makes the last pass only.
        forward = reducing if reducing and index == (groups or 1) else net
        with autocast:
            logits = forward(x, rows, bool(groups))
            soft = F.cross_entropy(logits, t, reduction="none")
            random.append(F.cross_entropy(logits.detach(), y, reduction="none"))
        soft_random.append(backward(soft))
    losses = torch.stack((full, torch.cat(random), soft_smallest, torch.cat(soft_random)))
    return SandwichLosses(*_gathered(losses.float()).cpu().numpy())


def _gathered(losses):
    """Return the losses of all processes, (4, images), of this one's."""
    if not dist.is_initialized():
        return losses
    parts = [torch.empty_like(losses) for _ in range(dist.get_world_size())]
    dist.all_gather(parts, losses)
    return torch.cat(parts, dim=1)
