"""README and docs: every link leads somewhere, every command and every option named is accepted."""

import importlib.util
import re
from pathlib import Path

import pytest
from PIL import Image

import latency
from benchmarks.page_commands import page_commands
from pipeline.final import options as final_options
from pipeline.search import options as search_options
from utils.images.open_dataset import open_dataset

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]


def parse_latency(_, arguments):
    return latency.build_parser().parse_args(arguments)


PARSERS = {
    "latency.py": parse_latency,
    "train_nas.py": search_options.parse_options,
    "train_final.py": final_options.parse_options,
}
OTHERS = {
    "--nproc-per-node",
    "--launcher",
    "--cuda",
    "--own",
    "--seconds",
    "--only",
}  # of launchers and benchmarks
name_of = {"argvalues": PAGES, "ids": lambda page: page.name}


@pytest.mark.parametrize("page", **name_of)
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)#]+)", page.read_text()):
        if not target.startswith("http"):
            assert (page.parent / target).exists(), target


@pytest.mark.parametrize("page", **name_of)
def test_commands_are_accepted(page):
    """Oracle: the scripts' own parsers; the Makefile; Python finds the modules."""
    targets = re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.M)
    for words in page_commands(page):
        scripts = [word for word in words if word in PARSERS]
        if words[0] == "make":
            assert words[1] in targets
        elif scripts:
            arguments = words[words.index(scripts[0]) + 1 :]
            if "…" not in arguments:
                PARSERS[scripts[0]]("", arguments)
        elif "-m" in words:
            assert importlib.util.find_spec(words[words.index("-m") + 1]), words
        elif not words[0].startswith("."):
            paths = [word for word in words if word.endswith((".py", ".sh"))]
            assert paths, words
            assert all((ROOT / path).exists() for path in paths), words


def test_the_page_of_each_script_names_only_options_that_there_are(monkeypatch, capsys):
    """Oracle: the scripts' own --help."""
    known = set(OTHERS)
    for parse, stages in (
        (parse_latency, ["generate", "fit", "validate", "report", "benchmark"]),
        (search_options.parse_options, [None]),
        (final_options.parse_options, [None]),
    ):
        for stage in stages:
            with pytest.raises(SystemExit):
                parse("", [*([stage] if stage else []), "--help"])
    known |= set(re.findall(r"--[A-Za-z][\w-]*", capsys.readouterr().out))
    for page in PAGES:
        named = set(re.findall(r"`(--[A-Za-z][\w-]*)", page.read_text()))
        assert named <= known, page.name


def test_the_program_that_splits_photos_makes_a_data_set(tmp_path, monkeypatch):
    """Oracle: every fifth of ten photos of each class is for validation."""
    monkeypatch.chdir(tmp_path)
    for name in ("flower", "temple"):
        Path("photos", name).mkdir(parents=True)
        for number in range(10):
            Image.new("RGB", (12, 9)).save(f"photos/{name}/{number}.jpg")
    page = (ROOT / "docs" / "your-own-images.md").read_text()
    (program,) = re.findall(r"```python\n(.*?)```", page, re.S)
    exec(program, {})
    train, val = open_dataset("output/photos", 8, seed=0)
    assert train.classes == val.classes == ("flower", "temple")
    assert train.labels.tolist() == [0] * 8 + [1] * 8
    assert [val.path(index).name for index in range(len(val))] == ["0.jpg", "5.jpg"] * 2
    assert val[0, 0][0].shape == (3, 8, 8)
