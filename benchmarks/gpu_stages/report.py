"""The report of a check of a GPU, as Markdown."""

from utils.atomic_files import atomic_write


def write_report(path, stages, lines):
    """Write the report: every stage in a table, then what each one found.

    lines: {name of a stage: its line in results.jsonl}
    """
    with atomic_write(path) as file:
        file.write("\n".join([*_summary(stages, lines), *_details(stages, lines), ""]).encode())


def _summary(stages, lines):
    counts = {}
    for stage in stages:
        status = lines.get(stage.name, {}).get("status", "to come")
        counts[status] = counts.get(status, 0) + 1
    told = ", ".join(f"{count} {status}" for status, count in counts.items())
    rows = ["# On this GPU", "", f"Stages: {told}.", "", "| stage | | seconds | why |"]
    rows.append("| --- | --- | --- | --- |")
    for stage in stages:
        if line := lines.get(stage.name):
            why = (line["why"] or "").replace("|", "\\|")
            rows.append(f"| {stage.name} | {line['status']} | {line['seconds']:.0f} | {why} |")
        else:
            rows.append(f"| {stage.name} | to come | | |")
    return rows


def _details(stages, lines):
    rows = []
    for stage in stages:
        line = lines.get(stage.name, {})
        if line.get("result") is None:
            continue
        incomplete = "" if line["status"] == "done" else f" ({line['status']}: what there is)"
        rows += ["", f"## {stage.name}{incomplete}", ""]
        try:
            rows += stage.show(line["result"])
        except (KeyError, TypeError, ValueError, IndexError):  # of a stage that failed half-way
            rows += ["    " + str(line["result"])]
    return rows
