"""SGD with momentum in PyTorch as MXNet computes it."""

import torch


class MomentumSGD(torch.optim.Optimizer):
    """SGD by the update of MXNet's `sgd`:  v = m v - lr (g + wd w),  then  w += v.

    The learning rate is part of the momentum: where it changes, torch.optim.SGD differs.
    learning_rate is an attribute, to be set before every step.
    """

    def __init__(self, parameters, momentum, weight_decay):
        super().__init__(parameters, {"momentum": momentum, "wd": weight_decay})
        self.learning_rate = 0.0
        for parameter in self.param_groups[0]["params"]:
            self.state[parameter]["momentum"] = torch.zeros_like(parameter)

    @torch.no_grad()
    def step(self):
        """Update the parameters by their gradients, all tensors in one go."""
        group = self.param_groups[0]
        weights = group["params"]
        momenta = [self.state[weight]["momentum"] for weight in weights]
        decayed = torch._foreach_add([w.grad for w in weights], weights, alpha=group["wd"])
        torch._foreach_mul_(momenta, group["momentum"])
        torch._foreach_add_(momenta, decayed, alpha=-self.learning_rate)
        torch._foreach_add_(weights, momenta)
