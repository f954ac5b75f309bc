"""A CUDA stream through PyTorch: memory, times between events, CUDA graphs."""

from functools import partial

import torch

DTYPES = {"fp16": torch.float16, "fp32": torch.float32}


class TorchStream:
    """A stream that is not the default one; `launch` is a function that enqueues work on it."""

    def __init__(self):
        self._stream = torch.cuda.Stream()
        self._start = torch.cuda.Event(enable_timing=True)
        self._end = torch.cuda.Event(enable_timing=True)

    @property
    def handle(self):
        """The stream's CUDA handle, an int."""
        return self._stream.cuda_stream

    def random(self, shape, dtype):
        """Return a tensor of normal random numbers on the device; dtype is fp16 or fp32."""
        tensor = torch.randn(shape).to("cuda", DTYPES[dtype])
        torch.cuda.synchronize()
        return tensor

    def time_s(self, launch):
        """Return the seconds between an event before the launched work and one after it."""
        with torch.inference_mode(), torch.cuda.stream(self._stream):
            self._start.record()
            launch()
            self._end.record()
        self._end.synchronize()
        return self._start.elapsed_time(self._end) / 1e3

    def capture(self, launch):
        """Return a function that replays the launched work as a CUDA graph."""
        with torch.inference_mode(), torch.cuda.stream(self._stream):
            for _ in range(3):  # set-up and choices in the first runs must not be captured
                launch()
        torch.cuda.synchronize()
        graph = torch.cuda.CUDAGraph()
        with torch.inference_mode(), torch.cuda.graph(graph, stream=self._stream):
            launch()
        return partial(_replay, graph, launch)


def _replay(graph, launch):
    """Replay a graph; holding `launch` keeps the weights that the graph reads alive."""
    graph.replay()


def device_description(runtime):
    """Return the CUDA device's name and PyTorch's versions, for a runtime's metadata."""
    return {
        "device_name": torch.cuda.get_device_name(),
        "runtime": runtime,
        "versions": {"torch": torch.__version__, "cuda": torch.version.cuda},
    }
