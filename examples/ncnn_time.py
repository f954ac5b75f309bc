"""Time an ONNX file on ncnn, the runtime of many phones: a program for latency.py --device command.

    pip install ncnn pnnx
    python latency.py generate --device command -B 1 \\
       --command "python examples/ncnn_time.py {onnx} {runs} --threads {threads}" samples.jsonl

pnnx converts the file; ncnn then runs one image on the CPU in float32, --warmup times untimed. Each
line that is printed is the milliseconds of one run. It needs neither this repository nor PyTorch
(pip install --no-deps pnnx does without). To time another runtime, change `load`.
"""

import argparse
import importlib.util
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import ncnn
import numpy as np

FILES = ("ncnn.param", "ncnn.bin", "pnnx.param")  # that pnnx writes


def convert(onnx, folder):
    """Convert an ONNX file; return (paths of ncnn's two files, the shape of one image)."""
    package = importlib.util.find_spec("pnnx")
    if package is None:
        sys.exit("pnnx, the converter, is not installed: pip install pnnx")
    program = Path(package.submodule_search_locations[0], "pnnx")
    Path(folder, "n.onnx").symlink_to(Path(onnx).resolve())  # it writes beside what it reads
    command = [program, "n.onnx", "fp16=0"]
    converted = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    param, weights, graph = (Path(folder, f"n.{kind}") for kind in FILES)
    if converted.returncode or not param.exists():
        said = (converted.stdout + converted.stderr).strip().splitlines()
        sys.exit(f"pnnx failed: {said[-1] if said else converted.returncode}")
    shape = re.search(r"^pnnx\.Input.*=\(([\d,]+)\)", graph.read_text(), re.M)[1]
    batch_size, *image = map(int, shape.split(","))
    if batch_size != 1:
        sys.exit(f"ncnn takes one image at a time: give --batch-size 1, not {batch_size}")
    return param, weights, image


def load(onnx, threads):
    """Return a function that runs a network once on an image."""
    net = ncnn.Net()
    net.opt.num_threads = threads
    net.opt.use_vulkan_compute = False
    for name in ("fp16_packed", "fp16_storage", "fp16_arithmetic", "bf16_storage"):
        setattr(net.opt, f"use_{name}", False)
    with tempfile.TemporaryDirectory() as folder:
        param, weights, shape = convert(onnx, folder)
        net.load_param(str(param))
        net.load_model(str(weights))
    image = np.random.default_rng(0).standard_normal(shape, dtype=np.float32)
    (name,), (result,) = net.input_names(), net.output_names()

    def run():
        extractor = net.create_extractor()
        extractor.input(name, ncnn.Mat(image))
        status, _ = extractor.extract(result)
        if status:
            sys.exit(f"ncnn cannot run the network: status {status}")

    return run


def main():
    """Convert, run, and print the times."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("onnx")
    parser.add_argument("runs", type=int)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--warmup", type=int, default=5)
    args = parser.parse_args()
    run = load(args.onnx, args.threads)
    for _ in range(args.warmup):
        run()
    for _ in range(args.runs):
        start = time.perf_counter()
        run()
        print(f"{1e3 * (time.perf_counter() - start):.4f}")


if __name__ == "__main__":
    main()
