"""The search space: which widths each layer may have, the variables they make, and sampling."""

from dataclasses import asdict, dataclass
from functools import cached_property

import numpy as np

from models.network import Network
from models.operations import Width as NetworkWidth
from nas.chain import Chain
from nas.variables import layer_types
from networks import MOBILENET_V1, open_network, permitted
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
from utils.metadata import NETWORK_DIGEST


@dataclass(frozen=True)
class SearchSpace:
    """All configurations of a network whose widths are the base widths times some multipliers.

    network: a name that networks.open_network knows
    base_widths, strides: of a MobileNet-v1 other than the usual one; empty for the network's own
    Choices of a width: unique(8 * max(1, round(base * m / 8))) for m in
    linspace(min_width, max_width, levels), but never beyond a base that is no multiple of 8. The
    latency of a configuration is a sum of variables (layer type, in_channels, out_channels), one
    per layer and one for the classifier.
    """

    input_size: InputSize = 224
    classes: Classes = 1000
    min_width: WidthMultiplier = 0.2
    max_width: WidthMultiplier = 1.5
    levels: Levels = 14
    base_widths: tuple[Width, ...] = ()
    strides: tuple[Stride, ...] = ()
    network: str = MOBILENET_V1

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
        if self.levels == 1 and self.min_width < self.max_width:
            raise UserError(
                f"1 level of width is one multiplier, not {self.min_width} to {self.max_width}"
            )
        if len(self.description.widths) < 2:
            raise UserError(f"network {self.network} has fewer than two widths to choose")

    @cached_property
    def description(self):
        """The network's Description."""
        unusual = {"base_widths": self.base_widths, "strides": self.strides}
        unusual = {name: value for name, value in unusual.items() if value}
        if unusual and self.network != MOBILENET_V1:
            raise UserError(f"{', '.join(unusual)} belong to {MOBILENET_V1}, not to {self.network}")
        return open_network(self.network, self.classes, **unusual)

    def network_of(self, configuration):
        """Return the Network of a configuration, which devices time."""
        return Network(self.description, tuple(configuration), self.input_size)

    @cached_property
    def reference(self):
        """The Network that is timed beside all others."""
        return self.network_of(self.description.parse(self.description.reference))

    @cached_property
    def choices(self):
        """The widths that each layer may have: per layer an increasing tuple of ints."""
        scaled = self.uniform_multipliers()
        return tuple(tuple(sorted(set(widths))) for widths in zip(*scaled, strict=True))

    @cached_property
    def layer_types(self):
        """One LayerType per layer and, last, the classifier's."""
        return layer_types(self.description, self.input_size)

    @cached_property
    def sizes(self):
        """The number of choices of each layer, an int64 array."""
        return np.array([len(widths) for widths in self.choices])

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
        """Per layer and for the classifier, the positions of its variables in `variables`.

        blocks[l] is an int64 array of shape (choices of its inputs, choices of its outputs); the
        first has one row (the image), the last one column (the classes).
        """
        return self._variables_and_blocks[1]

    @cached_property
    def _variables_and_blocks(self):
        index = {}
        blocks = []
        for layer, layer_type in zip(self.description.layers, self.layer_types, strict=True):
            inputs, outputs = (self._choices_of(c) for c in (layer.inputs, layer.outputs))
            block = np.empty((len(inputs), len(outputs)), dtype=np.int64)
            for row, in_channels in enumerate(inputs):
                for column, out_channels in enumerate(outputs):
                    variable = layer_type.with_channels(in_channels, out_channels)
                    block[row, column] = index.setdefault(variable, len(index))
            blocks.append(block)
        return tuple(index), tuple(blocks)

    @cached_property
    def occurring(self):
        """Which variables networks hold, bools: a layer between equal widths never has two."""
        occurring = np.zeros(len(self.variables), dtype=bool)
        for layer, block in zip(self.description.layers, self.blocks, strict=True):
            occurring[np.diag(block) if layer.inputs == layer.outputs else block] = True
        return occurring

    @cached_property
    def chain(self):
        """The Chain that is searched."""
        return Chain.of(self.description, self.sizes)

    def configuration_at(self, node_states):
        """Return the widths at the given states of the chain's nodes, a tuple of ints."""
        return self.configuration(self.chain.choices(node_states))

    def pairwise(self, cost):
        """Return a cost of layers as costs of neighbouring states of the chain.

        cost: (layer, side of its output map, numbers of input channels (n, 1), of output channels
            (1, m)) -> (n, m)
        """
        sides = self.description.map_sizes(self.input_size)
        return self.chain.pairwise(
            [
                cost(layer, side, *np.ix_(*map(self._choices_of, (layer.inputs, layer.outputs))))
                for layer, side in zip(self.description.layers, sides, strict=True)
            ]
        )

    def _choices_of(self, channels):
        """Return the numbers of channels that a Width, or a constant, may be."""
        if not isinstance(channels, NetworkWidth):
            return (channels,)
        return self.choices[self.description.widths.index(channels)]

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
        """Return the variable indices, (n, layers and the classifier), of states, (n, widths)."""
        column = dict(zip(self.description.widths, states.T, strict=True))
        constant = np.zeros(len(states), dtype=np.int64)
        paths = [
            block[column.get(layer.inputs, constant), column.get(layer.outputs, constant)]
            for layer, block in zip(self.description.layers, self.blocks, strict=True)
        ]
        return np.stack(paths, axis=1)

    def uniform_multipliers(self):
        """Return the configurations of one multiplier for all layers, by increasing width."""
        multipliers = np.linspace(self.min_width, self.max_width, self.levels)
        multipliers[np.isclose(multipliers, 1, rtol=0, atol=1e-9)] = 1  # some spacings just miss it
        scaled = [self.description.scaled(multiplier) for multiplier in multipliers]
        return list(dict.fromkeys(scaled))

    def draw_uniform(self, rng):
        """Return one configuration, every width of a layer equally likely."""
        return self.configuration(rng.integers(self.sizes))

    def as_dict(self):
        """Return the fields that a file's metadata states; the network if it is unusual.

        A FILE.py's network is stated with its digest: the file may change.
        """
        fields = asdict(self)
        usual = {"base_widths": (), "strides": (), "network": MOBILENET_V1}
        fields = {name: value for name, value in fields.items() if usual.get(name) != value}
        if self.network.endswith(".py"):
            fields[NETWORK_DIGEST] = self.description.sha256
        return {n: list(v) if isinstance(v, tuple) else v for n, v in fields.items()}

    @classmethod
    def from_dict(cls, fields, place="search space"):
        """Return the space that as_dict described.

        Raises UserError, beginning with `place`, for unknown fields, wrong types and values, and
        for a network that the user must name before it may be run, or that has changed since.
        """
        fields = dict(checked(fields, dict, place))
        sha256 = fields.pop(NETWORK_DIGEST, None)  # files from before it was stated lack it
        unknown = set(fields) - set(cls.__dataclass_fields__)
        if unknown:
            raise UserError(f"{place} has the unknown field {sorted(unknown)[0]!r}")
        name = checked(fields.get("network", cls.network), str, place)
        space = checked({**fields, "network": permitted(name, place)}, cls, place)
        if sha256 is not None and sha256 != space.description.sha256:
            raise UserError(
                f"{place}: {space.network} no longer describes the network that this was made for"
            )
        return space

    @classmethod
    def of(cls, metadata, path):
        """Return the space that a file's Metadata state; the usual one if they state none."""
        return cls.from_dict(metadata.search_space, f"{metadata_path(path)}: bad search_space")
