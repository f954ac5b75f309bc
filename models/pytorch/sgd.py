"""SGD with momentum in PyTorch as MXNet computes it."""

import torch


class _WithMomenta(torch.optim.Optimizer):
    """Keeps a momentum for every parameter, zero at first."""

    def __init__(self, groups, defaults):
        super().__init__(groups, defaults)
        for group in self.param_groups:
            for parameter in group["params"]:
                self.state[parameter]["momentum"] = torch.zeros_like(parameter)

    def _arrays(self, group):
        """Return the (weights, momenta, gradients) of a group."""
        weights = group["params"]
        momenta = [self.state[weight]["momentum"] for weight in weights]
        return weights, momenta, [weight.grad for weight in weights]


class MomentumSGD(_WithMomenta):
    """SGD with the update of MXNet's `sgd`:  v = m v - lr (g + wd w),  then  w += v.

    The learning rate is part of the momentum: where it changes, torch.optim.SGD differs.
    learning_rate is an attribute, to be set before every step.
    """

    def __init__(self, parameters, momentum, weight_decay):
        super().__init__(parameters, {"momentum": momentum, "wd": weight_decay})
        self.learning_rate = 0.0

    @torch.no_grad()
    def step(self):
        """Update the parameters by their gradients, all tensors in one go."""
        (group,) = self.param_groups
        weights, momenta, gradients = self._arrays(group)
        decayed = torch._foreach_add(gradients, weights, alpha=group["wd"])
        torch._foreach_mul_(momenta, group["momentum"])
        torch._foreach_add_(momenta, decayed, alpha=-self.learning_rate)
        torch._foreach_add_(weights, momenta)


class NesterovSGD(_WithMomenta):
    """SGD with Nesterov momentum and the update of MXNet's `nag`, which PyTorch's SGD lacks.

        w += m² v - (1 + m) lr (g + wd w),  then  v = m v - lr (g + wd w)

    The learning rate is part of the momentum, so that the two differ where it changes; and MXNet's
    kernel updates w in place before it computes v, which therefore decays the new w.
    groups: {"params": […], "wd": …}; rates: the learning rate as a function of the update's number
    """

    def __init__(self, groups, rates, momentum):
        super().__init__(groups, {"momentum": momentum})
        self.rates = rates
        self.updates = 0

    @property
    def learning_rate(self):
        """The learning rate of the last update."""
        return self.rates(self.updates)

    @torch.no_grad()
    def step(self):
        """Update the parameters by their gradients, all tensors of a group in one go."""
        self.updates += 1
        lr = self.learning_rate
        for group in self.param_groups:
            weights, momenta, gradients = self._arrays(group)
            m, wd = group["momentum"], group["wd"]
            decayed = torch._foreach_add(gradients, weights, alpha=wd)
            torch._foreach_add_(weights, momenta, alpha=m * m)
            torch._foreach_add_(weights, decayed, alpha=-(1 + m) * lr)
            torch._foreach_mul_(momenta, m)
            decayed = torch._foreach_add(gradients, weights, alpha=wd)
            torch._foreach_add_(momenta, decayed, alpha=-lr)
