"""BatchNorm in training mode on a layer's first channels, over the images of all processes.

torch.nn.SyncBatchNorm works on GPUs only; this one works wherever torch.distributed does.
"""

import torch
import torch.distributed as dist
import torch.nn.functional as F

MAP_AXES = (0, 2, 3)  # of (B, C, H, W): the axes that statistics are taken over


def batch_norm(x, norm, *, tracks, synchronised):
    """Normalise x, shape (B, C, H, W), by its batch's statistics; scale and shift by norm's.

    norm:         a BatchNorm2d of at least C channels, of which the first C are used
    tracks:       whether norm's running statistics are updated; needs all of its channels
    synchronised: whether statistics are over the images of all processes, an equal share each
    """
    channels = x.shape[1]
    weight, bias = norm.weight[:channels], norm.bias[:channels]
    if not synchronised or not dist.is_initialized() or dist.get_world_size() == 1:
        running = (norm.running_mean, norm.running_var) if tracks else (None, None)
        return F.batch_norm(x, *running, weight, bias, True, norm.momentum, norm.eps)
    y, mean, variance = _SynchronisedBatchNorm.apply(x, weight, bias, norm.eps)
    if tracks:
        count = dist.get_world_size() * x.numel() // channels
        norm.running_mean.lerp_(mean, norm.momentum)
        norm.running_var.lerp_(variance * count / (count - 1), norm.momentum)
    return y


class _SynchronisedBatchNorm(torch.autograd.Function):
    """(x, scale, shift, epsilon) -> (y, mean, variance); statistics in at least single precision.

    The gradients of scale and shift are this process's share: the training step sums them over the
    processes, like those of all other parameters.
    """

    @staticmethod
    def forward(ctx, x, weight, bias, eps):
        variance, mean = torch.var_mean(_precise(x), MAP_AXES, correction=0)
        own = torch.stack((mean, variance))
        shares = [torch.empty_like(own) for _ in range(dist.get_world_size())]
        dist.all_gather(shares, own)
        means, variances = torch.stack(shares).unbind(1)
        mean = means.mean(0)
        # The mean of the variances within, and the variance between.
        variance = variances.mean(0) + (means - mean).square().mean(0)
        ctx.save_for_backward(x, weight, mean, (variance + eps).rsqrt())
        ctx.mark_non_differentiable(mean, variance)
        return F.batch_norm(x, mean, variance, weight, bias, False, 0, eps), mean, variance

    @staticmethod
    def backward(ctx, gradient, *_):
        x, weight, mean, scale = ctx.saved_tensors
        normalised = (_precise(x) - _of_channels(mean)) * _of_channels(scale)
        precise = _precise(gradient)
        bias_gradient = precise.sum(MAP_AXES)
        weight_gradient = (precise * normalised).sum(MAP_AXES)
        means = torch.stack((bias_gradient, weight_gradient))
        dist.all_reduce(means)
        means /= dist.get_world_size() * x.numel() // x.shape[1]
        centred = precise - _of_channels(means[0]) - normalised * _of_channels(means[1])
        x_gradient = (centred * _of_channels(weight * scale)).to(x.dtype)
        return x_gradient, weight_gradient, bias_gradient, None


def _precise(x):
    return x.float() if x.dtype in {torch.float16, torch.bfloat16} else x


def _of_channels(values):
    return values[:, None, None]
