"""Whether device trt runs on tensorrt_rtx, which has TensorRT's API; prints a JSON line.

python -m benchmarks.gpu_stages.rtx_probe
"""

import json
import sys

import numpy as np
import tensorrt_rtx

sys.modules["tensorrt"] = tensorrt_rtx  # before device trt imports it

from nas.search_space import SearchSpace  # noqa: E402
from utils.devices import open_device  # noqa: E402
from utils.devices.workload import Workload  # noqa: E402


def main():
    """Build an engine of each precision, run it, and time it by CUDA events."""
    for dtype in ("fp16", "fp32"):
        device = open_device("trt", Workload(batch_size=8, input_size=64, classes=10, dtype=dtype))
        handle = device.prepare(SearchSpace(64, 10).reference)
        ms = np.median([device.run(handle) for _ in range(20)]) * 1e3 / 8
        told = {"tensorrt_rtx": tensorrt_rtx.__version__, "dtype": dtype, "ms_per_image": float(ms)}
        print(json.dumps(told), flush=True)


if __name__ == "__main__":
    main()
