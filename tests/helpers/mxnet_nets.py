"""Gluon nets and batches that hide no mistake: BatchNorm with shifts, logits of size 1."""

import numpy as np

from models.gluon.runtime import mx


def randomized(net, seed=0):
    """Initialise a net and give it parameters and statistics as training would; return it."""
    mx.random.seed(seed)
    rng = np.random.default_rng(seed)
    net.initialize()
    for name, parameter in net.collect_params().items():
        shape = parameter.shape
        if name.endswith("gamma"):
            values = rng.uniform(0.5, 1.5, shape)
        elif name.endswith(("beta", "running_mean", "bias")):
            values = rng.normal(0, 0.5, shape)
        elif name.endswith("running_var"):
            values = rng.uniform(0.5, 2, shape)
        elif name.endswith("classifier_weight"):
            values = rng.normal(0, shape[1] ** -0.5, shape)
        else:
            continue
        parameter.set_data(mx.nd.array(values))
    return net


def images(batch_size, size=32, seed=0):
    return mx.nd.array(np.random.default_rng(seed).standard_normal((batch_size, 3, size, size)))


def in_training(net, *inputs):
    """Return the logits in training mode."""
    with mx.autograd.train_mode():
        return net(*inputs).asnumpy()


def gradients(net, *inputs, seed=0):
    """Return {name: gradient} of a random linear form of the logits, in training mode."""
    parameters = trainable(net)
    for parameter in parameters.values():
        parameter.zero_grad()
    with mx.autograd.record():
        logits = net(*inputs)
        weights = np.random.default_rng(seed).standard_normal(logits.shape)
        loss = (logits * mx.nd.array(weights)).mean()
    loss.backward()
    return {name: parameter.grad().asnumpy() for name, parameter in parameters.items()}


def trainable(net):
    return {n: p for n, p in net.collect_params().items() if p.grad_req != "null"}


def difference_of_all(actual, expected):
    """Return the difference of two gradients over all parameters as one vector, relative.

    What a few ReLUs on the edge decide, by how kernels round, changes it little.
    """
    assert actual.keys() == expected.keys()
    differences = [actual[name] - gradient for name, gradient in expected.items()]
    squares = [sum((each**2).sum() for each in them) for them in (differences, expected.values())]
    return np.sqrt(squares[0] / squares[1])


def greatest_difference(actual, expected):
    """Return the greatest difference of two gradients over all parameters, relative to the size.

    The size is the greatest entry of the expected gradient of that parameter.
    """
    assert actual.keys() == expected.keys()
    return max(
        np.abs(actual[name] - gradient).max() / np.abs(gradient).max()
        for name, gradient in expected.items()
    )
