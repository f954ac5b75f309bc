"""Prints what trtexec prints, for a GPU that needs 1 ms per 100,000 bytes of the network's file.

The lines are those of NVIDIA/TensorRT, samples/common/sampleReporting.cpp (printProlog,
printTiming, printEpilog), behind the logger's date; C++ prints six significant digits.
"""

import os
import sys

DATE = "[11/26/2026-12:00:00] [I] "


def say(text=""):
    """Print a line as trtexec's logger does."""
    print(f"{DATE}{text}")


def main():
    """Print the trace and the summary."""
    options = dict(word.lstrip("-").partition("=")[::2] for word in sys.argv[1:])
    command = f"TensorRT.trtexec [TensorRT v100900] # {' '.join(sys.argv)}"
    print(f"&&&& RUNNING {command}")
    if not os.path.isfile(options["onnx"]):
        print(f"[11/26/2026-12:00:00] [E] Could not open file {options['onnx']}")
        print(f"&&&& FAILED {command}")
        sys.exit(1)
    ms = os.path.getsize(options["onnx"]) / 1e5
    runs, each = int(options.get("iterations", 10)), int(options.get("avgRuns", 10))
    say("=== Reporting Options ===")
    say(f"Averages: {each} inferences")
    say("Starting inference")
    say("Warmup completed 40 queries over 200 ms")
    say(f"Timing trace has {runs} queries over {runs * ms / 1e3:g} s")
    say()
    say("=== Trace details ===")
    say(f"Trace averages of {each} runs:")
    for _ in range(runs // each):
        say(
            f"Average on {each} runs - GPU latency: {ms:g} ms - Host latency: {ms + 0.1:g} ms "
            "(enqueue 0.05 ms)"
        )
    say()
    say("=== Performance summary ===")
    say(f"Throughput: {1e3 / ms:g} qps")
    for name, value in (("Latency", ms + 0.1), ("GPU Compute Time", ms)):
        several = ", ".join(f"{kind} = {value:g} ms" for kind in ("min", "max", "mean", "median"))
        say(f"{name}: {several}, percentile(90%) = {value:g} ms")
    say(f"Total GPU Compute Time: {runs * ms / 1e3:g} s")
    print(f"&&&& PASSED {command}")


if __name__ == "__main__":
    main()
