"""A stage of benchmarks.gpu: what it needs, what it does, and how its result reads."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Stage:
    """One piece of a check that is run, reported and resumed as a whole.

    cost_s: seconds that it takes on an H100; it is left out if fewer are left
    run:    run(context) -> a result that JSON can hold; raises StageFailed or LeftOut
    show:   show(result) -> lines of Markdown
    needs:  names of the stages that must have passed
    """

    name: str
    cost_s: float
    run: Callable
    show: Callable
    needs: tuple[str, ...] = ()
    on_gpu: bool = True  # whether it is left out where there is no GPU


@dataclass(frozen=True)
class Context:
    """What a stage works with."""

    settings: object
    commands: object  # benchmarks.gpu_stages.commands.Commands
    folder: object  # a Path, for the stage's files
    results: dict = field(default_factory=dict)  # of the stages that passed, by name

    @property
    def miniature(self):
        """Return the option of the probes."""
        return () if self.settings.cuda else ("--miniature",)


def json_lines(text):
    """Return the values of the lines of a probe's output that are JSON."""
    lines = []
    for line in text.splitlines():
        if line.startswith("{"):
            try:
                lines.append(json.loads(line))
            except json.JSONDecodeError:  # cut off when the probe was ended
                continue
    return lines


def table(header, rows):
    """Return the lines of a Markdown table."""
    lines = ["| " + " | ".join(header) + " |", "| " + " | ".join("---" for _ in header) + " |"]
    lines += ["| " + " | ".join(map(str, row)) + " |" for row in rows]
    return lines


def number(value, form=".3g"):
    """Return a number as text, "–" for None."""
    return "–" if value is None else format(value, form)
