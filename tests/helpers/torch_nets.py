"""PyTorch slimmable nets and batches that hide no mistake, and their Gluon twins."""

import numpy as np
import torch

from models.pytorch.plain import convolutions
from models.pytorch.slimmable import SlimmableNet


def slimmable(space, seed=0):
    """Return a slimmable net with scales and shifts as training would give it."""
    net = SlimmableNet(space.description, space.smallest, space.largest, seed)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for _, norm in convolutions(net.wide):
            norm.weight.uniform_(0.5, 1.5, generator=generator)
            norm.bias.normal_(0, 0.5, generator=generator)
            norm.running_mean.normal_(0, 0.5, generator=generator)
            norm.running_var.uniform_(0.5, 2, generator=generator)
        net.wide.classifier.weight.normal_(0, space.largest[-1] ** -0.5, generator=generator)
        net.wide.classifier.bias.normal_(0, 0.5, generator=generator)
    return net


def batch_of(space, size, pixels=48, seed=0):
    """Return images, labels and random widths."""
    rng = np.random.default_rng(seed)
    images = torch.tensor(rng.standard_normal((size, 3, pixels, pixels)), dtype=torch.float32)
    labels = torch.tensor(rng.integers(space.classes, size=size))
    return images, labels, torch.tensor([space.draw_uniform(rng) for _ in range(size)])


def gradients(net):
    """Return {name: gradient array} of a net; zeros where there is none."""
    return {
        name: np.zeros(p.shape) if p.grad is None else p.grad.numpy().copy()
        for name, p in net.named_parameters()
    }


def copy_from_gluon(gluon, net):
    """Give a PyTorch PlainNet the parameters and statistics of a Gluon one, paired in order."""
    arrays = [parameter.data().asnumpy() for parameter in gluon.collect_params().values()]
    names = [name for name in net.state_dict() if not name.endswith("num_batches_tracked")]
    state = {name: torch.tensor(a) for name, a in zip(names, arrays, strict=True)}
    net.load_state_dict(state, strict=False)
    return names
