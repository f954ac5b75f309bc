"""A device without hardware: a network's time is a law of its widths, disturbed by a script."""

import itertools


def law_ms(configuration):
    """Return the latency of a configuration in ms per image: a sum over layers, as tables model."""
    inputs = (3, *configuration)
    pairs = zip(inputs, (*configuration, 10), strict=True)
    return 0.02 + sum(1e-4 * a + 1e-6 * a * b for a, b in pairs)


class StandInDevice:
    """Times networks by law_ms times the machine's present slowness; runs nothing.

    slowness: an iterable of factors, one for each run of any network; then 1 for ever
    """

    def __init__(self, workload, slowness=()):
        self.workload = workload
        self.slowness = itertools.chain(slowness, itertools.repeat(1.0))
        self.prepared = []
        self.released = []

    def describe(self):
        return {"device_name": "stand-in", "runtime": "none", "versions": {"none": "1"}}

    def state(self):
        return {"load_average": 0.0}

    def prepare(self, network):
        self.prepared.append(network.configuration)
        return network.configuration

    def run(self, configuration):
        return next(self.slowness) * self.workload.batch_size * law_ms(configuration) / 1e3

    def release(self, configuration):
        self.released.append(configuration)
