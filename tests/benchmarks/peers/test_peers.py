"""The peers themselves, where `make peers` has installed them. Oracle: the table and the space."""

import json
import subprocess
from pathlib import Path

import pytest

from models.pytorch.arrays import save_parameters
from models.pytorch.plain import PlainNet, initialised
from nas.latency_table import LatencyTable
from nas.search_space import SearchSpace
from utils.metadata import Metadata

ROOT = Path(__file__).resolve().parents[3]
PYTHON = ROOT / ".venv-peers" / "bin" / "python"
SPACE = SearchSpace(16, 10, 0.1, 0.3, 2)

pytestmark = pytest.mark.skipif(not PYTHON.exists(), reason="needs the peers: make peers")


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    """Return the paths of an untrained network and of a table of its multiplications."""
    folder = tmp_path_factory.mktemp("peers")
    save_parameters(initialised(PlainNet(SPACE.description, SPACE.largest), 0), folder / "params")
    entries = {v: v.in_channels * v.out_channels / 1e6 for v in SPACE.variables}
    table = LatencyTable(entries, Metadata.of({"search_space": SPACE.as_dict()}))
    table.save(folder / "table.jsonl")
    return folder / "params", folder / "table.jsonl"


@pytest.mark.parametrize(
    "peer",
    [
        ("torch_pruning", "--importance=magnitude", "--steps=20"),
        ("torch_pruning", "--importance=taylor", "--steps=20"),
        ("fastnas",),
    ],
    ids=("magnitude", "taylor", "fastnas"),
)
def test_a_peer_meets_each_target_with_widths_of_the_search_space(inputs, peer, tmp_path):
    table = LatencyTable.load(inputs[1])
    fastest, widest = table.predict(SPACE.smallest), table.predict(SPACE.largest)
    targets = [0.3 * fastest + 0.7 * widest, 0.8 * fastest + 0.2 * widest]
    module, *options = peer
    command = [PYTHON, "-m", f"benchmarks.peers.{module}", *inputs, tmp_path / "results.jsonl"]
    command += [*options, "--data", "digits", "--targets", *targets]
    subprocess.run([*map(str, command)], cwd=ROOT, check=True, timeout=900)
    lines = [json.loads(line) for line in (tmp_path / "results.jsonl").read_text().splitlines()]
    assert [line["target_ms"] for line in lines] == targets
    for line in lines:
        assert line["predicted_ms"] == table.predict(line["configuration"]) <= line["target_ms"]
        for width, choices in zip(line["configuration"], SPACE.choices, strict=True):
            assert width in choices
        assert line["cpu_s"] > 0
