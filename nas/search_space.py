"""The search space: which widths each layer may have, the variables they make, and sampling."""

from dataclasses import asdict, dataclass
from functools import cached_property

import numpy as np

from models.mobilenet_v1 import BASE_WIDTHS, IMAGE_CHANNELS, STRIDES, layer_types, scaled_widths
from utils.errors import UserError
from utils.json_lines import metadata_path
from utils.json_types import (
    Classes,
    InputSize,
    Levels,
    Stride,
    Width,
    WidthMultiplier,
    checked,
)


@dataclass(frozen=True)
class SearchSpace:
    """All configurations of a MobileNet-v1 whose widths are multiples of the base widths.

    Choices of a layer: unique(8 * max(1, round(base * m / 8))) for m in
    linspace(min_width, max_width, levels). The latency of a configuration is a sum of variables
    (layer type, in_channels, out_channels), one per layer and one for the classifier.
    """

    input_size: InputSize = 224
    classes: Classes = 1000
    min_width: WidthMultiplier = 0.2
    max_width: WidthMultiplier = 1.5
    levels: Levels = 14
    base_widths: tuple[Width, ...] = BASE_WIDTHS
    strides: tuple[Stride, ...] = STRIDES

    def __post_init__(self):
        if self.input_size < 1:
            raise UserError(f"input size {self.input_size} must be at least 1")
        if self.classes < 2:
            raise UserError(f"{self.classes} classes: a classifier needs at least 2")
        if not 0 < self.min_width <= self.max_width:
            raise UserError(
                f"width multipliers must satisfy 0 < minimum <= maximum, "
                f"got {self.min_width} and {self.max_width}"
            )
        if self.levels < 1:
            raise UserError(f"{self.levels} levels of width: at least 1 is needed")
        if len(self.base_widths) != len(self.strides) or len(self.strides) < 2:
            raise ValueError("base_widths and strides must have the same length, at least 2")

    @cached_property
    def choices(self):
        """The widths that each layer may have: per layer an increasing tuple of ints."""
        multipliers = np.linspace(self.min_width, self.max_width, self.levels)
        scaled = [scaled_widths(multiplier, self.base_widths) for multiplier in multipliers]
        return tuple(tuple(sorted(set(widths))) for widths in zip(*scaled, strict=True))

    @cached_property
    def layer_types(self):
        """One LayerType per layer and, last, the classifier's."""
        return layer_types(self.input_size, self.strides)

    @cached_property
    def sizes(self):
        """The number of choices of each layer, an int64 array."""
        return np.array([len(widths) for widths in self.choices])

    @cached_property
    def size(self):
        """The number of configurations, an exact int."""
        return int(np.prod(self.sizes.astype(object)))

    @property
    def largest(self):
        """The configuration of greatest widths."""
        return tuple(widths[-1] for widths in self.choices)

    @property
    def smallest(self):
        """The configuration of least widths."""
        return tuple(widths[0] for widths in self.choices)

    @cached_property
    def variables(self):
        """The distinct variables, in order of first appearance along the network."""
        return self._variables_and_blocks[0]

    @cached_property
    def blocks(self):
        """Per layer and for the classifier, where its variables stand in `variables`.

        blocks[l] is an int64 array of shape (choices of layer l-1, choices of layer l); the
        first has one row (the image), the last one column (the classes).
        """
        return self._variables_and_blocks[1]

    @cached_property
    def _variables_and_blocks(self):
        channels = [(IMAGE_CHANNELS,), *self.choices, (self.classes,)]
        index = {}
        blocks = []
        for layer, layer_type in enumerate(self.layer_types):
            inputs, outputs = channels[layer], channels[layer + 1]
            block = np.empty((len(inputs), len(outputs)), dtype=np.int64)
            for row, in_channels in enumerate(inputs):
                for column, out_channels in enumerate(outputs):
                    variable = layer_type.with_channels(in_channels, out_channels)
                    block[row, column] = index.setdefault(variable, len(index))
            blocks.append(block)
        return tuple(index), tuple(blocks)

    def states(self, configuration):
        """Return the position of each width among its layer's choices, an int64 array.

        Raises UserError that names the layer if the length or a width does not fit.
        """
        if len(configuration) != len(self.choices):
            raise UserError(
                f"configuration has {len(configuration)} widths, "
                f"the search space has {len(self.choices)} layers"
            )
        states = np.empty(len(self.choices), dtype=np.int64)
        for layer, (width, widths) in enumerate(zip(configuration, self.choices, strict=True)):
            try:
                states[layer] = widths.index(width)
            except ValueError:
                raise UserError(
                    f"width {width} is not in layer {layer + 1}: "
                    f"choose from {', '.join(map(str, widths))}"
                ) from None
        return states

    def configuration(self, states):
        """Return the widths at the given positions, a tuple of ints."""
        return tuple(widths[state] for widths, state in zip(self.choices, states, strict=True))

    def widths(self, states):
        """Return the widths of many images' states, int64 arrays of shape (images, layers)."""
        return np.stack(
            [
                np.array(widths)[column]
                for widths, column in zip(self.choices, states.T, strict=True)
            ],
            axis=1,
        )

    def path(self, configuration):
        """Return the variables that a configuration uses, as int64 indices, one per block."""
        return self.paths(self.states(configuration)[None])[0]

    def paths(self, states):
        """Return the variable indices, shape (n, layers + 1), of states of shape (n, layers)."""
        ends = np.zeros((len(states), 1), dtype=np.int64)
        nodes = np.hstack([ends, states, ends])
        columns = [block[nodes[:, i], nodes[:, i + 1]] for i, block in enumerate(self.blocks)]
        return np.stack(columns, axis=1)

    def uniform_multipliers(self):
        """Return the configurations of one multiplier for all layers, by increasing width."""
        multipliers = np.linspace(self.min_width, self.max_width, self.levels)
        scaled = [scaled_widths(multiplier, self.base_widths) for multiplier in multipliers]
        return list(dict.fromkeys(scaled))

    def draw_uniform(self, rng):
        """Return one configuration, every width of a layer equally likely."""
        return self.configuration(rng.integers(self.sizes))

    def as_dict(self):
        """Return the fields that a file's metadata states (base widths and strides if unusual)."""
        fields = asdict(self)
        for name, usual in (("base_widths", BASE_WIDTHS), ("strides", STRIDES)):
            if fields[name] == usual:
                del fields[name]
            else:
                fields[name] = list(fields[name])
        return fields

    @classmethod
    def from_dict(cls, fields, place="search space"):
        """Return the space that as_dict described.

        Raises UserError, beginning with `place`, for unknown fields, other types and ranges.
        """
        unknown = set(checked(fields, dict, place)) - set(cls.__dataclass_fields__)
        if unknown:
            raise UserError(f"{place} has the unknown field {sorted(unknown)[0]!r}")
        return checked(fields, cls, place)

    @classmethod
    def of(cls, metadata, path):
        """Return the space that a file's metadata states; the usual one if it states none."""
        return cls.from_dict(
            metadata.get("search_space", {}), f"{metadata_path(path)}: bad search_space"
        )
