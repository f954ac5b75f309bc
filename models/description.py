"""A network as data: its free widths, and its operations in order of execution.

Everything else is derived from it: width choices, variables of the latency table, costs, the chain
to search, the modules of both frameworks, and the ONNX, LiteRT and TensorRT graphs.
"""

import hashlib
import re
from dataclasses import MISSING, dataclass, fields
from functools import cached_property

import numpy as np

from models.operations import IMAGES, Add, Classify, Convolve, MaxPool, steps_of, widths_of
from utils.errors import UserError
from utils.json_types import MOST_CHANNELS

NUMBER = r"(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][-+]?\d+)?"  # as in 0.5xMOBILENET


@dataclass(frozen=True)
class Description:
    """A network whose widths are free; a configuration is one width for each of them, in order.

    title:      its display name, such as "MobileNet-v1"
    operations: each reads the result of the one before, unless it says otherwise; the first reads
                the images, the last is Classify
    activation: "relu" or "relu6"
    Raises UserError, naming the operation, if the operations do not fit together.
    """

    title: str
    operations: tuple[Convolve | Add | MaxPool | Classify, ...]
    activation: str = "relu"

    def __post_init__(self):
        if not isinstance(self.title, str) or not self.family:
            raise UserError(f"title {self.title!r} is not text that begins with a name")
        object.__setattr__(self, "operations", tuple(self.operations))
        object.__setattr__(self, "steps", steps_of(self.operations))
        if self.activation not in {"relu", "relu6"}:
            raise UserError(f"activation {self.activation!r} is neither relu nor relu6")

    @cached_property
    def layers(self):
        """The Convolve operations, then Classify: the operations that have latency variables."""
        return tuple(each for each in self.operations if isinstance(each, Convolve | Classify))

    @cached_property
    def convolutions(self):
        """The steps that are convolutions."""
        return tuple(step for step in self.steps if step.kind == "convolve")

    @cached_property
    def widths(self):
        """The Widths, in the order in which layers first write them."""
        return widths_of(self.layers)

    @property
    def classes(self):
        """The number of logits."""
        return self.layers[-1].outputs

    @property
    def base_widths(self):
        """The configuration at multiplier 1."""
        return tuple(width.base for width in self.widths)

    def run(self, images, maker):
        """Run the steps on images and return the last one's result.

        maker: has one method per kind of step, which takes the step and the results that it reads,
               and returns its result
        """
        results = {IMAGES: images}
        for step in self.steps:
            read = [results[source] for source in step.sources]
            for name in step.last:
                del results[name]
            results[step.name] = getattr(maker, step.kind)(step, *read)
        return results[step.name]

    def map_sizes(self, input_size):
        """Return the side of each layer's output map; padded convolutions round up."""
        reductions = {step.layer: step.reduction * step.stride for step in self.convolutions}
        return [*(-(-input_size // reduction) for reduction in reductions.values()), 1]

    def check_normalised(self, images, input_size):
        """Raise UserError if BatchNorm has one value per channel: nothing would be trained.

        images: how many share the statistics of a training step
        """
        if images == 1 and 1 in self.map_sizes(input_size)[:-1]:
            raise UserError(
                f"BatchNorm over one image cannot be trained: at {input_size}×{input_size} pixels "
                f"{self.title} has maps of 1×1; give more images per batch, or a larger input size"
            )

    def channels(self, configuration):
        """Return the (input, output) channels of each layer."""
        number = self._numbers(configuration)
        return [(number(layer.inputs), number(layer.outputs)) for layer in self.layers]

    def kernel_shapes(self, configuration):
        """Return the shape of each convolution's weight, then of the classifier's."""
        number = self._numbers(configuration)
        shapes = [
            (number(s.outputs), 1 if s.depthwise else number(s.inputs), *[s.kernel_size] * 2)
            for s in self.convolutions
        ]
        return [*shapes, (self.classes, number(self.layers[-1].inputs))]

    def _numbers(self, configuration):
        """Return a function that maps a Width, or a number of channels, to a number of channels."""
        of = dict(zip(self.widths, configuration, strict=True))
        return lambda channels: of.get(channels, channels)

    def macs(self, configuration, input_size):
        """Return the multiply-accumulate operations for one image, counting layers only."""
        sizes = zip(
            self.layers, self.channels(configuration), self.map_sizes(input_size), strict=True
        )
        return sum(layer.weights(*channels) * side * side for layer, channels, side in sizes)

    def parameters(self, configuration):
        """Return the number of trainable parameters: weights, scales and shifts, biases."""
        pairs = zip(self.layers, self.channels(configuration), strict=True)
        return sum(layer.parameters(*channels) for layer, channels in pairs)

    def scaled(self, multiplier):
        """Return the base widths times a multiplier, rounded (by NumPy) to multiples of 8, >= 8.

        But never beyond a base width that is no such multiple, which is that of multiplier 1.
        """
        bases = np.asarray(self.base_widths)
        widths = 8 * np.maximum(1, np.round(bases * multiplier / 8))
        if multiplier <= 1:
            widths = np.minimum(widths, bases)
        if multiplier >= 1:
            widths = np.maximum(widths, bases)
        return tuple(int(width) for width in widths)

    @property
    def family(self):
        """The name that stands for the network in configurations, such as MOBILENET."""
        return self.title.partition("-")[0].upper()

    @property
    def sha256(self):
        """The digest of its operations, names included, in hexadecimal digits.

        Files state it. So fields at their defaults do not count: new ones leave it as it is.
        """
        found = hashlib.sha256(self.activation.encode())
        for each in self.operations:
            stated = {
                field.name: str(getattr(each, field.name))
                for field in fields(each)
                if field.default is MISSING or getattr(each, field.name) != field.default
            }
            found.update(f"{type(each).__name__} {sorted(stated.items())}\n".encode())
        bases = [(width.name, int(width.base)) for width in self.widths]
        found.update(str(bases).encode())
        if any(width.base % 8 for width in self.widths):
            found.update(b"themselves at multiplier 1")  # once rounded to multiples of 8, too
        return found.hexdigest()

    @property
    def reference(self):
        """The configuration of the reference network, which is timed beside all others, as text."""
        return f"0.75x{self.family}"

    def parse(self, text):
        """Return the configuration that a text names, as a tuple of positive ints.

        Accepted: "(16, 32, …)", "[16, 32, …]", "16,32,…", "MOBILENET", "0.5xMOBILENET".
        Raises UserError for anything else.
        """
        name = re.escape(self.family)
        scaled = re.fullmatch(rf"\s*(?:({NUMBER})\s*[x×*]\s*)?{name}\s*", text, re.I)
        if scaled:
            multiplier = float(scaled[1] or 1)
            if not multiplier > 0:
                raise UserError(f"configuration {text!r}: the multiplier must be greater than 0")
            if multiplier * max(self.base_widths) > MOST_CHANNELS:
                raise UserError(f"configuration {text!r}: a width is at most {MOST_CHANNELS}")
            return self.scaled(multiplier)
        body = text.strip()
        if (body[:1], body[-1:]) in {("(", ")"), ("[", "]")}:
            body = body[1:-1]
        numbers = [part.strip() for part in body.rstrip(", ").split(",")]
        if not all(re.fullmatch(r"\d+", number) for number in numbers):
            raise UserError(
                f"configuration {text!r} is not a list of widths such as "
                f'"(16, 32, …)", "16,32,…", "{self.family}" or "0.5x{self.family}"'
            )
        return self.check([int(number) for number in numbers])

    def check(self, configuration):
        """Return a configuration as a tuple of positive ints, or raise UserError."""
        if len(configuration) != len(self.widths):
            raise UserError(
                f"configuration has {len(configuration)} widths, {self.title} has "
                f"{len(self.widths)} layers"
            )
        for number, width in zip(configuration, self.widths, strict=True):
            if not 0 < number <= MOST_CHANNELS:
                raise UserError(
                    f"width {number} of {width.name} is not greater than 0, at most {MOST_CHANNELS}"
                )
        return tuple(configuration)

    def check_within(self, configuration, greatest):
        """Return a configuration as a tuple; UserError if a width is above the greatest."""
        configuration = self.check(configuration)
        for number, limit, width in zip(configuration, greatest, self.widths, strict=True):
            if number > limit:
                raise UserError(f"width {number} of {width.name} is above the net's, {limit}")
        return configuration
