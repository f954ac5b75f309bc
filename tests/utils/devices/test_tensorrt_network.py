"""Engines built for real, by the tensorrt_rtx wheel, which has version 11's API and needs no GPU.

In a process of its own: two TensorRT libraries in one process end in a segmentation fault.
"""

import importlib.util
import json
import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("tensorrt_rtx") is None,
    reason="the optional package tensorrt_rtx is not installed",
)


@pytest.mark.parametrize(("dtype", "batch_size"), [("fp32", 1), ("fp16", 8)])
def test_engines_are_built_from_the_weights(tmp_path, dtype, batch_size):
    """The network definition is read back from TensorRT: 27 convolutions and the classifier."""
    cache = tmp_path / "cache"
    command = [sys.executable, "-m", "tests.helpers.tensorrt_rtx_builds"]
    process = subprocess.run(
        [*command, dtype, str(batch_size), str(cache)], capture_output=True, text=True, check=False
    )
    assert process.returncode == 0, process.stderr
    answer = json.loads(process.stdout.splitlines()[-1])
    assert answer["input"] == [batch_size, 3, 64, 64]
    assert answer["output"] == [batch_size, 10]
    kind = {"fp32": "DataType.FLOAT", "fp16": "DataType.HALF"}[dtype]
    assert answer["dtypes"] == [kind, kind]
    assert answer["convolutions"] == 28
    assert answer["same"] == 27
    assert min(answer["engine_bytes"]) > 1000
    assert cache.stat().st_size > 0
