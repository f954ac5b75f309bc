"""latency.py's fit, validate, report and generate --until, command by command."""

import json
import os
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

import latency
from benchmarks.oracles.synthetic_device import SyntheticDevice
from nas.latency_fit import fit
from nas.latency_table import LatencyTable
from nas.search_space import SearchSpace
from nas.validation import stopping
from nas.validation.conformal import Interval
from pipeline.latency.options import fit_weights
from tests.helpers.stand_in_device import StandInDevice
from utils.json_lines import read_lines, write_lines, write_metadata
from utils.metadata import Metadata

SPACE = SearchSpace(input_size=32, classes=10, levels=3)
DEVICE = SyntheticDevice(SPACE)


def write_samples(path, count, seed):
    """Write a samples file of synthetic timings; returns its (configuration, latency) pairs."""
    rng = np.random.default_rng(seed)
    configurations = [SPACE.draw_uniform(rng) for _ in range(count)]
    latencies_ms = DEVICE.measure(configurations, rng).tolist()
    write_lines(path, [[list(c), ms] for c, ms in zip(configurations, latencies_ms, strict=True)])
    write_metadata(
        path, Metadata.of({"device": "synthetic", "search_space": SPACE.as_dict(), "seed": seed})
    )
    return list(zip(configurations, latencies_ms, strict=True))


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_samples("s.jsonl", 60, seed=0)
    return tmp_path


def fails(capsys, *command):
    """Return the one line on standard error of a command that ends with status 2."""
    with pytest.raises(SystemExit) as ended:
        latency.main(list(command))
    assert ended.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    return line


def test_fit_chooses_its_weights_and_draws_the_curve(folder, capsys):
    latency.main(["fit", "s.jsonl", "m.jsonl"])
    report = LatencyTable.load("m.jsonl").metadata.fit
    assert report.prior == "shared"
    assert len(report.cross_validation.trials) > 8
    output = capsys.readouterr().out
    for words in ("SCS reports 'optimal'", "within 1 % of the least", "90 % interval"):
        assert words in output
    assert (folder / "m.jsonl.cross_validation.png").read_bytes().startswith(b"\x89PNG")


def test_outputs_may_be_a_pipe(folder):
    """A pipe's reader gets what a file would hold; nothing appears beside it."""
    write_samples("few.jsonl", 5, seed=1)
    latency.main(["fit", "few.jsonl", "m.jsonl", "-K", "1"])
    os.mkfifo("pipe")
    before = sorted(os.listdir())
    for command, start in (
        (["fit", "few.jsonl", "pipe", "-K", "1"], Path("m.jsonl").read_bytes()),
        (["validate", "few.jsonl", "m.jsonl", "pipe"], b"\x89PNG"),
    ):
        with ThreadPoolExecutor(1) as pool:
            reader = pool.submit(Path("pipe").read_bytes)
            latency.main(command)
            assert reader.result().startswith(start)
    assert sorted(os.listdir()) == before
    assert stat.S_ISFIFO(os.stat("pipe").st_mode)


def test_what_the_shell_redirects_to_keeps_what_it_holds(folder):
    """Oracle: a table in a file; what is printed about it goes to the standard error."""
    write_samples("few.jsonl", 5, seed=1)
    command = [sys.executable, latency.__file__, "fit", "few.jsonl", "/dev/stdout", "-K", "1"]
    latency.main(["fit", "few.jsonl", "m.jsonl", "-K", "1"])
    Path("all.txt").write_text("before\n")
    with open("all.txt", "ab") as output:
        done = subprocess.run(command, stdout=output, stderr=subprocess.PIPE, check=True)
    assert Path("all.txt").read_text() == "before\n" + Path("m.jsonl").read_text()
    assert b"5 samples" in done.stderr


def test_the_curve_of_a_table_that_is_replaced_goes(folder):
    """Oracle: a fit without cross-validation draws none; a curve with a name of its own stays."""
    latency.main(["fit", "s.jsonl", "m.jsonl", "--curve", "mine.png"])
    latency.main(["fit", "s.jsonl", "m.jsonl"])
    write_samples("few.jsonl", 5, seed=1)
    latency.main(["fit", "few.jsonl", "m.jsonl", "-K", "1"])
    assert not Path("m.jsonl.cross_validation.png").exists()
    assert Path("mine.png").exists()


def test_k_alone_is_exactly_equation_7(folder):
    """Oracle: nas.latency_fit.fit, which is tested against another solver."""
    samples = [(tuple(line[0]), line[1]) for _, line in read_lines("s.jsonl")]
    latency.main(["fit", "s.jsonl", "m.jsonl", "-K", "10", "--curve", "c.png"])
    table = LatencyTable.load("m.jsonl")
    np.testing.assert_array_equal(table.values(SPACE), fit(samples, SPACE, 10).values(SPACE))
    assert table.metadata.fit.prior == "none"
    assert (folder / "c.png").exists()


@pytest.mark.parametrize(
    ("options", "weights"),
    [
        ([], ("auto", "auto")),
        (["-K", "100"], (100, 0)),
        (["-K", "0"], (0, 0)),
        (["-K", "auto"], ("auto", "auto")),
        (["-K", "auto", "--prior", "none"], ("auto", 0)),
        (["--prior", "none"], ("auto", 0)),
        (["--prior", "linear", "-K", "5"], (5, "auto")),
        (["--strength", "3", "-K", "5"], (5, 3)),
        (["--strength", "3"], ("auto", 3)),
    ],
)
def test_what_the_options_of_fit_mean(options, weights):
    """The table is written by hand, from the options' help."""
    args = latency.build_parser().parse_args(["fit", "s.jsonl", "m.jsonl", *options])
    assert fit_weights(args) == weights


def test_contradictions_and_bad_weights_are_one_line(folder, capsys):
    assert "there is --prior none" in fails(
        capsys, "fit", "s.jsonl", "m.jsonl", "--prior", "none", "--strength", "1"
    )
    for bad in ("-1", "nan", "some"):
        assert "argument -K" in fails(capsys, "fit", "s.jsonl", "m.jsonl", "-K", bad)
    write_samples("few.jsonl", 4, seed=1)
    line = fails(capsys, "fit", "few.jsonl", "m.jsonl")
    assert line.startswith("error: 4 different configurations are too few for 5 folds")
    assert not (folder / "m.jsonl").exists()


def test_k_0_warns_that_the_table_is_not_unique(folder, capsys):
    latency.main(["fit", "s.jsonl", "m.jsonl", "-K", "0"])
    assert "warning: K = 0 and no prior: the table is not unique" in capsys.readouterr().err


def test_validate_states_interval_errors_and_the_five_worst(folder, capsys):
    """Oracle: the share inside, computed from the saved table."""
    held_out = write_samples("v.jsonl", 50, seed=5)
    latency.main(["fit", "s.jsonl", "m.jsonl", "--strength", "1", "-K", "100"])
    capsys.readouterr()
    latency.main(["validate", "v.jsonl", "m.jsonl", "p.png"])
    output = capsys.readouterr().out
    table = LatencyTable.load("m.jsonl")
    predicted_ms = np.array([table.predict(configuration) for configuration, _ in held_out])
    measured_ms = np.array([latency_ms for _, latency_ms in held_out])
    share = 100 * Interval.of(table).coverage(predicted_ms, measured_ms)
    assert f"%): {share:g} % of the networks" in output
    worst = held_out[np.abs(predicted_ms - measured_ms).argmax()][0]
    rows = output[output.index("worst") :].splitlines()[1:6]
    assert str(worst) in rows[0]
    assert all(" predicted, " in row for row in rows)
    assert (folder / "p.png").read_bytes().startswith(b"\x89PNG")


def test_validate_accepts_a_table_without_metadata(folder, capsys):
    space = SearchSpace()
    lines = [
        [{"in_size": v.in_size, "kernel_size": v.kernel_size, "stride": v.stride, "dw": v.dw,
          "bias": v.bias, "in_channels": v.in_channels, "out_channels": v.out_channels}, 0.1]
        for v in space.variables
    ]  # fmt: skip
    write_lines("foreign.jsonl", lines)
    write_lines("plain.jsonl", [[list(space.smallest), 1.4], [list(space.largest), 1.6]])
    latency.main(["validate", "plain.jsonl", "foreign.jsonl", "p.png"])
    output = capsys.readouterr()
    assert "states no interval" in output.out
    assert "largest error 0.1 ms" in output.out
    assert "foreign.jsonl.meta.json is missing" in output.err
    latency.main(["fit", "plain.jsonl", "m.jsonl", "-K", "1"])
    capsys.readouterr()
    latency.main(["validate", "plain.jsonl", "m.jsonl", "p.png"])
    assert "same seed" not in capsys.readouterr().err  # no seed is known


def test_report_writes_a_page(folder, capsys):
    fit(write_samples("s.jsonl", 60, seed=0), SPACE, 100, strength=1).save("m.jsonl")
    capsys.readouterr()
    latency.main(["report", "m.jsonl", "page.html"])
    text = (folder / "page.html").read_text()
    assert "Latency table m.jsonl" in text
    assert "data:image/png;base64" in text
    (folder / "broken.jsonl").write_text("{}\n")
    capsys.readouterr()
    assert "broken.jsonl, line 1" in fails(capsys, "report", "broken.jsonl", "other.html")
    assert not (folder / "other.html").exists()


class NoisyDevice(StandInDevice):
    """A stand-in whose every timing is off by 20 %, at random: no table gets below that."""

    rng = np.random.default_rng(0)

    def run(self, handle):
        return super().run(handle) * self.rng.lognormal(0, 0.2)


def generate(*options):
    command = ["generate", "-D", "cpu", "--input-size", "32", "--classes", "10", "--levels", "2",
               "-B", "1", "-I", "2", "-W", "0", "--rounds", "0"]  # fmt: skip
    latency.main([*command, *options, "new.jsonl"])
    return [json.loads(line) for line in open("new.jsonl", encoding="utf-8")]


def test_generate_stops_when_the_target_is_reached_and_stays_stopped(folder, capsys, monkeypatch):
    """Oracle: the stand-in's additive law, without noise, and the first check at 50 samples."""
    monkeypatch.setattr(
        latency, "open_device", lambda name, workload, host: StandInDevice(workload)
    )
    lines = generate("-N", "300", "--until", "10")
    assert 50 <= len(lines) < 300
    assert "the target of 10 % is reached" in capsys.readouterr().out
    assert generate("-N", "300", "--until", "10") == lines
    assert len(generate("-N", str(len(lines) + 3))) == len(lines) + 3


def test_generate_stops_when_noise_is_the_floor(folder, capsys, monkeypatch):
    monkeypatch.setattr(latency, "open_device", lambda _, workload, host: NoisyDevice(workload))
    monkeypatch.setattr(stopping, "GROWTH", 4)  # fewer checks: at 50, 200, 800 and 3,200
    lines = generate("-N", "4000", "--until", "0.5")
    assert len(lines) < 4000
    assert "more samples do not help" in capsys.readouterr().out


def test_generate_ends_at_count_with_a_last_verdict(folder, capsys, monkeypatch):
    monkeypatch.setattr(latency, "open_device", lambda _, workload, host: NoisyDevice(workload))
    assert len(generate("--biased", "-N", "60", "--until", "0.5")) == 60
    verdicts = [line for line in capsys.readouterr().out.splitlines() if "cross-val" in line]
    assert [verdict.split()[0] for verdict in verdicts] == ["50", "60"]


def test_until_must_be_positive(folder, capsys):
    assert "0 per cent cannot be reached" in fails(
        capsys, "generate", "-D", "cpu", "--until", "0", "new.jsonl"
    )
