"""A stand-in for a CUDA stream, with the memory of the CPU."""

import torch


class StandInStream:
    """Memory of the CPU; launched work runs at once and takes 1, 2, 3, … seconds."""

    handle = 1234

    def __init__(self):
        self.launched, self.captured, self.memory = 0, 0, []

    def random(self, shape, dtype):
        self.memory.append(torch.randn(shape).to({"fp16": torch.half, "fp32": torch.float}[dtype]))
        return self.memory[-1]

    def time_s(self, launch):
        launch()
        self.launched += 1
        return float(self.launched)

    def capture(self, launch):
        self.captured += 1
        return launch
