"""The plain net in PyTorch: a network with a fixed number of channels for each of its widths."""

from collections import OrderedDict

import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from models.folded_weights import Convolution, FoldedWeights
from models.pytorch.arrays import to_array

ACTIVATIONS = {"relu": F.relu, "relu6": F.relu6}


class PlainNet(nn.Module):
    """The net of one configuration of a network.

    network: a Description; configuration: a number of channels for each of its widths
    forward: images of shape (B, 3, H, W) -> logits of shape (B, classes)
    Raises UserError if the configuration does not fit the network.
    """

    def __init__(self, network, configuration):
        super().__init__()
        self.network = network
        self.configuration = network.check(configuration)
        *shapes, classifier = network.kernel_shapes(self.configuration)
        layers = [OrderedDict() for _ in network.layers[:-1]]
        for step, shape in zip(network.convolutions, shapes, strict=True):
            part = "depthwise" if step.depthwise else "pointwise"
            layers[step.layer][part] = _convolution(step, *shape)
        self.features = nn.Sequential(
            *(nn.Sequential(parts) if len(parts) > 1 else parts["pointwise"] for parts in layers)
        )
        self.classifier = nn.Linear(classifier[1], classifier[0])

    def forward(self, images):
        return self.network.run(images, Maker(self))


def _convolution(step, outputs, inputs, size, _):
    """Return a convolution without bias, and its BatchNorm."""
    groups = outputs if step.depthwise else 1
    conv = nn.Conv2d(inputs * groups, outputs, size, step.stride, size // 2, 1, groups, bias=False)
    return nn.Sequential(OrderedDict(conv=conv, bn=nn.BatchNorm2d(outputs)))


def convolutions(net):
    """Return the (Conv2d, BatchNorm2d) of a PlainNet's convolutions, in order."""
    return [(module.conv, module.bn) for module in net.features.modules() if hasattr(module, "bn")]


class Maker:
    """Runs the steps of a network with a PlainNet's parameters; results are maps (B, C, H, W)."""

    def __init__(self, net):
        self.net = net
        self._layers = convolutions(net)
        self._activation = ACTIVATIONS[net.network.activation]

    def convolve(self, step, x):
        """Return a convolution with BatchNorm and activation."""
        return self.finished(step, self.normalised(step, x, *self._layers[step.index]))

    def normalised(self, step, x, conv, norm):
        """Return a convolution with BatchNorm."""
        return norm(conv(x))

    def add(self, step, x, other):
        """Return the sum with its activation."""
        return self.finished(step, x + other)

    def pool(self, step, x):
        """Return the maximum of each window."""
        x = F.max_pool2d(x, step.kernel_size, step.stride, step.kernel_size // 2)
        return self.finished(step, x)

    def finished(self, step, x):
        """Return a result after the step's activation, in place: nothing else reads it yet."""
        return self._activation(x, inplace=True) if step.active else x

    def classify(self, step, x):
        """Return the logits."""
        return self.net.classifier(F.adaptive_avg_pool2d(x, 1).flatten(1))


def initialised(net, seed):
    """Set the parameters that training starts from, as in the Gluon net; return the PlainNet.

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
    """Set the running statistics of a PlainNet to the averages of batch statistics, in place.

    batches: iterable of images, tensors of shape (B, 3, H, W); batches are weighted by
    their numbers of images
    Returns net. Raises ValueError if there is no batch.
    """
    statistics, seen = _Statistics(net), 0
    for images in batches:
        net.network.run(images, statistics)
        seen += len(images)
    if not seen:
        raise ValueError("reestimate_batch_norm needs at least one batch")
    for (_, norm), (variance, mean) in zip(convolutions(net), statistics.sums, strict=True):
        norm.running_mean.copy_(mean / seen)
        norm.running_var.copy_(variance / seen)
    return net


class _Statistics(Maker):
    """Normalises by batch statistics and sums them, weighted by the images."""

    def __init__(self, net):
        super().__init__(net)
        self.sums = [0] * len(net.network.convolutions)

    def normalised(self, step, x, conv, norm):
        y = conv(x)
        self.sums[step.index] += len(y) * torch.stack(torch.var_mean(y, (0, 2, 3), correction=0))
        return F.batch_norm(y, None, None, norm.weight, norm.bias, True, eps=norm.eps)


def folded_weights(net):
    """Return the FoldedWeights of a PlainNet, as runtimes deploy them, without BatchNorm.

    Raises ValueError in training mode, where BatchNorm depends on the batch.
    """
    if net.training:
        raise ValueError("folded_weights needs a network in evaluation mode")
    fused = [fuse_conv_bn_eval(conv, norm) for conv, norm in convolutions(net)]
    return FoldedWeights(
        net.network,
        tuple(Convolution(to_array(conv.weight), to_array(conv.bias)) for conv in fused),
        to_array(net.classifier.weight),
        to_array(net.classifier.bias),
    )
