"""MobileNet-v1 with one width per layer, in PyTorch: the plain net."""

from collections import OrderedDict

import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from models.folded_weights import Convolution, FoldedWeights
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


def convolutions(net):
    """Return the 27 (Conv2d, BatchNorm2d) of a MobileNetV1: first, depthwise, pointwise, …"""
    return [(module.conv, module.bn) for module in net.modules() if hasattr(module, "conv")]


def initialised(net, seed):
    """Give a MobileNetV1 the parameters that training starts from, the Gluon net's; return it.

    Convolutions become He-normal by fan-in, the classifier normal with a standard deviation of
    0.01, biases 0; BatchNorm is the identity from the start.
    """
    generator = torch.Generator().manual_seed(seed)
    for conv, _ in convolutions(net):
        # By fan-in, which is right for depthwise convolutions: their fan-out is 9, too.
        nn.init.kaiming_normal_(conv.weight, nonlinearity="relu", generator=generator)
    nn.init.normal_(net.classifier.weight, std=0.01, generator=generator)
    nn.init.zeros_(net.classifier.bias)
    return net


@torch.no_grad()
def reestimate_batch_norm(net, batches):
    """Set the running statistics of a MobileNetV1 to the averages of batch statistics, in place.

    batches: iterable of images, tensors of shape (B, 3, H, W); batches of different sizes weigh as
    their numbers of images
    Returns net. Raises ValueError if there is no batch.
    """
    layers, seen = convolutions(net), 0
    sums = [0] * len(layers)
    for images in batches:
        x = images
        for index, (conv, norm) in enumerate(layers):
            y = conv(x)
            sums[index] += len(images) * torch.stack(torch.var_mean(y, (0, 2, 3), correction=0))
            x = F.batch_norm(y, None, None, norm.weight, norm.bias, True, eps=norm.eps).relu_()
        seen += len(images)
    if not seen:
        raise ValueError("reestimate_batch_norm needs at least one batch")
    for (_, norm), (variance, mean) in zip(layers, sums, strict=True):
        norm.running_mean.copy_(mean / seen)
        norm.running_var.copy_(variance / seen)
    return net


def folded_weights(net):
    """Return the FoldedWeights of a MobileNetV1: what a runtime deploys, without BatchNorm.

    Raises ValueError in training mode, where BatchNorm depends on the batch.
    """
    if net.training:
        raise ValueError("folded_weights needs a network in evaluation mode")
    fused = [fuse_conv_bn_eval(conv, norm) for conv, norm in convolutions(net)]
    return FoldedWeights(
        tuple(
            Convolution(array(conv.weight), array(conv.bias), conv.stride[0], conv.groups)
            for conv in fused
        ),
        array(net.classifier.weight),
        array(net.classifier.bias),
    )


def array(tensor):
    """Return a tensor as a NumPy array."""
    return tensor.detach().cpu().numpy()
