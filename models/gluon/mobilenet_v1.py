"""MobileNet-v1 with one width per layer, in Gluon: the plain net."""

import numpy as np

from models.folded_weights import FoldedWeights, fold
from models.gluon.runtime import FUSES_BATCH_NORM, mx
from models.mobilenet_v1 import BASE_WIDTHS, IMAGE_CHANNELS, STRIDES, check_configuration

nn = mx.gluon.nn

# By fan-in, which is right for depthwise convolutions too: their fan-out is 9, not 9 × channels.
HE_NORMAL = mx.init.MSRAPrelu(factor_type="in", slope=0)
BATCH_NORM = ("gamma", "beta", "running_mean", "running_var")
CLASSIFIER = mx.init.Normal(0.01)  # the first loss is log(classes)


class ConvBatchNormReLU(nn.HybridBlock):
    """A convolution without bias, its BatchNorm and a ReLU: (B, I, H, W) -> (B, C, H', W').

    fused: whether BatchNorm and ReLU are one operator (on a CPU; a third less time per step).
        Its output then leaves oneDNN's blocked memory layout: between layers that choose different
        layouts, which depends on their channels and sizes, its backward pass fails.
    """

    def __init__(self, convolution, momentum, fused, prefix):
        super().__init__(prefix=prefix)
        self._fused = fused
        norm = nn.BatchNormReLU if fused else nn.BatchNorm
        channels = convolution["channels"]
        with self.name_scope():
            self.convolution = nn.Conv2D(
                **convolution,
                padding=convolution["kernel_size"] // 2,
                use_bias=False,
                weight_initializer=HE_NORMAL,
                prefix="",
            )
            self.norm = norm(momentum=momentum, in_channels=channels, prefix="")

    def hybrid_forward(self, F, x):
        x = self.norm(self.convolution(x))
        if not self._fused:
            return F.relu(x)
        return plain_layout(F, x)


def plain_layout(F, x):
    """Return x (B, C, H, W) with its values and its gradient out of oneDNN's blocked layout.

    By a transpose that moves nothing. (x * 1 would be computed in place, and keep the layout;
    operators that do not know the layouts, such as slices, keep a copy of their input for ever.)
    """
    return F.transpose(x, axes=(0, 1, 2, 3))


def convolutions(configuration):
    """Yield the name and the sizes, as keywords of Conv2D, of each convolution in order.

    The first of layer1; then the depthwise and the pointwise one of each other layer.
    """
    before, *others = configuration
    yield "layer1", dict(in_channels=IMAGE_CHANNELS, channels=before, kernel_size=3, strides=2)
    for number, (width, stride) in enumerate(zip(others, STRIDES[1:], strict=True), start=2):
        depthwise = dict(in_channels=before, channels=before, groups=before, kernel_size=3)
        yield f"layer{number}_depthwise", depthwise | dict(strides=stride)
        yield f"layer{number}_pointwise", dict(in_channels=before, channels=width, kernel_size=1)
        before = width


class MobileNetV1(nn.HybridBlock):
    """The plain net of one configuration.

    configuration: 14 widths; classes: the number of logits
    momentum: of BatchNorm's running statistics; fused: see ConvBatchNormReLU
    Called with images of shape (B, 3, H, W), any H and W; returns logits of shape (B, classes).
    Convolutions start He-normal by fan-in, the classifier normal with a standard deviation of
    0.01, biases 0, BatchNorm as the identity. All configurations name their parameters alike.
    Raises UserError if the configuration is not 14 positive widths.
    Source: Howard et al. 2017.
    """

    def __init__(
        self,
        configuration=BASE_WIDTHS,
        classes=1000,
        momentum=0.9,
        fused=FUSES_BATCH_NORM,
        prefix="mobilenet_",
        params=None,
    ):
        super().__init__(prefix=prefix, params=params)
        self.configuration = check_configuration(configuration)
        self.classes = classes
        with self.name_scope():
            self.features = nn.HybridSequential(prefix="")
            with self.features.name_scope():
                for name, sizes in convolutions(self.configuration):
                    layer = ConvBatchNormReLU(sizes, momentum, fused, f"{name}_")
                    self.features.add(layer)
            self.pool = nn.GlobalAvgPool2D()
            self.classifier = nn.Dense(
                classes,
                in_units=self.configuration[-1],
                weight_initializer=CLASSIFIER,
                prefix="classifier_",
            )

    def hybrid_forward(self, F, images):
        return self.classifier(self.pool(self.features(images)))


def folded_weights(net):
    """Return the FoldedWeights of an initialised MobileNetV1: what a runtime deploys."""
    mx.nd.waitall()  # the fused BatchNorm and ReLU sets running statistics behind the engine's back
    sizes = [sizes for _, sizes in convolutions(net.configuration)]
    return FoldedWeights(
        tuple(
            fold(
                _array(layer.convolution.weight),
                *(_array(getattr(layer.norm, name)) for name in BATCH_NORM),
                layer.norm._kwargs["eps"],
                size.get("strides", 1),
                size.get("groups", 1),
            )
            for layer, size in zip(net.features, sizes, strict=True)
        ),
        _array(net.classifier.weight),
        _array(net.classifier.bias),
    )


def _array(parameter):
    return parameter.data(parameter.list_ctx()[0]).asnumpy().astype(np.float32)


def reestimate_batch_norm(net, batches):
    """Set the running statistics of a MobileNetV1 to the averages of batch statistics, in place.

    batches: iterable of images of shape (B, 3, H, W), NDArrays or NumPy arrays; batches of
    different sizes weigh as their numbers of images
    Returns net. Raises ValueError if there is no batch.
    """
    context = net.classifier.weight.list_ctx()[0]
    sums, seen = [0] * 2 * len(net.features), 0
    for images in batches:
        statistics = _batch_statistics(net, mx.nd.array(images, ctx=context))
        sums = [s + len(images) * new for s, new in zip(sums, statistics, strict=True)]
        seen += len(images)
        mx.nd.waitall()  # or MXNet would queue all batches at once
    if not seen:
        raise ValueError("reestimate_batch_norm needs at least one batch")
    for layer, mean, variance in zip(net.features, sums[::2], sums[1::2], strict=True):
        layer.norm.running_mean.set_data(mean / seen)
        layer.norm.running_var.set_data(variance / seen)
    return net


def _batch_statistics(net, images):
    """Return the mean and the variance of each BatchNorm's input in training mode, in order."""
    statistics = []
    x = images
    with mx.autograd.train_mode():
        for layer in net.features:
            y = layer.convolution(x)
            mean = y.mean(axis=1, exclude=True)
            centred = mx.nd.broadcast_sub(y, mean.reshape((1, -1, 1, 1)))
            statistics += [mean, mx.nd.square(centred).mean(axis=1, exclude=True)]
            x = mx.nd.relu(layer.norm(y))
    return statistics
