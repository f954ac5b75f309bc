"""A program that times nothing: a run takes 1 ms per 100,000 bytes of the network's file.

    stand_in_timer.py FILE RUNS [--json] [--us]

Standard library only, so that it starts quickly.
"""

import os
import sys


def law_ms(size):
    """Return what a run of a file of this size takes."""
    return size / 1e5


if __name__ == "__main__":
    file, runs, *options = sys.argv[1:]
    times = [law_ms(os.path.getsize(file))] * int(runs)
    if "--json" in options:
        print(times)
    elif "--us" in options:
        print("Timings in microseconds:", file=sys.stderr)
        for time in times:
            print(f"one run: {1e3 * time} us", file=sys.stderr)
    else:
        print(*times, sep="\n")
