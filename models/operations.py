"""The operations that describe a network, and the steps that compute it."""

from dataclasses import dataclass, replace
from numbers import Integral

from utils.devices.workload import IMAGE_CHANNELS
from utils.errors import UserError
from utils.json_types import MOST_CHANNELS

IMAGES = "images"  # the name of what the first operation reads
COUNT = "an integer of at least 1"


def is_count(number):
    """Return whether a number is COUNT."""
    return isinstance(number, Integral) and not isinstance(number, bool) and number >= 1


def check_name(named):
    """Raise UserError unless a Width or an operation has text as its name."""
    if not isinstance(named.name, str) or not named.name:
        kind = type(named).__name__
        raise UserError(f"a {kind} has {named.name!r} as its name: text is needed")


@dataclass(frozen=True)
class Width:
    """A free number of channels; layers whose channels must agree share one.

    base: the number at multiplier 1
    """

    name: str
    base: int

    def __post_init__(self):
        check_name(self)
        if not is_count(self.base) or self.base > MOST_CHANNELS:
            raise UserError(
                f"{self} is {self.base!r} at multiplier 1: {COUNT}, at most {MOST_CHANNELS}, is "
                "needed"
            )

    def __str__(self):
        return f"the width of {self.name}"


@dataclass(frozen=True)
class Step:
    """One computation in a framework; its activation is the network's.

    kind:     "convolve", "add", "pool" or "classify"
    sources:  names of the steps whose results it reads
    inputs, outputs: Widths or numbers of channels
    active:   whether an activation follows
    reduction: the product of the strides before it
    layer:    the number of its layer; None if its cost counts towards the layer before
    index:    its number among the convolutions
    mask:     the position, among the network's widths, of the one that its result is masked to,
              because a step that mixes channels reads it; None where no mask is needed
    last:     names of the results that no later step reads
    """

    kind: str
    name: str
    sources: tuple[str, ...]
    inputs: Width | int = 0
    outputs: Width | int = 0
    kernel_size: int = 1
    stride: int = 1
    depthwise: bool = False
    active: bool = False
    reduction: int = 1
    layer: int | None = None
    index: int | None = None
    mask: int | None = None
    last: tuple[str, ...] = ()

    @property
    def mixes(self):
        """Whether each channel of its result depends on all channels that it reads."""
        return self.kind == "classify" or (self.kind == "convolve" and not self.depthwise)


@dataclass(frozen=True)
class Convolve:
    """A layer: a convolution, or with dw a depthwise convolution followed by a pointwise one.

    Each has BatchNorm and an activation; with linear the last one has no activation.
    of: the operation whose result it reads; None: the one before
    """

    name: str
    inputs: Width | int
    outputs: Width | int
    kernel_size: int = 3
    stride: int = 1
    dw: bool = False
    linear: bool = False
    of: str | None = None
    bias = False

    def steps(self, before):
        """Return the steps, given the name of the one before."""
        step = Step("convolve", self.name, (self.of or before,), self.inputs, self.outputs)
        shape = {"kernel_size": self.kernel_size, "stride": self.stride}
        if not self.dw:
            return [replace(step, **shape, active=not self.linear)]
        name = f"{self.name}, depthwise"
        first = replace(step, **shape, name=name, outputs=self.inputs, depthwise=True, active=True)
        return [first, replace(step, sources=(name,), active=not self.linear)]

    def weights(self, inputs, outputs):
        """Return the number of weights of its convolutions; channels may be numbers or arrays."""
        window = self.kernel_size**2
        return (window + outputs) * inputs if self.dw else window * inputs * outputs

    def parameters(self, inputs, outputs):
        """Return the number of trainable parameters, with BatchNorm's scales and shifts."""
        return self.weights(inputs, outputs) + 2 * outputs + (2 * inputs if self.dw else 0)


@dataclass(frozen=True)
class Add:
    """The sum of the results of the operation `to` and of the one before, then an activation.

    This is how a residual block adds its input. Both must have the same Width.
    """

    name: str
    to: str
    linear: bool = False

    def steps(self, before):
        """Return the step, given the name of the one before."""
        return [Step("add", self.name, (before, self.to), active=not self.linear)]


@dataclass(frozen=True)
class MaxPool:
    """The maximum of each window; its cost counts towards the layer before."""

    name: str
    kernel_size: int = 3
    stride: int = 2

    def steps(self, before):
        """Return the step, given the name of the one before."""
        shape = {"kernel_size": self.kernel_size, "stride": self.stride}
        return [Step("pool", self.name, (before,), **shape)]


@dataclass(frozen=True)
class Classify:
    """The last layer: the mean of each map, then a linear layer."""

    inputs: Width | int
    outputs: int
    name: str = "the classifier"
    kernel_size = stride = 1
    dw, bias = False, True

    def steps(self, before):
        """Return the step, given the name of the one before."""
        return [Step("classify", self.name, (before,), self.inputs, self.outputs)]

    def weights(self, inputs, outputs):
        """Return the number of weights; channels may be numbers or arrays."""
        return inputs * outputs

    def parameters(self, inputs, outputs):
        """Return the number of trainable parameters."""
        return (inputs + 1) * outputs


OPERATIONS = (Convolve, Add, MaxPool, Classify)


def steps_of(operations):
    """Return the Steps of operations; raises UserError, naming one, if they do not fit together."""
    steps, maps = [], {IMAGES: (IMAGE_CHANNELS, 1)}  # channels, and the reduction of their sides
    layers = convolutions = 0
    for operation in operations:
        if not isinstance(operation, OPERATIONS):
            names = ", ".join(kind.__name__ for kind in OPERATIONS)
            raise UserError(f"{operation!r} is not an operation of a network: {names} are")
        check_name(operation)
    _check_widths(operations)
    for operation in operations:
        is_layer = isinstance(operation, Convolve | Classify)
        for part in operation.steps(steps[-1].name if steps else IMAGES):
            channels, reduction = _read(part, maps)
            convolves = part.kind == "convolve"
            step = replace(
                part,
                inputs=channels,
                outputs=part.outputs if is_layer else channels,
                reduction=reduction,
                layer=layers if is_layer else None,
                index=convolutions if convolves else None,
            )
            steps.append(step)
            maps[step.name] = step.outputs, reduction * step.stride
            convolutions += convolves
        layers += is_layer
    kinds = [type(operation) for operation in operations]
    if Classify not in kinds or kinds.index(Classify) != len(kinds) - 1:
        raise UserError("the last operation of a network, and no other, is Classify")
    read = {source for step in steps for source in step.sources}
    for step in steps[:-1]:
        if step.name not in read:
            raise UserError(f"no operation reads the result of {step.name}")
    widths = widths_of(steps)
    return tuple(_with_readers(step, steps[i + 1 :], widths) for i, step in enumerate(steps))


def _check_widths(operations):
    """Raise UserError if two Widths have one name: messages could not tell them apart."""
    layers = [each for each in operations if isinstance(each, Convolve | Classify)]
    found = {}
    for width in (channels for each in layers for channels in (each.inputs, each.outputs)):
        if isinstance(width, Width) and found.setdefault(width.name, width) != width:
            bases = f"{found[width.name].base} and {width.base}"
            raise UserError(f"{width} is {bases} at multiplier 1")


def widths_of(layers):
    """Return the Widths that layers or steps write, in the order of their first use."""
    return tuple(dict.fromkeys(e.outputs for e in layers if isinstance(e.outputs, Width)))


def _read(step, maps):
    """Return (channels, reduction) of what a step reads; raises UserError if it does not fit."""
    for source in step.sources:
        if source not in maps:
            raise UserError(f"{step.name} reads {source!r}, and no operation before has this name")
    if step.name in maps:
        raise UserError(f"two operations have the name {step.name!r}")
    if len(set(step.sources)) < len(step.sources):
        raise UserError(f"{step.name} adds the result of {step.sources[0]} to itself")
    (channels, reduction), *others = (maps[source] for source in step.sources)
    for other, other_reduction in others:
        if other != channels or isinstance(other, Width) is not isinstance(channels, Width):
            raise UserError(f"{step.name} adds {other} and {channels}: both must be one Width")
        if other_reduction != reduction:
            strides = f"strides are {other_reduction} and {reduction}"
            raise UserError(f"{step.name} adds maps of different sizes: their {strides}")
    if step.kind in {"convolve", "classify"}:
        _check_layer(step, channels)
    for name, number in (("kernel", step.kernel_size), ("stride", step.stride)):
        if not is_count(number):
            raise UserError(f"{step.name} has a {name} of {number!r}: {COUNT} is needed")
    if step.kernel_size % 2 == 0:
        raise UserError(f"{step.name} has a kernel of {step.kernel_size}: an odd number is needed")
    return channels, reduction


def _check_layer(step, channels):
    """Raise UserError unless a layer's step reads these channels and writes some."""
    if not isinstance(step.inputs, Width | int) or not step.inputs:
        raise UserError(f"{step.name} has no inputs")
    if step.inputs != channels:
        raise UserError(f"{step.name} reads {step.inputs}, where {channels} comes in")
    if not isinstance(step.outputs, Width) and not is_count(step.outputs):
        raise UserError(f"{step.name} has outputs {step.outputs!r}: a Width or {COUNT} is needed")


def _with_readers(step, later, widths):
    """Return a step with its mask, and with the results that no later step reads."""
    mixed = any(other.mixes and step.name in other.sources for other in later)
    mask = widths.index(step.outputs) if mixed and step.outputs in widths else None
    still = {source for other in later for source in other.sources}
    return replace(step, mask=mask, last=tuple(s for s in step.sources if s not in still))
