"""The latency table: milliseconds per image of every variable of a search space."""

import hashlib
import reprlib
from dataclasses import asdict, replace
from functools import cached_property
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from msgspec import Meta, Struct

from nas.search_space import SearchSpace
from nas.variables import Variable
from utils.devices.workload import IMAGE_CHANNELS
from utils.errors import UserError
from utils.json_lines import (
    metadata_path,
    parse_lines,
    read_metadata,
    write_lines,
    write_metadata,
)
from utils.json_types import MOST_MS, checked
from utils.metadata import Metadata

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
    are not identifiable from whole-network timings; totals are. Its Metadata say what was measured.
    """

    def __init__(self, entries, metadata=None, source="latency table"):
        self.entries = dict(entries)
        self.metadata = metadata or Metadata()
        self.source = str(source)

    @classmethod
    def load(cls, path):
        """Read a file of lines [variable, latency_ms] and its metadata.

        A file without metadata is accepted with a warning. Entries that a solver left slightly
        below 0 become 0. Raises UserError for an invalid line, which it names, and if the metadata
        describe another table.
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
        SearchSpace.of(metadata, path)  # raises if they describe none
        entries = _without_noise(entries, lines, path)
        if metadata.table_sha256 and metadata.table_sha256 != _digest(content):
            raise UserError(
                f"{path} is not the table that {metadata_path(path)} describes: fit it anew (or, "
                "if you changed it by hand, remove table_sha256 from the metadata)"
            )
        return cls(entries, metadata.without("table_sha256"), path)

    def with_metadata(self, metadata):
        """Return the table with other metadata."""
        return LatencyTable(self.entries, metadata, self.source)

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
        write_metadata(path, self.metadata.stating(table_sha256=_digest(content)))

    def predict(self, configuration):
        """Return the predicted latency of a configuration in milliseconds per image.

        configuration: one width per layer. Raises UserError if the table lacks a variable.
        """
        network = self.space.description
        if len(configuration) != len(network.widths):
            raise UserError(
                f"configuration has {len(configuration)} widths, "
                f"the latency table has {len(network.widths)} layers"
            )
        total = 0.0
        layers = zip(
            network.layers, self.space.layer_types, network.channels(configuration), strict=True
        )
        for layer, layer_type, channels in layers:
            variable = layer_type.with_channels(*channels)
            if variable not in self.entries:
                raise UserError(f"{self.source} has no latency for {_name(layer, variable)}")
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
        if self.network != space.network:
            return f"{self.source} was made for network {self.network}, not for {space.network}"
        layer = next(
            layer
            for layer, block in zip(space.description.layers, space.blocks, strict=True)
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
            f"search space, the first is {_name(layer, missing[0])}; it was "
            f"made for input size {self.input_size} and {self.classes} classes{advice}"
        )

    def _advice_on_widths(self, space):
        own = self.space
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
        """Return the table as latencies of neighbouring states of a space's chain, in ms.

        See nas.chain.Chain.pairwise: their sum over the pairs is the latency of the network.
        """
        values = self.values(space)
        return space.chain.pairwise([values[block] for block in space.blocks])

    @cached_property
    def space(self):
        """The SearchSpace that the metadata state.

        An input size and a number of classes that they do not state are read from the entries.
        """
        fields = dict(self.metadata.search_space)
        if "input_size" not in fields:
            fields["input_size"] = self._the(_is_first, "first convolution").in_size[0]
        if "classes" not in fields:
            fields["classes"] = self._the(lambda v: v.bias, "classifier").out_channels
        return SearchSpace.from_dict(fields, f"{metadata_path(self.source)}: bad search_space")

    @property
    def input_size(self):
        """The side of the images that the table was made for."""
        return self.space.input_size

    @property
    def network(self):
        """The name of the network that the table was made for."""
        return self.space.network

    @property
    def classes(self):
        """The number of classes that the table was made for."""
        return self.space.classes

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
    """Return the entries; those less than NOISE of their mean below 0 become 0."""
    mean_ms = sum(entries.values()) / len(entries)
    if mean_ms <= 0:
        raise UserError(f"{path}: the latencies are {mean_ms:g} ms on average: this is not a table")
    variable = min(entries, key=entries.get)
    if entries[variable] < -NOISE * mean_ms:
        raise UserError(
            f"{path}, line {lines[variable]}: the latency is {entries[variable]:g} ms, more than "
            f"{NOISE:.0%} of the mean entry, {mean_ms:g} ms, below 0"
        )
    return {variable: max(0.0, latency_ms) for variable, latency_ms in entries.items()}


def _is_first(variable):
    """Return whether a variable is of a network's first convolution."""
    return variable.in_channels == IMAGE_CHANNELS and not variable.dw and not variable.bias


def _name(layer, variable):
    height, width = variable.in_size
    return (
        f"{layer.name} ({variable.in_channels} to {variable.out_channels} channels "
        f"on a map of {height}×{width})"
    )
