"""MobileNet-v1 with one width per layer, in PyTorch: the network that latency.py times."""

from collections import OrderedDict

import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from models.mobilenet_v1 import BASE_WIDTHS, IMAGE_CHANNELS, STRIDES, check_configuration


def _convolution(in_channels, out_channels, kernel_size, stride=1, groups=1):
    """Return a convolution without bias, its BatchNorm and a ReLU."""
    return nn.Sequential(
        OrderedDict(
            conv=nn.Conv2d(
                in_channels,
                out_channels,
                kernel_size,
                stride,
                padding=kernel_size // 2,
                groups=groups,
                bias=False,
            ),
            bn=nn.BatchNorm2d(out_channels),
            relu=nn.ReLU(inplace=True),
        )
    )


class Separable(nn.Sequential):
    """A depthwise 3×3 convolution and a pointwise 1×1 convolution."""

    def __init__(self, in_channels, out_channels, stride):
        super().__init__(
            OrderedDict(
                depthwise=_convolution(in_channels, in_channels, 3, stride, groups=in_channels),
                pointwise=_convolution(in_channels, out_channels, 1),
            )
        )


class MobileNetV1(nn.Module):
    """The plain network of one configuration.

    configuration: 14 widths; classes: the number of logits
    forward: images of shape (B, 3, H, W) -> logits of shape (B, classes)
    Raises UserError if the configuration is not 14 positive widths.
    Source: Howard et al. 2017.
    """

    def __init__(self, configuration=BASE_WIDTHS, classes=1000):
        super().__init__()
        self.configuration = check_configuration(configuration)
        self.classes = classes
        first, *others = self.configuration
        layers = [_convolution(IMAGE_CHANNELS, first, 3, STRIDES[0])]
        inputs = self.configuration[:-1]
        for in_channels, out_channels, stride in zip(inputs, others, STRIDES[1:], strict=True):
            layers.append(Separable(in_channels, out_channels, stride))
        self.features = nn.Sequential(*layers)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Linear(self.configuration[-1], classes)

    def forward(self, images):
        return self.classifier(self.pool(self.features(images)).flatten(1))


def fuse_batch_norm(net):
    """Fold every BatchNorm of an evaluating MobileNetV1 into its convolution, in place.

    Returns net. A deployed network has no BatchNorm left; fused and unfused outputs are equal up
    to rounding. Raises ValueError in training mode, where the two differ.
    """
    if net.training:
        raise ValueError("fuse_batch_norm needs a network in evaluation mode")
    for module in net.modules():
        if isinstance(getattr(module, "bn", None), nn.BatchNorm2d):
            module.conv = fuse_conv_bn_eval(module.conv, module.bn)
            module.bn = nn.Identity()
    return net


def randomize_batch_norm(net, generator=None):
    """Give every BatchNorm statistics, scales and shifts as training would, in place.

    A fresh BatchNorm does nothing, which hides a mistake in fusing it. Returns net.
    """
    with torch.no_grad():
        for module in net.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.running_mean.normal_(0, 0.1, generator=generator)
                module.running_var.uniform_(0.5, 2, generator=generator)
                module.weight.uniform_(0.5, 1.5, generator=generator)
                module.bias.normal_(0, 0.1, generator=generator)
    return net
