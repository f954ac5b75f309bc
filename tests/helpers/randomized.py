"""PyTorch nets that hide no mistake: BatchNorm with statistics, scales and shifts."""

import torch
from torch import nn

from models.pytorch.plain import PlainNet, reestimate_batch_norm
from networks.mobilenet_v1 import network as mobilenet_v1


def randomized_net(configuration, classes, seed=0):
    """Return a PlainNet in evaluation mode whose BatchNorm layers are as if trained."""
    torch.manual_seed(seed)
    return randomized(PlainNet(mobilenet_v1(classes), configuration), seed)


def randomized(net, seed=0):
    """Give a net BatchNorm layers as if trained; return it in evaluation mode."""
    generator = torch.Generator().manual_seed(seed)
    net.eval()
    with torch.no_grad():
        for module in net.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.running_mean.normal_(0, 0.3, generator=generator)
                module.running_var.uniform_(0.2, 2, generator=generator)
                module.weight.uniform_(0.8, 1.8, generator=generator)
                module.bias.normal_(0, 0.3, generator=generator)
    return net


def sensitive(net, images, seed=0):
    """Give a net BatchNorm layers as if trained on images, so that logits depend on the image."""
    return reestimate_batch_norm(randomized(net, seed), [images])
