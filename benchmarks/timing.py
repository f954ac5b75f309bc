"""How the benchmarks compare two pieces of code: in turn, in one run, several times."""

import time

import numpy as np


def seconds_per_call(function, calls):
    """Return the mean seconds of `calls` calls in a row."""
    start = time.perf_counter()
    for _ in range(calls):
        function()
    return (time.perf_counter() - start) / calls


def compare(name, fast, plain, *, fast_calls, plain_calls, repeats=9, limit_ms=None):
    """Time fast and plain in turn and print both in ms, and the ratio pair by pair.

    Prints median (first to third quartile). limit_ms, if given, is printed beside the time.
    """
    fast()  # compiles
    plain()
    pairs = np.array(
        [
            (seconds_per_call(fast, fast_calls), seconds_per_call(plain, plain_calls))
            for _ in range(repeats)
        ]
    )
    ratios = pairs[:, 1] / pairs[:, 0]
    asked = f", asked for: at most {limit_ms} ms" if limit_ms else ""
    print(f"{name} ({repeats} repeats)")
    print(f"  ours    {spread(pairs[:, 0] * 1e3)} ms{asked}")
    print(f"  plain   {spread(pairs[:, 1] * 1e3)} ms")
    print(f"  ratio   {spread(ratios)}")


def spread(values, form=".4g"):
    """Return median and quartiles as text."""
    low, median, high = np.percentile(values, [25, 50, 75])
    return f"{median:{form}} ({low:{form}} to {high:{form}})"
