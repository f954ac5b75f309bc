"""TorchScript: PyTorch modules as bytes that need no code of ours to be run."""

import io
import warnings

import torch

from utils.devices.workload import IMAGE_CHANNELS


@torch.no_grad()
def repeat_weights(net, period):
    """Repeat the first numbers of each of a module's parameters, so that zlib packs them well."""
    for parameter in net.parameters():
        numbers = parameter.flatten()[:period]
        times = -(-parameter.numel() // period)
        parameter.copy_(numbers.repeat(times)[: parameter.numel()].view_as(parameter))


def traced(net, input_size):
    """Return the bytes of a module's TorchScript file, for batches of any size.

    net: a module in evaluation mode, on the processor, of images of shape (B, 3, H, H)
    """
    images = torch.zeros(1, IMAGE_CHANNELS, input_size, input_size)
    file = io.BytesIO()
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # deprecated, but every version since 1.4 reads it
        torch.jit.save(torch.jit.trace(net, images, check_trace=False), file)
    return file.getvalue()
