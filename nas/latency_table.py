"""The latency table: milliseconds per image of every variable of a search space."""

import hashlib
import reprlib
from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from msgspec import Meta, Struct

from models.mobilenet_v1 import IMAGE_CHANNELS, STRIDES, Variable, layer_types
from nas.search_space import SearchSpace
from utils.errors import UserError
from utils.json_lines import (
    metadata_path,
    parse_lines,
    read_metadata,
    write_lines,
    write_metadata,
)
from utils.json_types import MOST_MS, checked

DIGEST = "table_sha256"  # in the metadata: of which table's content they are
NOISE = 0.01  # of the mean entry: what a solver may leave below 0; a network has 15 entries

Whole = Annotated[float, Meta(ge=1, le=1e9, multiple_of=1)]  # other programs write 8.0
Flag = bool | Literal[0, 1]


class Fields(Struct, frozen=True, forbid_unknown_fields=True):
    """The first element of a line: the fields of a Variable, as programs write them."""

    in_size: tuple[Whole, Whole]
    kernel_size: Whole
    stride: Whole
    dw: Flag
    bias: Flag
    in_channels: Whole
    out_channels: Whole

    def variable(self):
        """Return the Variable."""
        return Variable(
            tuple(map(int, self.in_size)),
            int(self.kernel_size),
            int(self.stride),
            bool(self.dw),
            bool(self.bias),
            int(self.in_channels),
            int(self.out_channels),
        )


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

        A file without metadata is accepted with a warning. What a solver left slightly below 0 is
        taken as 0. Raises UserError that names the line; and if the table is not the one that its
        metadata describe.
        """
        content = Path(path).read_bytes()
        entries, lines = {}, {}
        for number, line in parse_lines(content.splitlines(), path):
            place = f"{path}, line {number}"
            variable, latency_ms = _entry(line, place)
            if variable in entries:
                raise UserError(f"{place}: this variable stands twice")
            entries[variable], lines[variable] = latency_ms, number
        metadata = read_metadata(path)
        SearchSpace.of(metadata, path)  # raises if it is none
        digest = metadata.pop(DIGEST, None)
        entries = _without_noise(entries, lines, path)
        if digest not in {None, _digest(content)}:
            raise UserError(
                f"{path} is not the table that {metadata_path(path)} describes: fit it anew (or, "
                f"if you changed it by hand, remove {DIGEST} from the metadata)"
            )
        return cls(entries, metadata, path)

    def save(self, path):
        """Write the table, one line per variable, and its metadata, each whole or not at all.

        The metadata hold a digest of the table, so that a kill between the two is noticed.
        """
        content = write_lines(
            path,
            [
                [{**asdict(variable), "in_size": list(variable.in_size)}, latency_ms]
                for variable, latency_ms in self.entries.items()
            ],
        )
        write_metadata(path, {**self.metadata, DIGEST: _digest(content)})

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
            raise UserError(self._why_missing(missing, space))
        return np.array([self.entries[variable] for variable in space.variables])

    def _why_missing(self, missing, space):
        layer = next(
            layer
            for layer, block in enumerate(space.blocks)
            if any(space.variables[i] == missing[0] for i in block.flat)
        )
        advice = self._advice_on_widths(space)
        if (space.input_size, space.classes) != (self.input_size, self.classes):
            advice = (
                f", not for {space.input_size} and {space.classes}: measure with --input-size "
                f"{space.input_size} --classes {space.classes}, or leave the option out"
            )
        return (
            f"{self.source} lacks {len(missing)} of the {len(space.variables)} variables of the "
            f"search space, the first is {_name(layer, missing[0], space.layer_types)}; it was "
            f"made for input size {self.input_size} and {self.classes} classes{advice}"
        )

    def _advice_on_widths(self, space):
        own = SearchSpace.of(self.metadata, self.source)
        multipliers = np.linspace(own.min_width, own.max_width, own.levels)
        ends = [np.isclose(multipliers, end) for end in (space.min_width, space.max_width)]
        if all(map(np.any, ends)):
            levels = int(np.argmax(ends[1]) - np.argmax(ends[0])) + 1
            if all(
                variable in self.entries for variable in replace(space, levels=levels).variables
            ):
                return f": for these --min-width and --max-width give --levels {levels}"
        return (
            f": its width multipliers are {own.levels} from {own.min_width:g} to "
            f"{own.max_width:g} (--min-width, --max-width, --levels)"
        )

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


def _digest(content):
    return hashlib.sha256(content).hexdigest()


def _entry(line, place):
    """Return (Variable, latency in ms) of a line of a table."""
    if not isinstance(line, list) or len(line) != 2 or not isinstance(line[0], dict):
        raise UserError(f"{place}: expected [layer type with channels, latency_ms]")
    fields, latency_ms = line
    variable = checked(fields, Fields, f"{place}: expected a layer type with channels").variable()
    if isinstance(latency_ms, bool) or not isinstance(latency_ms, int | float):
        raise UserError(f"{place}: the latency is not a number")
    if not -MOST_MS <= latency_ms <= MOST_MS:
        raise UserError(f"{place}: the latency is {reprlib.repr(latency_ms)}")
    return variable, float(latency_ms)


def _without_noise(entries, lines, path):
    """Return the entries, 0 instead of what lies less than NOISE of their mean below 0."""
    mean_ms = sum(entries.values()) / len(entries)
    if mean_ms <= 0:
        raise UserError(f"{path}: the latencies are {mean_ms:g} ms on average: this is no table")
    variable = min(entries, key=entries.get)
    if entries[variable] < -NOISE * mean_ms:
        raise UserError(
            f"{path}, line {lines[variable]}: the latency is {entries[variable]:g} ms, more than "
            f"{NOISE:.0%} of the mean entry, {mean_ms:g} ms, below 0"
        )
    return {variable: max(0.0, latency_ms) for variable, latency_ms in entries.items()}


def _name(layer, variable, types):
    place = "the classifier" if layer == len(types) - 1 else f"layer {layer + 1}"
    height, width = variable.in_size
    return (
        f"{place} ({variable.in_channels} to {variable.out_channels} channels "
        f"on a map of {height}×{width})"
    )
