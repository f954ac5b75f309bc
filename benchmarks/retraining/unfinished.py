"""What a report says of the jobs that are not finished."""

SHOWN = 8


def unfinished(names):
    """Return the lines of Markdown that count jobs and name the first ones; none without jobs."""
    if not names:
        return []
    others = "; …" if len(names) > SHOWN else ""
    return [f"**Not finished: {len(names)}: {'; '.join(names[:SHOWN])}{others}.**", ""]
