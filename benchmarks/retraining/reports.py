"""What the reports of the benchmarks that retrain networks share."""

from utils.atomic_files import atomic_write
from utils.json_lines import write_lines

SHOWN = 8


def unfinished(names):
    """Return the lines of Markdown that count jobs and name the first ones; none without jobs."""
    if not names:
        return []
    others = "; …" if len(names) > SHOWN else ""
    return [f"**Not finished: {len(names)}: {'; '.join(names[:SHOWN])}{others}.**", ""]


def write_results(folder, name, rows, text):
    """Write NAME.jsonl, a line for each row, and NAME.md into a folder."""
    write_lines(folder / f"{name}.jsonl", rows)
    with atomic_write(folder / f"{name}.md", "w") as file:
        file.write(text)
