"""Training passes of several Gluon nets that share their parameters and take turns in one memory.

A hybridised net with static memory keeps the activations of its last pass for ever, so three nets
keep three sets; without static memory a step on a CPU takes a quarter longer, because every
activation is allocated anew. Here the passes are executors that share one pool of memory.
"""

from models.gluon.runtime import mx


class Pass:
    """The forward and the backward pass of a net on one device, in training mode.

    inputs: {name: array}, the net's arguments in order; each forward pass reads them
    context: the device of the arrays and of the parameters
    before: a Pass whose memory this one shares, and grows if necessary; or None. The activations of
        a pass are lost when another begins.
    Gradients go into the parameters' own arrays, as grad_req says.
    """

    def __init__(self, net, inputs, context, before=None):
        symbol = net(*map(mx.sym.var, inputs))
        parameters = net.collect_params()
        arguments = symbol.list_arguments()
        trained = [name for name in arguments if name not in inputs]
        self._executor = symbol.bind(
            context,
            inputs | {name: parameters[name].data(context) for name in trained},
            {name: parameters[name].grad(context) for name in trained},
            {name: parameters[name].grad_req for name in trained},
            {name: parameters[name].data(context) for name in symbol.list_auxiliary_states()},
            shared_exec=before and before._executor,
        )
        self._trained = [parameters[name].data(context) for name in trained]

    def forward(self):
        """Return a copy of the output."""
        return self._executor.forward(is_train=True)[0].copy()

    def backward(self, gradient):
        """Add the gradients of the parameters, given the gradient of the output."""
        self._executor.backward(gradient)
        for array in self._trained:
            array._fresh_grad = True  # or a Trainer would take them for those of an earlier step


class SharedPasses:
    """The full, masked and narrow Pass of a SlimmableNet on one device, in one memory.

    shape: of the images, (B, 3, H, W)
    """

    def __init__(self, net, shape, context):
        self._images = mx.nd.empty(shape, context)
        self._widths = mx.nd.empty((shape[0], len(net.full.configuration)), context)
        images = {"images": self._images}
        # The masked pass needs the most memory; the others fit into it.
        self.masked = Pass(net.masked, images | {"widths": self._widths}, context)
        self.full = Pass(net.full, images, context, self.masked)
        self.narrow = Pass(net.narrow, images, context, self.full)
        self._bound_to = _arrays(net, context)

    def fit(self, net, shape, context):
        """Whether the passes are bound to a net's current arrays and to images of this shape."""
        same = zip(self._bound_to, _arrays(net, context), strict=True)
        return self._images.shape == shape and all(one is other for one, other in same)

    def load(self, images, widths):
        """Copy in the inputs of the next passes."""
        images.copyto(self._images)
        widths.copyto(self._widths)


def _arrays(net, context):
    return [
        array
        for parameter in net.collect_params().values()
        for array in (
            parameter.data(context),
            None if parameter.grad_req == "null" else parameter.grad(context),
        )
    ]
