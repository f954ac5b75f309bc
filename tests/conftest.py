"""Small data that several test files read, and how the tests are run."""

import signal
import threading

import hypothesis
import numpy as np
import pytest
from PIL import Image

from utils import write_records

# How long an example takes depends on the machine.
hypothesis.settings.register_profile("untimed", hypothesis.settings(), deadline=None)
hypothesis.settings.load_profile("untimed")

# A shell's background job is started with Ctrl-C ignored, and so would be what the tests start.
if threading.current_thread() is threading.main_thread():
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    """Return an image folder of three classes, which differ by colour under noise.

    The colours are so plain that a few epochs learn them whatever the seed and the processor: of 32
    trainings by seeds and instruction sets the worst reached 0.42 of the loss of guessing.
    """
    root = tmp_path_factory.mktemp("data") / "images"
    rng = np.random.default_rng(0)
    for half, count in (("train", 16), ("val", 5)):
        for c, name in enumerate(("blue", "green", "red")):
            (root / half / name).mkdir(parents=True)
            for i in range(count):
                pixels = rng.integers(0, 64, (36, 48, 3), dtype=np.uint8)
                pixels[..., 2 - c] += 191
                Image.fromarray(pixels).save(root / half / name / f"{i}.png")
    return root


@pytest.fixture(scope="session")
def records(folder):
    """Return train_final.py's options that read the folder's images from RecordIO files."""
    write_records.main([str(folder), str(folder.parent / "r")])
    return " ".join(
        f"--rec-{half}{suffix} {folder.parent}/r_{half}.{kind}"
        for half in ("train", "val")
        for suffix, kind in (("", "rec"), ("-idx", "idx"))
    )
