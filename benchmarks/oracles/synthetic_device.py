"""A device that is only a formula, so that its true latencies are known, for tests and benchmarks.

Each layer has a roofline: its time is the greater of those for arithmetic and memory traffic, plus
the launch of a kernel; with a floor, no kernel is faster than that. Arithmetic is done in tiles of
channels, so that latency is a staircase in the widths. Neighbouring layers overlap a little, which
no sum over layers can express.
"""

import math
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class SyntheticDevice:
    """Times a network without running it; the defaults resemble a small GPU at batch 64, fp16."""

    space: object  # a SearchSpace
    tile: int = 32  # channels that the arithmetic units take at once
    macs_per_ms: float = 2e9
    bytes_per_ms: float = 1e8
    launch_ms: float = 5e-4
    overlap: float = 0.1  # share of the shorter of two neighbouring layers that is hidden
    noise: float = 0.01  # relative standard deviation of one timing
    bytes_per_value: int = 2
    floor_ms: float = 0.0  # of one kernel, besides its launch

    def layer_ms(self, variable):
        """Return the time of one layer alone in ms per image."""
        pixels = math.prod(variable.in_size)
        out_pixels = math.prod(-(-side // variable.stride) for side in variable.in_size)
        inputs, outputs = variable.in_channels, variable.out_channels
        total = 0.0
        if variable.dw:
            total += self._kernel_ms(
                self._tiled(inputs) * out_pixels * variable.kernel_size**2,
                inputs * (pixels + out_pixels + variable.kernel_size**2),
            )
            window, pixels = 1, out_pixels
        else:
            window = variable.kernel_size**2
        return total + self._kernel_ms(
            self._tiled(inputs) * self._tiled(outputs) * out_pixels * window,
            inputs * pixels + outputs * out_pixels + inputs * outputs * window,
        )

    def _kernel_ms(self, macs, values):
        arithmetic_ms = macs / self.macs_per_ms
        memory_ms = values * self.bytes_per_value / self.bytes_per_ms
        return max(arithmetic_ms, memory_ms, self.floor_ms) + self.launch_ms

    def _tiled(self, channels):
        return -(-channels // self.tile) * self.tile

    def true_ms(self, configurations):
        """Return the noise-free latencies of networks in ms per image, shape (networks,)."""
        alone_ms = np.array([self.layer_ms(variable) for variable in self.space.variables])
        states = np.array([self.space.states(configuration) for configuration in configurations])
        layers_ms = alone_ms[self.space.paths(states)]
        hidden_ms = np.minimum(layers_ms[:, :-1], layers_ms[:, 1:])
        return layers_ms.sum(axis=1) - self.overlap * hidden_ms.sum(axis=1)

    def measure(self, configurations, rng):
        """Return one noisy timing of each network in ms per image, shape (networks,)."""
        noise = 1 + self.noise * rng.standard_normal(len(configurations))
        return self.true_ms(configurations) * noise
