"""The exponential average of a network's weights while it trains, in MXNet."""

from models.arrays import AVERAGE
from models.gluon.arrays import load_network, network_arrays
from models.gluon.plain import PlainNet, reestimate_batch_norm
from models.gluon.runtime import mx
from models.recipe import averaging_share


class Average:
    """A PlainNet of averaged weights, in single precision; see models.pytorch.averaging.Average.

    The averages are kept on the first device, apart from the net, whose weights take on other
    memory layouts when it runs; reestimate puts them there.
    """

    def __init__(self, net, decay, contexts):
        self._decay, self._context = decay, contexts[0]
        self.net = PlainNet(net.network, net.configuration)
        self.net.initialize(ctx=contexts)
        self.restart(net)

    def restart(self, net):
        """Begin again from a net's weights."""
        self._averages = {name: new.copy() for name, new in self._weights(net).items()}

    def update(self, net, updates):
        """Take in a net's weights after an update, whose number is `updates`."""
        share = averaging_share(self._decay, updates)
        for name, new in self._weights(net).items():
            average = self._averages[name]
            average *= 1 - share
            average += share * new
        mx.nd.waitall()  # before the next pass changes the layouts of what is read here

    def _weights(self, net):
        """Return {name: array} of a net's trained parameters, in single precision."""
        return {
            name: parameter.data(self._context).astype("float32", copy=False)
            for name, parameter in net._collect_params_with_prefix().items()
            if parameter.grad_req != "null"
        }

    def reestimate(self, batches):
        """Re-estimate the BatchNorm statistics on batches of images."""
        parameters = self.net._collect_params_with_prefix()
        for name, average in self._averages.items():
            parameters[name].set_data(average)
        reestimate_batch_norm(self.net, batches)

    def arrays(self):
        """Return the averaged network as arrays for a checkpoint, once it was re-estimated."""
        return network_arrays(self.net, AVERAGE)

    def load(self, arrays, path):
        """Load what `arrays` returned; path: the file that it was read from."""
        load_network(self.net, arrays, path, AVERAGE)
        self.restart(self.net)
