"""latency.py and --verify on another machine: through a pipe, and through a real sshd."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

import latency
from benchmarks.loopback import NoSshdError, bare_python, loopback
from benchmarks.remote_kills import QUICK, VICTIMS, kill_one, lines_of
from nas.search_space import SearchSpace
from pipeline.latency.measuring_again import measure_again
from pipeline.latency.samples import load_samples
from tests.helpers.remote_hosts import NAME, options, piped
from utils.errors import UserError
from utils.json_lines import metadata_path, read_metadata

SIZES = ["-D", "onnxruntime", *QUICK]


@pytest.fixture(scope="module")
def python(tmp_path_factory):
    pytest.importorskip("onnxruntime")
    return bare_python(tmp_path_factory.mktemp("bare"))


@pytest.fixture
def host(tmp_path, python):
    return piped(tmp_path, python)


def generate(path, count, *arguments):
    latency.main(["generate", *SIZES, *arguments, "-N", str(count), str(path)])
    return lines_of(path)


def failure(capsys, call, *arguments):
    """Return the one line in which a call ends, with status 2."""
    capsys.readouterr()
    with pytest.raises(SystemExit) as caught:
        call(*arguments)
    assert caught.value.code == 2
    said = capsys.readouterr().err.replace("\r", "\n").splitlines()
    (line,) = [line for line in said if line.startswith("error: ")]
    return line


@pytest.mark.parametrize("rounds", ["0", "2"])
def test_samples_of_a_host_are_continued_and_not_mixed(tmp_path, capsys, host, rounds):
    """Oracle: the lines of the first run; three refusals that name where else it was."""
    path, here = tmp_path / "there.jsonl", tmp_path / "here.jsonl"
    first = generate(path, 3, *options(host), "--rounds", rounds)
    assert generate(path, 5, *options(host), "--rounds", rounds)[:3] == first
    metadata = read_metadata(path)
    assert metadata.host == NAME
    assert metadata.client["remote_shell"] == host.shell
    assert len(generate(here, 2, "--rounds", rounds)) == 2
    for arguments in ([], options(replace(host, name="pi@attic"))):
        line = failure(capsys, generate, path, 9, *arguments, "--rounds", rounds)
        now = arguments[1] if arguments else "this machine"
        assert f"host was '{NAME}', now it is '{now}'" in line
    with pytest.raises(UserError, match=f"host is '{NAME}' in the first and 'this machine'"):
        load_samples([path, here])


def test_another_client_may_continue(tmp_path, host):
    """What is known of the machine that measures on the host is no setting."""
    path = tmp_path / "s.jsonl"
    generate(path, 1, *options(host))
    stated = read_metadata(path).stated
    stated["client"]["device_name"] = "another machine"
    metadata_path(path).write_text(json.dumps(stated))
    assert len(generate(path, 2, *options(host))) == 2


def test_single_networks_and_files_are_timed_there(tmp_path, capsys, host):
    """An ONNX file that the runtime cannot run is one line, as on this machine."""
    from onnx import TensorProto

    from tests.helpers.onnx_graphs import classifier, saved

    file = saved(classifier(TensorProto.UINT8), tmp_path / "bytes.onnx")
    arguments = ["benchmark", "-D", "onnxruntime", "-B", "2", "-I", "3", *options(host)]
    latency.main([*arguments, file, "0.25xMOBILENET", "--json"])
    output = json.loads(capsys.readouterr().out)
    assert output["metadata"]["host"] == NAME
    assert [result["runs"] for result in output["results"]] == [3, 3]
    latency.main([*arguments, file])
    assert f"onnxruntime on {NAME}: " in capsys.readouterr().out
    bad = saved(classifier(domain="my.ops"), tmp_path / "bad.onnx")
    assert f"{bad}: ONNX Runtime cannot run it: " in failure(
        capsys, latency.main, [*arguments, bad]
    )


def test_ways_to_a_host_need_a_host(tmp_path, capsys):
    line = failure(capsys, generate, tmp_path / "s.jsonl", 1, "--remote-python", "python3.9")
    assert "--remote-python goes with --host" in line


def test_more_networks_are_measured_on_the_host_of_a_table(tmp_path, host):
    """In a process of its own; the table's metadata name the host, the user the way to it."""
    path = tmp_path / "s.jsonl"
    generate(path, 1, *options(host), "--rounds", "2")
    metadata = read_metadata(path).settings
    ways = {"shell": host.shell, "python": host.python}
    narrow, wide = SearchSpace.of(metadata, path).largest, (8,) * 14
    lines = measure_again(metadata, [narrow, wide], 0, **ways)
    assert [tuple(line[0]) for line in lines] == [narrow, wide]
    other = metadata.stating(device_name="a Pi")
    with pytest.raises(UserError, match=rf"model is of 'a Pi', {NAME} has '"):
        measure_again(other, [wide], 0, **ways)
    lost = {**ways, "shell": "false"}
    with pytest.raises(UserError, match=f"{NAME}: false ended with status 1"):
        measure_again(metadata, [wide], 0, **lost)


def test_nothing_is_lost_or_left_when_any_process_is_killed(tmp_path, python):
    """By a real sshd; python -m benchmarks.remote_kills kills 50 times."""
    path = Path(tmp_path / "s.jsonl")
    try:
        with loopback(python) as host:
            for victim in VICTIMS:
                problems, *_ = kill_one(path, host, victim, 0.1)
                assert problems == []
            done = lines_of(path)
            ways = [*options(host), "--rounds", "2", "--group-size", "3"]
            assert generate(path, len(done) + 2, *ways)[: len(done)] == done
    except NoSshdError as error:
        pytest.skip(str(error))
