"""The latency table: milliseconds per image of every variable of a search space."""

import math
from dataclasses import asdict

import numpy as np

from models.mobilenet_v1 import IMAGE_CHANNELS, STRIDES, Variable, layer_types
from utils.errors import UserError
from utils.records import read_lines, read_metadata, write_lines, write_metadata


class LatencyTable:
    """Maps each Variable (layer type, in_channels, out_channels) to milliseconds per image.

    T(c) is the sum over the layers and the classifier of entry[type, c_in, c_out]. Single entries
    are not identifiable from whole-network timings; totals are. `metadata` says what was measured.
    """

    def __init__(self, entries, metadata=None, source="latency table"):
        self.entries = dict(entries)
        self.metadata = metadata or {}
        self.source = str(source)

    @classmethod
    def load(cls, path):
        """Read a file of lines [variable, latency_ms] and its metadata.

        A file without metadata is accepted with a warning. Raises UserError that names the line.
        """
        entries = {}
        for number, line in read_lines(path):
            try:
                fields, latency_ms = line
                variable = Variable(**{**fields, "in_size": tuple(fields["in_size"])})
                latency_ms = float(latency_ms)
            except (TypeError, ValueError, KeyError):
                raise UserError(
                    f"{path}, line {number}: expected [layer type with channels, latency_ms]"
                ) from None
            if not math.isfinite(latency_ms):
                raise UserError(f"{path}, line {number}: the latency is {latency_ms}")
            if variable in entries:
                raise UserError(f"{path}, line {number}: this variable stands twice")
            entries[variable] = latency_ms
        return cls(entries, read_metadata(path), path)

    def save(self, path):
        """Write the table, one line per variable, and its metadata; whole or not at all."""
        write_lines(
            path,
            [
                [{**asdict(variable), "in_size": list(variable.in_size)}, latency_ms]
                for variable, latency_ms in self.entries.items()
            ],
        )
        write_metadata(path, self.metadata)

    def predict(self, configuration):
        """Return the predicted latency of a configuration in milliseconds per image.

        configuration: one width per layer. Raises UserError if the table lacks a variable of it.
        """
        types = layer_types(self.input_size, self._strides)
        if len(configuration) != len(types) - 1:
            raise UserError(
                f"configuration has {len(configuration)} widths, "
                f"the latency table has {len(types) - 1} layers"
            )
        channels = [IMAGE_CHANNELS, *configuration, self.classes]
        total = 0.0
        for layer, layer_type in enumerate(types):
            variable = layer_type.with_channels(channels[layer], channels[layer + 1])
            if variable not in self.entries:
                raise UserError(f"{self.source} has no latency for {_name(layer, variable, types)}")
            total += self.entries[variable]
        return total

    def values(self, space):
        """Return the latency of each of space.variables in ms, a float64 array.

        Raises UserError, naming a layer, if the table lacks variables of the space.
        """
        missing = [variable for variable in space.variables if variable not in self.entries]
        if missing:
            types = space.layer_types
            layer = next(
                layer
                for layer, block in enumerate(space.blocks)
                if any(space.variables[i] == missing[0] for i in block.flat)
            )
            raise UserError(
                f"{self.source} lacks {len(missing)} of the {len(space.variables)} variables of "
                f"the search space, the first is {_name(layer, missing[0], types)}; it was made "
                f"for input size {self.input_size} and {self.classes} classes"
            )
        return np.array([self.entries[variable] for variable in space.variables])

    def pairwise(self, space):
        """Return the table as pairwise latencies of the chain of layers, in ms.

        One array per neighbouring pair of layers, of shape (choices of layer l, choices of layer
        l + 1). The first layer's latency is part of the first array and the classifier's of the
        last, so that the sum over the pairs is the latency of the network.
        """
        values = self.values(space)
        first, *between, last = [values[block] for block in space.blocks]
        between[0] = between[0] + first.T
        between[-1] = between[-1] + last.T
        return between

    @property
    def input_size(self):
        """The side of the images that the table was made for, read from the first convolution."""
        return self._the(lambda v: not v.dw and not v.bias, "first convolution").in_size[0]

    @property
    def classes(self):
        """The number of classes that the table was made for, read from the classifier."""
        return self._the(lambda v: v.bias, "classifier").out_channels

    @property
    def _strides(self):
        return tuple(self.metadata.get("search_space", {}).get("strides", STRIDES))

    def _the(self, is_wanted, name):
        for variable in self.entries:
            if is_wanted(variable):
                return variable
        raise UserError(f"{self.source} holds no {name}")


def _name(layer, variable, types):
    place = "the classifier" if layer == len(types) - 1 else f"layer {layer + 1}"
    height, width = variable.in_size
    return (
        f"{place} ({variable.in_channels} to {variable.out_channels} channels "
        f"on a map of {height}×{width})"
    )
