"""What the entries of a latency table are pulled towards: laws of the channels of a layer."""

from dataclasses import dataclass

import numpy as np
from scipy import sparse
from scipy.optimize import nnls

from nas.variables import LayerType
from utils.devices.workload import IMAGE_CHANNELS

KNEES = (0.1, 0.3)  # of a type's greatest c_in·c_out: where arithmetic begins to exceed a floor
TERMS = ("1", "c_in", "c_out", "c_in·c_out", *(f"max(0, c_in·c_out - {knee})" for knee in KNEES))
TILES = (16, 32, 64)  # channels that arithmetic units may take at once; widths are multiples of 8
LEAST_SIZE = 0.03  # of the mean entry: entries that the law predicts as 0 have some size, too

PRIORS = {"shared": len(TERMS), "linear": 4}  # how many of the TERMS each layer type has
SHARED = "shared"


@dataclass(frozen=True)
class Prior:
    """A law Φβ + Ψγ with β, γ ≥ 0; it never falls with more channels."""

    own: sparse.csr_matrix  # Φ, (variables, coefficients): of each layer type by itself
    shared: sparse.csr_matrix | None = None  # Ψ, (variables, coefficients): of all layer types

    @property
    def relative(self):
        """Whether errors count relative: of networks to latency, of entries to their usual size."""
        return self.shared is not None

    @classmethod
    def of(cls, name, variables):
        """Return one of PRIORS: "linear", of absolute errors, or "shared", of relative ones.

        "linear": each layer type has coefficients of its own. "shared": a byte or an operation
        costs about the same in all layers, and a type differs from this only where its own terms,
        among them floors, are worth their penalty. A hundred networks tell little of one type.
        """
        own = layer_law(variables, PRIORS[name])
        return cls(own, shared_law(variables) if name == SHARED else None)


def layer_law(variables, terms):
    """Return Φ: the first TERMS of each variable, among its type's columns.

    Returns a sparse matrix (variables, terms · layer types); every column's greatest entry is 1, so
    that the coefficients β are comparable. Small layers cost about the same, whatever their
    channels, until their arithmetic exceeds a floor: the last terms are convex in c_in·c_out.
    """
    types = {}
    channels = np.array([(v.in_channels, v.out_channels) for v in variables], dtype=np.float64)
    type_of = np.array([types.setdefault(_type_of(v), len(types)) for v in variables])
    # A type need not have an entry that is widest on both sides: ResNet-50's 64→256 and 256→64.
    sizes = np.column_stack([channels, channels.prod(axis=1)])
    greatest = np.zeros((len(types), 3))
    np.maximum.at(greatest, type_of, sizes)
    inputs, outputs, product = (sizes / greatest[type_of]).T
    above = [np.maximum(0, product - knee) / (1 - knee) for knee in KNEES]
    values = np.stack([np.ones_like(inputs), inputs, outputs, product, *above][:terms], axis=1)
    rows = np.repeat(np.arange(len(variables)), terms)
    columns = np.add.outer(terms * type_of, np.arange(terms))
    return sparse.csr_matrix((values.ravel(), (rows, columns.ravel())))


def _type_of(variable):
    return tuple(getattr(variable, name) for name in LayerType.__dataclass_fields__)


def shared_law(variables):
    """Return Ψ: what each variable costs in units that all layers share, sparse (variables, 9).

    1; values read; values written; weights; operations of the depthwise convolution; operations of
    the convolution that mixes channels; the latter with channels rounded up to each of TILES (not
    the image's). Every column's greatest entry is 1; a column of zeros is left out.
    """
    inputs = np.array([v.in_channels for v in variables], dtype=np.float64)
    outputs = np.array([v.out_channels for v in variables], dtype=np.float64)
    maps = np.array([v.in_size for v in variables])
    strides = np.array([v.stride for v in variables])
    read_pixels = maps.prod(axis=1)
    pixels = (-(-maps // strides[:, None])).prod(axis=1)
    depthwise = np.array([v.dw for v in variables])
    window = np.array([v.kernel_size**2 for v in variables])
    mixing = np.where(depthwise, 1, window)  # of the convolution that mixes channels

    def tiled(channels, tile):
        return np.where(channels == IMAGE_CHANNELS, channels, np.ceil(channels / tile) * tile)

    columns = [
        np.ones_like(inputs),
        inputs * read_pixels,
        outputs * pixels,
        inputs * outputs * mixing,
        inputs * pixels * window * depthwise,
        *(tiled(inputs, t) * tiled(outputs, t) * pixels * mixing for t in (1, *TILES)),
    ]
    return sparse.csr_matrix(np.stack([c / c.max() for c in columns if c.any()], axis=1))


def usual_sizes(counts, latencies, law):
    """Return s: the entries that a law alone, fitted to relative errors, predicts; 1 on average.

    counts: M, sparse (networks, variables); latencies: y, (networks,), in any unit
    law:    sparse (variables, coefficients), whose coefficients are at least 0
    Returns an array (variables,).
    """
    per_latency = sparse.diags(1 / latencies)
    coefficients, _ = nnls((per_latency @ counts @ law).toarray(), np.ones(len(latencies)))
    sizes = law @ coefficients
    return sizes / sizes.mean() + LEAST_SIZE
