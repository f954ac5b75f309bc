"""The settings of train_final.py, by topic: what its command line is parsed into."""

from dataclasses import dataclass
from pathlib import Path

from models.execution import Execution
from models.recipe import Schedule, Targets
from pipeline.final.supernet import Source


@dataclass(frozen=True)
class Data:
    """The images, and how they are read."""

    data_dir: str  # digits, glyphs, or a folder with train/ and val/
    use_rec: bool  # the four RecordIO files instead
    rec_train: str
    rec_train_idx: str
    rec_val: str
    rec_val_idx: str
    num_workers: int
    batch_size: int  # per device
    input_size: int
    crop_ratio: float  # validation: side of the centre crop / shorter side of the image
    num_classes: int | None  # None: as many as the data have
    seed: int  # of weights, order and augmentation


@dataclass(frozen=True)
class Files:
    """What is written, and what a run resumes from."""

    save_dir: Path
    save_frequency: int  # epochs between saved parameters; 0: only the last and the best
    logging_file: Path
    tensorboard: str | None
    log_interval: int  # batches between log lines; 0: none
    resume_epoch: int
    resume_params: str  # empty: none
    resume_states: str
    resume_last: bool
    keep: int | None  # newest saved epochs; None: all
    from_supernet: str | None  # a folder of train_nas.py, whose weights training starts from
    export: str  # "onnx", or "tflite" for both


@dataclass(frozen=True)
class Options:
    """All settings of a run of train_final.py."""

    network: str  # its name, or FILE.py
    configuration: tuple[int, ...] | None  # None: the answer of --from-supernet
    data: Data
    execution: Execution
    schedule: Schedule
    targets: Targets
    files: Files
    source: Source | None = None  # of the first weights; None: they are random, or from a file
    network_sha256: str | None = None  # of what a FILE.py describes, once the classes are known

    def as_dict(self):
        """Return {name of an option: value}."""
        parts = (self.data, self.execution, self.schedule, self.targets, self.files)
        together = {name: getattr(self, name) for name in ("network", "configuration", "source")}
        for part in parts:
            together |= vars(part)
        return together
