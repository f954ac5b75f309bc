import pytest

from nas.latency_table import LatencyTable
from nas.latency_target import parse_target
from nas.search_space import SearchSpace
from pipeline.latency.target import open_target, resolution_as_text
from utils.errors import UserError
from utils.metadata import Metadata

SPACE = SearchSpace(32, 10, levels=3)
METADATA = Metadata.of({"search_space": SPACE.as_dict()})
TABLE = LatencyTable(dict.fromkeys(SPACE.variables, 0.1), METADATA, "t.jsonl")


def test_a_target_is_resolved_by_the_table():
    """Oracle: every network of this table takes 15 entries of 0.1 ms."""
    target = parse_target("60%")
    assert open_target(target, TABLE) == 0.9
    assert resolution_as_text(target, 0.9, TABLE) == "target 60%: 0.9 ms per image by t.jsonl"
    assert open_target(parse_target("0.7"), None) == 0.7
    assert resolution_as_text(parse_target("0.7"), 0.7, None) is None
    assert open_target(None, None) is None
    with pytest.raises(UserError, match="--latency-target 60% needs --latency-model"):
        open_target(target, None)
