"""An `adb` with a phone that runs LiteRT's benchmark_model: 1 ms per 100,000 bytes of the file.

The last line is that of tensorflow/lite/tools/benchmark, benchmark_model.cc, in microseconds.
"""

import os
import shutil
import sys


def main():
    """Push a file to the folder that stands for the phone, or run benchmark_model there."""
    verb, *words = sys.argv[1:]
    phone = os.environ["STAND_IN_PHONE"]
    if verb == "push":
        shutil.copy(words[0], os.path.join(phone, os.path.basename(words[1])))
        print(f"{words[0]}: 1 file pushed, 0 skipped.")
        return
    options = dict(word.lstrip("-").partition("=")[::2] for word in words[1:])
    file = os.path.join(phone, os.path.basename(options["graph"]))
    us = os.path.getsize(file) / 1e2
    print("STARTING!")
    print(f"Num threads: [{options['num_threads']}]")
    print(f"Running benchmark for at least {options['num_runs']} iterations and at least 0 seconds")
    print(f"count={options['num_runs']} first={us:g} curr={us:g} min={us:g} max={us:g} avg={us:g}")
    print(
        f"Inference timings in us: Init: 16242, First inference: {us + 9:g}, "
        f"Warmup (avg): {us + 5:g}, Inference (avg): {us:g}"
    )


if __name__ == "__main__":
    main()
