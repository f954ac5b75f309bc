"""The plain net in Gluon: a network with a fixed number of channels for each of its widths."""

import numpy as np

from models.folded_weights import FoldedWeights, fold
from models.gluon.runtime import FUSES_BATCH_NORM, mx
from models.parameter_names import GLUON_NORM

nn = mx.gluon.nn

# By fan-in, which is right for depthwise convolutions too: their fan-out is 9, not 9 × channels.
HE_NORMAL = mx.init.MSRAPrelu(factor_type="in", slope=0)
CLASSIFIER = mx.init.Normal(0.01)  # the first loss is log(classes)


class ConvBatchNorm(nn.HybridBlock):
    """A convolution without bias, its BatchNorm and activation: (B, I, H, W) -> (B, C, H', W').

    activation: "relu", "relu6" or None
    fused: whether BatchNorm and ReLU are one operator (on a CPU; a third less time per step).
        Its output is then taken out of oneDNN's blocked memory layout: the backward pass fails
            between layers of different layouts, which depend on their channels and sizes.
    """

    def __init__(self, convolution, activation, momentum, fused, prefix):
        super().__init__(prefix=prefix)
        self._activation, self._fused = activation, fused and activation
        norm = nn.BatchNormReLU if self._fused else nn.BatchNorm
        with self.name_scope():
            self.convolution = nn.Conv2D(
                **convolution,
                padding=convolution["kernel_size"] // 2,
                use_bias=False,
                weight_initializer=HE_NORMAL,
                prefix="",
            )
            self.norm = norm(momentum=momentum, in_channels=convolution["channels"], prefix="")

    def hybrid_forward(self, F, x):
        x = self.norm(self.convolution(x))
        if not self._fused:
            return activated(F, x, self._activation)
        x = plain_layout(F, x)
        return x if self._activation == "relu" else activated(F, x, self._activation)


def activated(F, x, activation):
    """Return x after an activation: "relu", "relu6" or None."""
    match activation:
        case "relu":
            return F.relu(x)
        case "relu6":
            return F.clip(x, 0, 6)
        case None:
            return x


def plain_layout(F, x):
    """Return x (B, C, H, W) with its values and its gradient out of oneDNN's blocked layout.

    It uses a transpose that moves nothing. (x * 1 would be computed in place, and keep the layout;
    operators that do not know the layouts, such as slices, keep a copy of their input for ever.)
    """
    return F.transpose(x, axes=(0, 1, 2, 3))


class PlainNet(nn.HybridBlock):
    """The net of one configuration of a network.

    network: a Description; configuration: a number of channels for each of its widths
    momentum: of BatchNorm's running statistics; fused: see ConvBatchNorm
    Called with images of shape (B, 3, H, W), any H and W; returns logits of shape (B, classes).
    Convolutions start He-normal by fan-in, the classifier normal with a standard deviation of
    0.01, biases 0, BatchNorm as the identity. Parameters have the same names in all configurations.
    Raises UserError if the configuration does not fit the network.
    """

    def __init__(
        self,
        network,
        configuration,
        momentum=0.9,
        fused=FUSES_BATCH_NORM,
        prefix="net_",
        params=None,
    ):
        super().__init__(prefix=prefix, params=params)
        self.network = network
        self.configuration = network.check(configuration)
        *shapes, classifier = network.kernel_shapes(self.configuration)
        with self.name_scope():
            self.features = nn.HybridSequential(prefix="")
            with self.features.name_scope():
                for step, shape in zip(network.convolutions, shapes, strict=True):
                    activation = network.activation if step.active else None
                    name = f"convolution{step.index + 1}_"
                    self.features.add(
                        ConvBatchNorm(_sizes(step, *shape), activation, momentum, fused, name)
                    )
            self.pool = nn.GlobalAvgPool2D()
            self.classifier = nn.Dense(
                classifier[0],
                in_units=classifier[1],
                weight_initializer=CLASSIFIER,
                prefix="classifier_",
            )

    def hybrid_forward(self, F, images):
        return self.network.run(images, Maker(F, self))


def _sizes(step, outputs, inputs, size, _):
    """Return the keyword arguments of a step's Conv2D, from the shape of its weight."""
    groups = {"groups": outputs, "in_channels": outputs} if step.depthwise else {}
    return {
        "in_channels": inputs, "channels": outputs, "kernel_size": size, "strides": step.stride
    } | groups  # fmt: skip


class Maker:
    """Runs the steps of a network on a PlainNet's layers; F is mx.nd or mx.sym."""

    def __init__(self, F, net):
        self.F, self.net = F, net

    def convolve(self, step, x):
        """Return a convolution with BatchNorm and activation."""
        return self.masked(step, self.net.features[step.index](x))

    def add(self, step, x, other):
        """Return the sum with its activation."""
        activation = self.net.network.activation if step.active else None
        return self.masked(step, activated(self.F, x + other, activation))

    def pool(self, step, x):
        """Return the maximum of each window."""
        window = {
            "kernel": (step.kernel_size,) * 2,
            "stride": (step.stride,) * 2,
            "pad": (step.kernel_size // 2,) * 2,
        }
        x = self.F.Pooling(x, **window, pool_type="max")
        return self.masked(step, x)

    def masked(self, step, x):
        """Return a step's result as it is; a pass with masks sets channels to zero."""
        return x

    def classify(self, step, x):
        """Return the logits."""
        return self.net.classifier(self.net.pool(x))


def folded_weights(net):
    """Return the FoldedWeights of an initialised PlainNet, as runtimes deploy them."""
    mx.nd.waitall()  # the fused BatchNorm and ReLU sets running statistics behind the engine's back
    convolutions = (
        fold(
            _array(layer.convolution.weight),
            *(_array(getattr(layer.norm, name)) for name in GLUON_NORM),
            layer.norm._kwargs["eps"],
        )
        for layer in net.features
    )
    classifier = (_array(array) for array in (net.classifier.weight, net.classifier.bias))
    return FoldedWeights(net.network, tuple(convolutions), *classifier)


def _array(parameter):
    return parameter.data(parameter.list_ctx()[0]).asnumpy().astype(np.float32)


def reestimate_batch_norm(net, batches):
    """Set the running statistics of a PlainNet to the averages of batch statistics, in place.

    batches: iterable of images of shape (B, 3, H, W), NDArrays or NumPy arrays; batches
    are weighted by their numbers of images
    Returns net. Raises ValueError if there is no batch.
    """
    context = net.classifier.weight.list_ctx()[0]
    statistics, seen = _Statistics(mx.nd, net), 0
    for images in batches:
        with mx.autograd.train_mode():
            net.network.run(mx.nd.array(images, ctx=context), statistics)
        seen += len(images)
        mx.nd.waitall()  # or MXNet would queue all batches at once
    if not seen:
        raise ValueError("reestimate_batch_norm needs at least one batch")
    for layer, (mean, variance) in zip(net.features, statistics.sums, strict=True):
        layer.norm.running_mean.set_data(mean / seen)
        layer.norm.running_var.set_data(variance / seen)
    return net


class _Statistics(Maker):
    """Sums the mean and the variance of each BatchNorm's input, weighted by the images."""

    def __init__(self, F, net):
        super().__init__(F, net)
        self.sums = [(0, 0)] * len(net.features)

    def convolve(self, step, x):
        layer = self.net.features[step.index]
        y = layer.convolution(x)
        mean = y.mean(axis=1, exclude=True)
        centred = mx.nd.broadcast_sub(y, mean.reshape((1, -1, 1, 1)))
        variance = mx.nd.square(centred).mean(axis=1, exclude=True)
        sums = zip(self.sums[step.index], (mean, variance), strict=True)
        self.sums[step.index] = tuple(total + len(y) * new for total, new in sums)
        activation = self.net.network.activation if step.active else None
        return activated(mx.nd, layer.norm(y), activation)
