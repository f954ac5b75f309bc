"""Running train_final.py on small data."""

import json
import re
import shlex

import pytest

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


def fails(capsys, options, out):
    """Run the script, which must fail; return its one line on standard error."""
    with pytest.raises(SystemExit) as caught:
        train(options, out)
    assert caught.value.code == 2
    lines = capsys.readouterr().err.replace("\r", "\n").splitlines()
    lines = [line for line in lines if line.strip() and not re.search("batch/s|s/batch", line)]
    assert len(lines) == 1
    assert lines[0].startswith("error: ")
    return lines[0]
