"""PyTorch nets that hide no mistake: BatchNorm with statistics, scales and shifts."""

import torch
from torch import nn

from models.pytorch.mobilenet_v1 import MobileNetV1


def randomized_net(configuration, classes, seed=0):
    """Return a MobileNetV1 in evaluation mode whose BatchNorm layers are as if trained."""
    generator = torch.Generator().manual_seed(seed)
    torch.manual_seed(seed)
    net = MobileNetV1(configuration, classes).eval()
    with torch.no_grad():
        for module in net.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.running_mean.normal_(0, 0.3, generator=generator)
                module.running_var.uniform_(0.2, 2, generator=generator)
                module.weight.uniform_(0.8, 1.8, generator=generator)
                module.bias.normal_(0, 0.3, generator=generator)
    return net
