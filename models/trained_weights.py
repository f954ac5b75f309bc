"""The weights of a trained network as arrays, with its BatchNorms, in no framework's form."""

from dataclasses import dataclass, replace

import numpy as np

from models.description import Description

EPSILON = 1e-5  # of the BatchNorms in both frameworks


@dataclass(frozen=True)
class TrainedConvolution:
    """A convolution without bias, and the BatchNorm after it; `kernel` as in FoldedWeights."""

    kernel: np.ndarray
    scale: np.ndarray  # this and the following ones: (out_channels,)
    shift: np.ndarray
    mean: np.ndarray  # running statistics
    variance: np.ndarray


@dataclass(frozen=True)
class TrainedWeights:
    """The arrays of one network: those of its convolutions in order, and the classifier's.

    classifier_weight: (classes, last width); this and the bias are None if there is no classifier
    for the network's classes
    """

    network: Description
    convolutions: tuple[TrainedConvolution, ...]
    classifier_weight: np.ndarray | None
    classifier_bias: np.ndarray | None

    @classmethod
    def of(cls, network, arrays):
        """Return the weights that `arrays` listed."""
        *arrays, weight, bias = arrays
        per_layer = zip(*[iter(arrays)] * ARRAYS_PER_CONVOLUTION, strict=True)
        return cls(network, tuple(TrainedConvolution(*each) for each in per_layer), weight, bias)

    @property
    def classes(self):
        """The number of logits."""
        return len(self.classifier_bias)

    def cut_out(self, configuration):
        """Return the weights of a configuration: the first channels of each width.

        Running statistics are still those of the wide network.
        Raises UserError that names the layer of a width that is above this network's.
        """
        greatest = {}
        for step, each in zip(self.network.convolutions, self.convolutions, strict=True):
            greatest.setdefault(step.outputs, len(each.kernel))
        configuration = self.network.check_within(
            configuration, [greatest[width] for width in self.network.widths]
        )
        *shapes, (_, inputs) = self.network.kernel_shapes(configuration)
        convolutions = tuple(
            TrainedConvolution(each.kernel[:o, :i], *(a[:o] for a in _fields(each)[1:]))
            for each, (o, i, *_) in zip(self.convolutions, shapes, strict=True)
        )
        return replace(
            self,
            convolutions=convolutions,
            classifier_weight=self.classifier_weight[:, :inputs],
        )

    def arrays(self):
        """Return all arrays in the order in which the nets of both frameworks list theirs."""
        of_convolutions = [array for each in self.convolutions for array in _fields(each)]
        if self.classifier_weight is None:
            return of_convolutions
        return [*of_convolutions, self.classifier_weight, self.classifier_bias]


ARRAYS_PER_CONVOLUTION = len(TrainedConvolution.__dataclass_fields__)


def _fields(convolution):
    return [getattr(convolution, name) for name in TrainedConvolution.__dataclass_fields__]
