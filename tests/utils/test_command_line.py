"""Options that the scripts share: one definition, one check."""

import re
from argparse import Namespace
from dataclasses import dataclass

import pytest

import latency
from pipeline.search import options as nas_options
from utils.command_line import Parser, chosen
from utils.errors import UserError

MOST = 2**63 - 1
SCRIPTS = {
    "latency.py": lambda *options: latency.build_parser().parse_args(
        ["generate", "-D", "cpu", *options, "s.jsonl"]
    ),
    "train_nas.py": lambda *options: nas_options.parse_options(
        "",
        [
            *["--data", "d", "--expname", "e", "--latency-model", "m", "--latency-target", "1"],
            *options,
        ],
    ),
}


@pytest.mark.parametrize("script", SCRIPTS)
@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("--min-width", "0", "'0' is not a number greater than 0, at most 100"),
        ("--min-width", "nan", "'nan' is not a number"),
        ("--max-width", "inf", "'inf' is not a number"),
        ("--max-width", "1e5", "'1e5' is not a number greater than 0, at most 100"),
        ("--levels", "2.5", "'2.5' is not a whole number of at least 1, at most 1000"),
        ("--seed", str(2**63), f"'{2**63}' is not a whole number of at least 0, at most {MOST}"),
        ("--input-size", "0", "'0' is not a whole number of at least 1, at most 16384"),
    ],
)
def test_widths_and_sizes_are_checked_alike(script, option, value, message):
    with pytest.raises(UserError, match=f"{option}: {message}"):
        SCRIPTS[script](option, value)


def test_widths_have_their_defaults():
    """latency.py: the usual search space; train_nas.py: the latency model's."""
    usual, none = SCRIPTS["latency.py"](), SCRIPTS["train_nas.py"]()
    assert (usual.min_width, usual.max_width, usual.levels) == (0.2, 1.5, 14)
    asked = none.question
    assert (asked.min_width, asked.max_width, asked.levels) == (None, None, None)


def test_what_is_chosen_are_the_options_of_the_fields_names():
    """Oracle: by hand: one option, one value that is none, one default."""

    @dataclass(frozen=True)
    class Kind:
        epochs: int
        devices: int
        dtype: str = "float32"

    assert chosen(Kind, Namespace(epochs=3, lr=0.1), devices=2) == Kind(3, 2, "float32")


def test_the_help_of_an_option_ends_in_its_default():
    """Oracle: by hand. Flags have none; what the help says itself is not said twice."""
    parser = Parser(prog="p", description="one\n  two")
    for name, settings in {
        "--count": {"default": 0, "help": "how many"},
        "--only": {"default": 3, "help": "(%(default)s)"},
        "--mode": {"default": "slow", "help": "slow (slow) or fast"},
        "--none": {"help": "nothing"},
        "--flag": {"action": "store_true", "help": "on"},
    }.items():
        parser.add_argument(name, **settings)
    text = parser.format_help()
    assert "one\n  two" in text
    lines = [line for line in text.splitlines() if line.startswith("  --")]
    said = [re.split(r"\s{2,}", line)[-1] for line in lines]
    assert said == ["how many (0)", "(3)", "slow (slow) or fast", "nothing", "on"]
