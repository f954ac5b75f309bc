"""Small data that several test files read, and how the tests are run."""

import gc
import importlib.util
import signal
import sys
import threading
from pathlib import Path

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


class SkipsWithoutPackage:
    """Finds no module; a test or a file that imports a package that is lacking is skipped.

    The exception is no ImportError: code that handles a missing package lets it pass.
    """

    lacking = tuple(
        name
        for name in ("mxnet", "gluoncv", "openvino", "ai_edge_litert")
        if importlib.util.find_spec(name) is None
    )

    @classmethod
    def find_spec(cls, name, path=None, target=None):
        if name in cls.lacking:
            pytest.skip(f"needs {name}, which is not installed", allow_module_level=True)


sys.meta_path.insert(0, SkipsWithoutPackage)

TESTS = Path(__file__).parent
SLOW = (
    "benchmarks/peers/test_peers",
    "benchmarks/test_gpu_stages",
    "examples/",
    "models/gluon/",
    "models/pytorch/",
    "models/test_batches",
    "nas/exact/test_constrained_search",
    "nas/exact/test_pareto",
    "nas/validation/test_stopping",
    "nas/validation/test_validated_fit",
    "pipeline/latency/test_page",
    "pipeline/latency/test_stopping_check",
    "pipeline/search/test_verification",
    "test_device_recipes",
    "test_glyphs_scripts",
    "test_latency",
    "test_own_network",
    "test_train_",
    "utils/images/test_broken",
)


def pytest_collection_modifyitems(items):
    """Mark what trains, starts scripts or enumerates for long: `make check` leaves it out."""
    for item in items:
        if item.path.relative_to(TESTS).as_posix().startswith(SLOW):
            item.add_marker(pytest.mark.slow)


def pytest_runtest_setup():
    """Keep what is loaded out of later collections: MXNet's data loader begins with one each."""
    gc.collect()
    gc.freeze()


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


@pytest.fixture(scope="session")
def model(tmp_path_factory):
    """The file of a latency table for the space of tests.helpers.search_runs; nobody changes it."""
    from tests.helpers.search_runs import write_table  # here: it imports a script

    return write_table(tmp_path_factory.mktemp("model") / "model.jsonl")
