"""What benchmarks.gpu measures and trains: on a GPU, and in miniature on any CPU."""

from dataclasses import dataclass

from utils.devices.workload import Workload

PRECISIONS = {"fp16": ("--dtype", "fp16"), "TF32": ("--tf32",), "fp32": ()}  # -> of latency.py


@dataclass(frozen=True)
class Timing:
    """One way of timing networks: device and precision, CUDA graph or not, images per batch."""

    device: str
    precision: str  # a name of PRECISIONS
    graph: bool
    batch: int

    def __str__(self):
        graph = ", CUDA graph" if self.graph else ""
        return f"{self.device}, {self.precision}{graph}, batch {self.batch}"

    @property
    def options(self):
        """Return latency.py's options."""
        graph = ("--cuda-graph",) if self.graph else ()
        device = ("--device", self.device, "--batch-size", self.batch)
        return (*device, *PRECISIONS[self.precision], *graph)

    def workload(self, settings):
        """Return the Workload that the options make."""
        return Workload(
            self.batch,
            settings.input_size,
            settings.classes,
            "fp16" if self.precision == "fp16" else "fp32",
            tf32=self.precision == "TF32",
            cuda_graph=self.graph,
        )


@dataclass(frozen=True)
class Settings:
    """What is timed and trained, and how much of it."""

    cuda: bool
    device: str  # of latency.py
    precisions: tuple[str, ...]
    graphs: tuple[bool, ...]
    batches: tuple[int, ...]
    input_size: int  # of the networks that are timed
    classes: int
    networks: int  # timed twice for the repeatability
    cliff_widths: tuple[int, ...]  # of CLIFF_LAYER
    iterations: int
    samples: tuple[int, ...]  # networks of a latency table; later ones where the time allows
    held_out: int
    dtypes: tuple[tuple[str, bool], ...]  # of supernet steps, each compiled or not
    step: tuple[int, int]  # of the supernet: pixels, images
    repeats: int
    data: str  # that the searches train on
    data_classes: int
    data_table: tuple  # options of the latency table for it
    data_samples: int
    epochs: int
    seeds: tuple[int, ...]  # of the trainings from scratch

    @property
    def no_cuda(self):
        """Return train_nas.py's option."""
        return () if self.cuda else ("--no-cuda",)

    def timings(self, precision, device=None):
        """Return the Timings of a precision, the most important first."""
        device = device or self.device
        return [Timing(device, precision, g, b) for b in self.batches for g in self.graphs]


SPACE = ("--min-width", "0.25", "--max-width", "1.0", "--levels", "11")
CLIFF_LAYER = 8  # one of the five of 512 channels
FULL = Settings(
    cuda=True,
    device="gpu",
    precisions=("fp16", "TF32", "fp32"),
    graphs=(True, False),
    batches=(64, 1),
    input_size=224,
    classes=1000,
    networks=6,
    cliff_widths=tuple(range(448, 513, 8)),
    iterations=30,
    samples=(100, 300),
    held_out=30,
    dtypes=(("bfloat16", False), ("float16", False), ("float32", False), ("bfloat16", True)),
    step=(224, 256),
    repeats=5,
    data="glyphs",
    data_classes=49,
    # Launches take as long as small batches of small images do, whatever the widths.
    data_table=("--device", "gpu", "--cuda-graph", "--batch-size", 512, "--iterations", 30),
    data_samples=100,
    epochs=6,
    seeds=(0, 1, 2),
)
MINIATURE = Settings(
    cuda=False,
    device="cpu",
    precisions=("fp32",),
    graphs=(False,),
    batches=(1,),
    input_size=32,
    classes=10,
    networks=3,
    cliff_widths=(504, 512),
    iterations=4,
    samples=(20, 25),
    held_out=10,
    dtypes=(("float32", False),),
    step=(32, 8),
    repeats=1,
    data="digits",
    data_classes=10,
    data_table=("--device", "cpu", "--batch-size", 1, "--iterations", 6),
    data_samples=20,
    epochs=2,
    seeds=(0,),
)
