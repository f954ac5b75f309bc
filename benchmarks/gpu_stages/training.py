"""Stages that search and train to the end: table, OWS and AOWS, --verify, widths from scratch."""

from concurrent.futures import ThreadPoolExecutor

from benchmarks.gpu_stages.commands import StageFailed
from benchmarks.gpu_stages.settings import SPACE
from benchmarks.gpu_stages.stage import Stage, json_lines, table
from utils.images.open_dataset import open_dataset

TABLE, SEARCH, VERIFY, FINAL = "table for the search", "OWS and AOWS", "verify", "from scratch"
OTHERS = "searches in other precisions"
SIDE = 32  # pixels
METHODS = {"OWS": (), "AOWS": ("--AOWS", "--AOWS-warmup")}


def search_stages():
    """Return the stages, each building on the one before."""
    return [
        Stage(TABLE, 40, make_table, show_text),
        Stage(SEARCH, 80, search, show_search, (TABLE,)),
        Stage(VERIFY, 25, verify, show_text, (SEARCH,)),
        Stage(FINAL, 70, train_final, show_final, (SEARCH,)),
    ]


def other_stages(settings):
    """Return the stage of the other precisions, which a CPU need not have."""
    return [Stage(OTHERS, 60, other_precisions, show_others, (TABLE,))] if settings.cuda else []


def make_table(context):
    """Measure networks and fit the table; the images are drawn meanwhile. Returns the output.

    The strengths of the fit are such as cross-validation chooses, which would take half a minute.
    """
    settings, folder = context.settings, context.folder
    folder.mkdir(exist_ok=True)
    samples, model = folder / "samples.jsonl", folder / "model.jsonl"
    sizes = ("--input-size", SIDE, "--classes", settings.data_classes, *SPACE)
    count = ("--biased", "--count", settings.data_samples, samples)
    with ThreadPoolExecutor() as pool:
        drawn = pool.submit(open_dataset, settings.data, SIDE, seed=0)
        output = context.commands.run(
            "latency.py", "generate", *settings.data_table, *sizes, *count
        )
        drawn.result()
    fit = ("latency.py", "fit", samples, model, "--prior", "linear", "-K", 1, "--strength", 10)
    return {"text": output + context.commands.run(*fit)}


def show_text(result):
    """Return what a command printed."""
    return [f"    {line}" for line in result["text"].splitlines()]


def middle_target_ms(context):
    """Return (the latency between the fastest and the slowest configuration, widest uniform)."""
    from nas.latency_table import LatencyTable
    from nas.search_space import SearchSpace

    loaded = LatencyTable.load(context.folder / "model.jsonl")
    space = SearchSpace.from_dict(loaded.metadata.search_space)
    target_ms = (loaded.predict(space.smallest) + loaded.predict(space.largest)) / 2
    feasible = [c for c in space.uniform_multipliers() if loaded.predict(c) <= target_ms]
    return target_ms, max(feasible, default=space.smallest)


def supernet(context, name, target_ms, *options):
    """Return the command that trains a supernet, or queries one."""
    settings = context.settings
    adaptive = (*METHODS[name], max(1, settings.epochs // 2)) if name == "AOWS" else ()
    return (
        "train_nas.py", "--framework", "pytorch", "--data", settings.data, "-j", 2,
        "--epochs", settings.epochs, "-b", 64, "--lr", 0.2, "--lr-schedule", "cosine",
        "--window", 1350, "--resume-last", *settings.no_cuda, *adaptive,
        "--latency-model", context.folder / "model.jsonl", "--latency-target", target_ms,
        "--expname", context.folder / name, *options,
    )  # fmt: skip


def search(context):
    """Train OWS and AOWS side by side; return the last line of each, and the target."""
    target_ms, uniform = middle_target_ms(context)
    commands = [supernet(context, name, target_ms) for name in METHODS]
    outcomes = dict(zip(METHODS, context.commands.together(commands), strict=True))
    result = {"target_ms": target_ms, "uniform": list(uniform), "found": {}}
    for name, outcome in outcomes.items():
        path = context.folder / name / "results.jsonl"
        if not outcome.why:
            *_, result["found"][name] = json_lines(path.read_text())
    failures = [outcome.why for outcome in outcomes.values() if outcome.why]
    if failures:
        raise StageFailed("; ".join(failures), result)
    return result


def show_search(result):
    """Return a table of the answers."""
    rows = [
        (
            name,
            f"{line['latency_ms']:.5f}",
            f"{line.get('accuracy_full', float('nan')):.2%}",
            f"{line.get('accuracy', float('nan')):.2%}",
            f"{line.get('images_per_s', float('nan')):.0f}",
            line["configuration"],
        )
        for name, line in result["found"].items()
    ]
    header = ("", "predicted ms", "accuracy, full width", "of the answer", "images/s", "widths")
    return [f"Target: {result['target_ms']:.5f} ms per image.", "", *table(header, rows)]


def verify(context):
    """Measure OWS's answer until a measured one meets the target; return the output."""
    target_ms = context.results[SEARCH]["target_ms"]
    said = context.commands.run(*supernet(context, "OWS", target_ms, "--verify"))
    return {"text": said}


def other_precisions(context):
    """Train one epoch each in float16, in bfloat16 compiled, and with G = 4, side by side."""
    target_ms, _ = middle_target_ms(context)
    ways = {
        "float16": ("--dtype", "float16"),
        "float16, G = 4": ("--dtype", "float16", "--configurations-per-batch", 4),
        "bfloat16, compiled": ("--dtype", "bfloat16", "--compile"),
    }
    commands = []
    for name, options in ways.items():
        folder = context.folder / name.replace(" ", "").replace(",", "-")
        own = ("--epochs", 1, "--expname", folder, *options)
        commands.append(supernet(context, "OWS", target_ms, *own))
    outcomes = context.commands.together(commands)
    result = {
        name: each.why or f"{each.seconds:.0f} s" for name, each in zip(ways, outcomes, strict=True)
    }
    failures = [
        f"{name}: {each.why}" for name, each in zip(ways, outcomes, strict=True) if each.why
    ]
    if failures:
        raise StageFailed("; ".join(failures), result)
    return result


def show_others(result):
    """Return a line for each precision."""
    return [f"- {name}: {told}" for name, told in result.items()]


def final(context, name, widths, seed, epochs):
    """Return the command that trains widths from scratch, and the folder that it writes to."""
    settings, folder = context.settings, context.folder / f"final-{name}-{seed}"
    command = (
        "train_final.py", "--framework", "pytorch", "--data-dir", settings.data,
        "--input-size", SIDE, "--num-gpus", int(settings.cuda), "-j", 1,
        "--configuration", ",".join(map(str, widths)), "--num-epochs", epochs,
        "--batch-size", 64, "--lr", 0.1, "--lr-mode", "cosine", "--seed", seed,
        "--save-frequency", 0, "--save-dir", folder, "--logging-file", folder / "log",
    )  # fmt: skip
    return command, folder / "results.jsonl"


def train_final(context):
    """Train the found and the uniform widths, one alone and then all side by side.

    Returns {"alone": images/s, "together": images/s of all, "rows": accuracies and times}.
    """
    found = context.results[SEARCH]
    networks = {name: line["configuration"] for name, line in found["found"].items()}
    networks["uniform"] = found["uniform"]
    alone, path = final(context, "alone", found["uniform"], 0, 2)
    context.commands.run(*alone)
    result = {"alone": json_lines(path.read_text())[-1]["images_per_s"]}
    trainings = {
        (name, seed): final(context, name, widths, seed, context.settings.epochs)
        for seed in context.settings.seeds
        for name, widths in networks.items()
    }
    outcomes = context.commands.together([command for command, _ in trainings.values()])
    result["rows"], failures = [], []
    for (name, seed), (_, path), outcome in zip(
        trainings, trainings.values(), outcomes, strict=True
    ):
        if outcome.why:
            failures.append(f"{name}, seed {seed}: {outcome.why}")
            continue
        last = json_lines(path.read_text())[-1]
        row = {"name": name, "seed": seed, "seconds": outcome.seconds}
        result["rows"].append(row | {key: last[key] for key in ("val_top1", "images_per_s")})
    if failures:
        raise StageFailed("; ".join(failures), result)
    return result


def show_final(result):
    """Return a table of the accuracies, and what training side by side gains."""
    rows = result.get("rows", [])
    by_name = {}
    for row in rows:
        by_name.setdefault(row["name"], []).append(row)
    together = sum(row["images_per_s"] for row in rows)
    lines = [
        f"One network alone: {result['alone']:.0f} images/s; {len(rows)} side by side: "
        f"{together:.0f} images/s in all.",
        "",
    ]
    return lines + table(
        ("", "accuracies of the seeds", "seconds"),
        [
            (name, ", ".join(f"{r['val_top1']:.2%}" for r in each), f"{each[0]['seconds']:.0f}")
            for name, each in by_name.items()
        ],
    )
