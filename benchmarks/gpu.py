"""All that this project does on a GPU, in minutes: does it work, how fast, how well?

    python -m benchmarks.gpu                         at most 8 minutes
    python -m benchmarks.gpu --seconds 3600          goes on with what there was no time for
    python -m benchmarks.gpu --miniature             a little of it on the CPU

Needs one GPU and what requirements-pytorch.txt names; no network. Stage by stage it writes into
--folder (output/gpu):
    report.md      what passed, what failed and why, what there was no time for
    results.jsonl  a line per stage; a stage that passed is not run again
    gpu.log        the commands, and all that they printed
The most important stages come first; one that would not fit into the time is left out. Exit status
1 if a stage failed.
"""

if __name__ == "__main__":  # before the imports that take seconds
    from utils.startup import prepare

    prepare()

import argparse
import datetime
import sys
import time
from functools import partial
from pathlib import Path

from benchmarks.gpu_stages import latency, machine, supernet, training
from benchmarks.gpu_stages.commands import Commands, LeftOut, StageFailed
from benchmarks.gpu_stages.report import write_report
from benchmarks.gpu_stages.settings import FULL, MINIATURE
from benchmarks.gpu_stages.stage import Context
from utils.command_line import above_zero
from utils.errors import exits_with_one_line
from utils.json_lines import Appender, read_lines

DONE, FAILED, LEFT_OUT = "done", "failed", "left out"
SECONDS = 480
PATIENCE, LEAST_S = 2, 60  # a stage is ended after twice what it takes, or after two minutes


def stages_of(settings):
    """Return all stages, the most important first."""
    steps, timings = supernet.step_stages(settings), latency.timing_stages(settings)
    tables = latency.table_stages(settings)
    *search, from_scratch = training.search_stages()
    return [
        *machine.first_stages(),
        *steps[:1],
        *search,
        from_scratch,
        *tables[: len(settings.precisions)],
        *timings,
        *steps[1:3],
        *training.other_stages(settings),
        *latency.tensorrt_stages(settings),
        *steps[3:],
        *tables[len(settings.precisions) :],
        *machine.last_stages(settings),
    ]


def recorded(path):
    """Return {stage: its last line} of a results file."""
    if not (path.exists() and path.stat().st_size):
        return {}
    return {line["stage"]: line for _, line in read_lines(path)}


def reason_to_leave_out(stage, context, lines):
    """Return why a stage cannot be run now, None if it can."""
    found = lines.get(machine.MACHINE, {}).get("result") or {}
    without_gpu = found.get("gpu", {}).get("why")
    if context.settings.cuda and stage.on_gpu and without_gpu:
        return f"no CUDA device: {without_gpu}"
    for name in stage.needs:
        if name not in context.results:
            return f"needs the stage “{name}”"
    left_s = context.commands.left_s()
    if left_s < stage.cost_s:
        return f"takes about {stage.cost_s:.0f} s, {max(0, left_s):.0f} s were left"
    return None


def run_stage(stage, context, lines):
    """Run a stage, or leave it out; return its line for results.jsonl."""
    start = time.perf_counter()
    line = {"stage": stage.name, "status": LEFT_OUT, "why": None, "result": None}
    why = reason_to_leave_out(stage, context, lines)
    if why:
        return line | {"why": why, "seconds": 0.0}
    context.commands.start_stage(PATIENCE * max(stage.cost_s, LEAST_S))
    try:
        line |= {"status": DONE, "result": stage.run(context)}
    except LeftOut as error:
        line |= {"why": str(error)}
    except StageFailed as error:
        line |= {"status": FAILED, "why": error.why, "result": error.result}
    except Exception as error:  # whatever it is, the other stages go on
        line |= {"status": FAILED, "why": f"{type(error).__name__}: {error}"}
    return line | {"seconds": time.perf_counter() - start}


def run_all(stages, context, folder):
    """Run the stages that are not done; report after each. Returns {stage: its last line}."""
    lines = recorded(folder / "results.jsonl")
    context.results.update(
        {name: line["result"] for name, line in lines.items() if line["status"] == DONE}
    )
    write = partial(write_report, folder / "report.md", stages, lines)
    with Appender(folder / "results.jsonl") as file:
        for stage in stages:
            again = stage.name in (machine.MACHINE, machine.CLOCKS)
            if stage.name in context.results and not again:
                continue
            print(f"{stage.name} … ", end="", flush=True)
            line = run_stage(stage, context, lines)
            line["at"] = datetime.datetime.now().astimezone().isoformat(timespec="seconds")
            print(f"{line['status']}, {line['seconds']:.0f} s {line['why'] or ''}", flush=True)
            lines[stage.name] = line
            if line["status"] == DONE:
                context.results[stage.name] = line["result"]
            file.append([line])
            write()
    return lines


@exits_with_one_line
def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--folder", type=Path, default=Path("output/gpu"), help="(output/gpu)")
    parser.add_argument("--seconds", type=above_zero, default=SECONDS, help=f"({SECONDS})")
    parser.add_argument("--miniature", action="store_true", help="little, on the CPU")
    args = parser.parse_args(arguments)
    settings = MINIATURE if args.miniature else FULL
    folder = args.folder.resolve()
    (folder / "search").mkdir(parents=True, exist_ok=True)
    commands = Commands(folder / "gpu.log", args.seconds)
    context = Context(settings, commands, folder / "search")
    lines = run_all(stages_of(settings), context, folder)
    print(f"{folder / 'report.md'}: the report")
    sys.exit(any(line["status"] == FAILED for line in lines.values()))


if __name__ == "__main__":
    main()
