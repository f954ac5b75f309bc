import re
from html.parser import HTMLParser

import numpy as np
import pytest

from benchmarks.oracles.synthetic_device import SyntheticDevice
from nas.latency_fit import fit
from nas.latency_table import LatencyTable
from nas.search_space import SearchSpace
from nas.validation.conformal import Interval
from nas.validation.validated_fit import fit_validated
from pipeline.latency.page import write_report
from utils.errors import UserError
from utils.metadata import Metadata

SPACE = SearchSpace(input_size=32, classes=10, levels=3)
HEADINGS = [
    "How far to trust it",
    "What a step of width costs",
    "Dominated widths",
    "The table, layer by layer",
    "Coverage",
    "Metadata",
]


class Reader(HTMLParser):
    """Collects headings, picture sources and other links; checks that tags are closed in order."""

    def __init__(self):
        super().__init__()
        self.open, self.headings, self.sources, self.links = [], [], [], []

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        if tag == "img":
            self.sources.append(attrs["src"])
        if "href" in attrs:
            self.links.append(attrs["href"])
        if tag not in {"meta", "img"}:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] == "h2":
            self.headings.append(data)


def read(path):
    reader = Reader()
    reader.feed(path.read_text())
    assert reader.open == []
    return reader


@pytest.fixture(scope="module")
def samples():
    rng = np.random.default_rng(0)
    configurations = [SPACE.draw_uniform(rng) for _ in range(80)]
    latencies_ms = SyntheticDevice(SPACE).measure(configurations, rng).tolist()
    return list(zip(configurations, latencies_ms, strict=True))


def test_the_page_holds_everything_inside_itself(samples, tmp_path):
    metadata = {"device": "cpu", "device_name": "a <b>fast</b> & small one", "threads": 2}
    metadata["place"] = '"><script>{{ 7 * 7 }}'
    table = fit_validated(
        samples, SPACE, np.random.default_rng(0), 100, "auto", Metadata.of(metadata)
    )
    write_report(table, tmp_path / "page.html")
    reader = read(tmp_path / "page.html")
    text = (tmp_path / "page.html").read_text()
    assert reader.headings == HEADINGS
    assert len(reader.sources) == 4
    assert all(source.startswith("data:image/png;base64,iVBOR") for source in reader.sources)
    assert all(re.fullmatch(r"#s\d", link) for link in reader.links)
    assert "http" not in text
    assert "<script" not in text
    assert "{{ 7 * 7 }}" in text
    assert "a &lt;b&gt;fast&lt;/b&gt; &amp; small one, 2 threads" in text
    assert f"± {Interval.of(table).width}" in text
    assert "slowest third" in text


def test_a_table_of_another_program_has_a_page_that_says_what_is_missing(tmp_path, capsys):
    space = SearchSpace()
    entries = {v: 1e-3 * (v.in_channels + v.out_channels) for v in space.variables}
    write_report(LatencyTable(entries, source="<model>.jsonl"), tmp_path / "page.html")
    reader = read(tmp_path / "page.html")
    text = (tmp_path / "page.html").read_text()
    assert reader.headings == HEADINGS
    assert len(reader.sources) == 2
    assert "does not state how it was validated" in text
    assert "does not state how often" in text
    assert "&lt;model&gt;.jsonl" in text


def test_a_table_for_another_space_is_refused_and_nothing_is_written(samples, tmp_path):
    table = fit(samples, SPACE, 100, strength=1)
    table = table.with_metadata(table.metadata.without("search_space"))
    with pytest.raises(UserError, match="made for input size 32 and 10 classes"):
        write_report(table, tmp_path / "page.html")
    assert not (tmp_path / "page.html").exists()


def test_a_table_without_metadata_is_of_its_own_input_size(tmp_path):
    space = SearchSpace(input_size=64, classes=10)
    table = LatencyTable({variable: 1.0 for variable in space.variables})
    write_report(table, tmp_path / "page.html")
    assert "input 64×64, 10 classes" in (tmp_path / "page.html").read_text()
