"""Running train_final.py on small data."""

import json
import shlex

from train_final import main

TINY = ",".join(["16"] * 14)
SMALL = f"--configuration {TINY} --input-size 32 --batch-size 8 -j 0 --mode hybrid --seed 3"


def train(options, out):
    """Run the script, and return the lines of its results.jsonl."""
    main([*shlex.split(options), "--save-dir", str(out), "--logging-file", str(out / "log")])
    return lines_of(out)


def lines_of(out):
    """Return the lines of a folder's results.jsonl."""
    return [json.loads(line) for line in (out / "results.jsonl").read_text().splitlines()]


def losses(results):
    """Return what must be equal where a run is repeated."""
    return [(r["epoch"], r["train_loss"], r["val_loss"], r["val_top1"]) for r in results]
