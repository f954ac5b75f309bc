"""The sandwich step written plainly: three masked passes of the full network, in MXNet."""

from models.gluon.runtime import mx
from nas.search_space import SearchSpace
from tests.helpers.mxnet_nets import (
    trainable,
)

# All widths are multiples of 16: then oneDNN takes the same kernels for all of them, and nets that
# compute the same function do so to the last digits. Between its kernels for multiples of 8 and of
# 16, batch statistics differ by 1e-6, and 27 BatchNorms in training mode make 1e-4 of that.
SPACE = SearchSpace(
    input_size=32,
    classes=10,
    min_width=0.2,
    max_width=1,
    levels=5,
    base_widths=(80,) * 4 + (160,) * 8 + (240,) * 2,
)


def three_masked_passes(net, images, labels, widths):
    """The plain twin of sandwich_step: full-width masked passes, one backward pass at the end."""
    size = len(labels)
    log_softmax, softmax = mx.nd.log_softmax, mx.nd.softmax
    net.collect_params().zero_grad()
    with mx.autograd.record():
        full = net.masked(images, rows(SPACE.largest, size))
        smallest = net.masked(images, rows(SPACE.smallest, size))
        random = net.masked(images, widths)
        target = mx.nd.BlockGrad(softmax(full))
        hard = [-mx.nd.pick(log_softmax(logits), labels) for logits in (full, random)]
        soft = [-(target * log_softmax(logits)).sum(axis=1) for logits in (smallest, random)]
        loss = hard[0].mean() + soft[0].mean() + soft[1].mean()
    loss.backward()
    losses = [x.asnumpy() for x in (*hard, *soft)]
    return losses, {name: p.grad().asnumpy() for name, p in trainable(net).items()}


def rows(configuration, batch_size):
    return mx.nd.array([configuration] * batch_size)
