from types import SimpleNamespace

import numpy as np

from nas.latency_table import LatencyTable
from nas.latency_target import parse_target
from nas.search_space import SearchSpace
from nas.validation.conformal import Residuals
from pipeline.search.limits import LatencyLimit, is_sampled, open_limits, warn_of_unsampled
from utils.metadata import Metadata

SPACE = SearchSpace(32, 10, levels=3)


def table(fit=None):
    metadata = Metadata.of({"search_space": SPACE.as_dict()} | ({"fit": fit} if fit else {}))
    return LatencyTable(dict.fromkeys(SPACE.variables, 0.1), metadata, "t.jsonl")


def test_the_number_of_a_target_is_stored_and_printed(tmp_path, capsys):
    """Oracle: every network of this table takes 15 entries of 0.1 ms."""
    path = tmp_path / "t.jsonl"
    table().save(path)
    question = SimpleNamespace(
        latency_model=[path] * 3,
        latency_target=[parse_target(text) for text in ("0.5xMOBILENET", "60%", "0.2")],
        confidence=None,
        **dict.fromkeys(("network", "input_size", "min_width", "max_width", "levels")),
    )
    limits = open_limits(question)
    assert [limit.target_ms for limit in limits] == [1.5, 0.9, 0.2]
    lines = capsys.readouterr().out.splitlines()
    assert [line.partition(" ms")[0] for line in lines] == [
        "target 0.5xMOBILENET: 1.5",
        "target 60%: 0.9",
    ]


def test_a_target_that_no_sample_is_near_is_named(capsys):
    """Oracle: by hand; 0.85 to 1.15 of the target must hold three samples."""
    residuals = Residuals(np.zeros(6), np.array([0.86, 1.0, 1.14, 1.5, 2.9, 3.1]))
    known = table(residuals.as_dict())
    assert is_sampled(LatencyLimit(known, 1.0))
    assert not is_sampled(LatencyLimit(known, 3.0))
    assert is_sampled(LatencyLimit(table(), 3.0))
    warn_of_unsampled([LatencyLimit(known, 1.0), LatencyLimit(known, 3.0)])
    (line,) = capsys.readouterr().err.splitlines()
    assert "t.jsonl was fitted to fewer than 3 networks within 15% of 3 ms" in line


def test_the_margin_is_that_of_the_target():
    """Oracle: the residuals' own; fast networks are predicted ten times worse."""
    rng = np.random.default_rng(0)
    predicted_ms = np.geomspace(1, 100, 90)
    sizes = np.where(predicted_ms < 10, 0.1, 0.01)
    known = table(Residuals(sizes * rng.standard_normal(90), predicted_ms).as_dict())
    fast, slow = (LatencyLimit(known, ms, confidence=0.9).margin for ms in (2.0, 80.0))
    assert fast > 4 * slow > 0
    assert LatencyLimit(known, 2.0).margin == 0
