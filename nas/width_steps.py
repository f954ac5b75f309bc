"""What one more step of width costs in each layer: cliffs, free steps, dominated widths."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

# With these, tables fitted to 500 noisy timings of synthetic devices name steps that are real, and
# none on a device without steps.
FREE = 0.3  # of the layer's usual step: a step that costs less is nearly free
CLIFF = 1.5  # of the layer's usual step: a step that costs more is a cliff
NOTABLE = 0.005  # of the mean network: smaller differences from the usual step are left out


@dataclass(frozen=True)
class Step:
    """From one width of a layer to the next one: what it adds to the latency of a network.

    All in ms per image: the mean over all widths of the neighbouring layers, the least and the
    greatest; usual_ms is what as many channels cost on the layer's average.
    """

    layer: int  # counted from 1
    narrow: int
    wide: int
    mean_ms: float
    least_ms: float
    greatest_ms: float
    usual_ms: float

    @property
    def kind(self):
        """One of "faster", "free", "cliff", "usual"."""
        if self.mean_ms < 0:
            return "faster"
        if self.mean_ms < FREE * self.usual_ms:
            return "free"
        return "cliff" if self.mean_ms > CLIFF * self.usual_ms else "usual"


@dataclass(frozen=True)
class DominatedWidth:
    """A width whose layer has a wider one that is not slower on average; "always": pointless."""

    layer: int  # counted from 1
    width: int
    wider: int
    saved_ms: float  # on average, by taking the wider one
    always: bool  # whatever the neighbouring layers' widths are


class WidthCosts:
    """The cost of each width of each layer, given a latency table and its search space."""

    def __init__(self, values_ms, space):
        """values_ms: the latency of each of space.variables in ms per image."""
        self.space = space
        # Per width {the layer's other width: costs (its choices, the other's)}, of all layers that
        # read or write it.
        self._uses_of = [{} for _ in space.choices]
        self.mean_ms = 0.0  # of a uniformly drawn network, which takes one entry of each block
        for layer, indices in zip(space.description.layers, space.blocks, strict=True):
            block, inputs, outputs = values_ms[indices], layer.inputs, layer.outputs
            ends = [(inputs, outputs, block), (outputs, inputs, block.T)]
            if inputs == outputs:
                block = np.diag(block)[:, None]
                ends = [(inputs, None, block)]
            self.mean_ms += float(block.mean())
            for width, other, costs in ends:
                if width in space.description.widths:
                    uses = self._uses_of[space.description.widths.index(width)]
                    # Layers between the same widths, as in a residual block, vary together.
                    uses[other] = uses.get(other, 0.0) + costs

    @cached_property
    def curves_ms(self):
        """Per layer the mean latency that a width adds to a network, over the narrowest one's."""
        return [curve - curve[0] for curve in map(self._cost, range(len(self.space.choices)))]

    def _cost(self, width):
        """Return the mean cost of each choice of a width: as an output, and as an input."""
        return sum(costs.mean(axis=1) for costs in self._uses_of[width].values())

    def _differences(self, width, narrow, wide):
        """Return (mean, least, greatest) of what `wide` costs more than `narrow`, by position."""
        differences = [costs[wide] - costs[narrow] for costs in self._uses_of[width].values()]
        return [float(sum(f(each) for each in differences)) for f in (np.mean, np.min, np.max)]

    def steps(self):
        """Return all Steps, layer by layer."""
        steps = []
        for layer, widths in enumerate(self.space.choices):
            span = max(1, widths[-1] - widths[0])
            slope = self.curves_ms[layer][-1] / span
            for narrow in range(len(widths) - 1):
                channels = widths[narrow + 1] - widths[narrow]
                differences_ms = self._differences(layer, narrow, narrow + 1)
                step = widths[narrow], widths[narrow + 1], *differences_ms
                steps.append(Step(layer + 1, *step, float(slope * channels)))
        return steps

    def notable_steps(self):
        """Return the Steps that are not usual, those that differ most from it first."""
        notable = [
            step
            for step in self.steps()
            if step.kind != "usual" and abs(step.mean_ms - step.usual_ms) > NOTABLE * self.mean_ms
        ]
        return sorted(notable, key=lambda step: -abs(step.mean_ms - step.usual_ms))

    def dominated(self):
        """Return the DominatedWidths, each with the cheapest of the wider widths."""
        found = []
        rounding = 1e-9 * self.mean_ms
        for layer, widths in enumerate(self.space.choices):
            for narrow in range(len(widths) - 1):
                wide = narrow + 1 + int(np.argmin(self.curves_ms[layer][narrow + 1 :]))
                mean_ms, _, greatest_ms = self._differences(layer, narrow, wide)
                if mean_ms <= rounding:
                    always = greatest_ms <= rounding
                    pair = widths[narrow], widths[wide]
                    found.append(DominatedWidth(layer + 1, *pair, max(0.0, -mean_ms), always))
        return found
