"""Options that the scripts share: one definition, one check."""

import pytest

from pipeline.latency import options as latency_options
from pipeline.search import options as nas_options
from utils.errors import UserError

SCRIPTS = {
    "latency.py": lambda *options: latency_options.parse_args(
        "", ["generate", "-D", "cpu", *options, "s.jsonl"]
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
    assert (none.min_width, none.max_width, none.levels) == (None, None, None)
