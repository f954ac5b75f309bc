"""The law that a fit may be pulled towards: per layer type linear in its channels."""

import numpy as np
from scipy import sparse

from models.mobilenet_v1 import LayerType

TERMS = ("1", "c_in", "c_out", "c_in·c_out")


def linear_law(variables):
    """Return Φ: the terms 1, c_in, c_out, c_in·c_out of each variable, among its type's columns.

    Returns a sparse matrix (variables, 4 · layer types); every column's greatest entry is 1, so
    that the coefficients β are comparable. With β ≥ 0 the law Φβ never falls with more channels.
    """
    types = {}
    channels = np.array([(v.in_channels, v.out_channels) for v in variables], dtype=np.float64)
    inputs, outputs = channels.T
    first = [len(TERMS) * types.setdefault(_type_of(v), len(types)) for v in variables]
    columns = np.add.outer(first, np.arange(len(TERMS)))
    values = np.stack([np.ones_like(inputs), inputs, outputs, inputs * outputs], axis=1)
    greatest = np.zeros(len(TERMS) * len(types))
    np.maximum.at(greatest, columns, values)
    rows = np.repeat(np.arange(len(variables)), len(TERMS))
    entries = (values / greatest[columns]).ravel()
    return sparse.csr_matrix((entries, (rows, columns.ravel())))


def _type_of(variable):
    return tuple(getattr(variable, name) for name in LayerType.__dataclass_fields__)
