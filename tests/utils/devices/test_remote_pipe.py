"""The pipe: how it starts, and one line for everything that can go wrong with it."""

import os
import signal
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from benchmarks.loopback import bare_python
from tests.helpers.remote_hosts import NAME, piped, stand_in_runtime
from utils.devices import cpu_runtimes, remote_pipe
from utils.devices.remote_pipe import Host, Pipe, RemoteError
from utils.errors import UserError

RUNTIMES = "utils.devices.cpu_runtimes"
WORKLOAD = {"images_shape": (1, 3, 8, 8), "threads": 1, "clock": "wall"}
PYTHON_3_6 = r"printf '\nremote agent on Python 3.6.9\n'"


@pytest.fixture(scope="module")
def python(tmp_path_factory):
    """Return a Python with NumPy and a runtime that prints on standard output."""
    path = bare_python(tmp_path_factory.mktemp("bare"), ["numpy"])
    stand_in_runtime(path)
    return path


@pytest.fixture
def pipe(tmp_path, python):
    """Return a Pipe whose agent has a runtime."""
    return opened(Pipe(piped(tmp_path, python)))


def opened(pipe):
    """Return a Pipe after its agent has opened the runtime."""
    pipe.ask("add_module", name=RUNTIMES, data=Path(cpu_runtimes.__file__).read_bytes())
    pipe.ask("open", module=RUNTIMES, name="onnxruntime", workload=WORKLOAD)
    return pipe


def agent_of(pipe):
    """Return the id of the agent's process: the script has become it."""
    return pipe._process.pid


def has_ended(process_id):
    """Return whether a process ends within a minute."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            os.kill(process_id, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.05)
    return False


@pytest.mark.parametrize(
    ("shell", "python", "words"),
    [
        ("ssh -p 2222", "python3", ["ssh", "-p", "2222", NAME, "python3"]),
        ("docker exec -i", "venv/bin/python", ["docker", "exec", "-i", NAME, "venv/bin/python"]),
        ("adb -s {host} shell", "python3", ["adb", "-s", NAME, "shell", "python3"]),
        ("kubectl exec -i pod/{host} --", "p", ["kubectl", "exec", "-i", f"pod/{NAME}", "--", "p"]),
        ("'a b' c", "nice -n 5 python3", ["a b", "c", NAME, "nice", "-n", "5", "python3"]),
    ],
)
def test_the_command_has_the_host_and_the_python(shell, python, words):
    """Words by hand; none of those that are added means anything to a shell."""
    *command, no_site, quiet, interactive = Host(NAME, shell, python).command()
    assert command == words
    assert (no_site, quiet, interactive) == ("-S", "-q", "-i")


@pytest.mark.parametrize(
    ("host", "complaint"),
    [
        (Host(""), "'' is not the name of a host"),
        (Host("-oProxyCommand=x"), "is not the name of a host"),
        (Host("a", "ssh 'x"), "No closing quotation"),
        (Host("a", ""), "need at least one word"),
        (Host("a", "ssh", " "), "need at least one word"),
    ],
)
def test_what_is_no_command_is_refused(host, complaint):
    with pytest.raises(UserError, match=complaint):
        host.command()


@pytest.mark.parametrize(
    ("way", "complaint"),
    [
        ({"words": "no-such-program"}, "no-such-program: not found"),
        ({"words": "false"}, "pipe0 ended with status 1"),
        ({"words": "sh -c 'echo x is unreachable >&2; exit 255'"}, "x is unreachable"),
        ({"words": "sh -c 'kill -KILL $$'"}, "pipe0 was killed by SIGKILL"),
        ({"words": "sh -c 'kill -35 $$'"}, "pipe0 was killed by signal 35"),
        ({"setting": PYTHON_3_6, "words": "cat"}, "is Python 3.6.9, 3.8 or later is needed"),
        ({"words": "cat /dev/zero"}, "no Python that reads its standard input"),
    ],
)
def test_what_does_not_start_is_one_line(tmp_path, way, complaint):
    """Oracle: the reason that the command gives, or its status, after the host's name."""
    with pytest.raises(UserError, match=complaint) as caught:
        Pipe(piped(tmp_path, "python3", **way))
    assert str(caught.value).startswith(f"{NAME}: ")
    assert "\n" not in str(caught.value)


def test_a_missing_command_is_one_line():
    with pytest.raises(UserError, match=rf"^{NAME}: /no/such/ssh: No such file or directory$"):
        Pipe(Host(NAME, "/no/such/ssh"))


def test_what_never_starts_is_given_up(tmp_path, monkeypatch):
    monkeypatch.setattr(remote_pipe, "START_S", 1)
    with pytest.raises(UserError, match=f"{NAME}: nothing started there within 1 s"):
        Pipe(piped(tmp_path, "python3", words="sleep 1000"))


def test_what_libraries_print_does_not_reach_the_answers(pipe):
    """The stand-in prints when it is loaded, when it loads a network, and when it runs one."""
    pipe.ask("load", data=b"network", handle=0)
    times = pipe.ask("visit", handle=0, timed=3, untimed=1, seconds=0.0)["times_s"]
    assert len(times) == 3
    assert min(times) >= 0.001


def test_an_error_there_does_not_end_the_agent(pipe):
    with pytest.raises(RemoteError, match="no kernel for") as caught:
        pipe.ask("load", data=b"broken", handle=0)
    assert caught.value.kind == "RuntimeError"
    assert pipe.ask("free_memory")["bytes"] > 0


def test_a_missing_package_is_named(tmp_path):
    pipe = Pipe(piped(tmp_path, bare_python(tmp_path / "bare", ["numpy"])))
    with pytest.raises(RemoteError) as caught:
        opened(pipe)
    assert (caught.value.kind, caught.value.module) == ("ModuleNotFoundError", "onnxruntime")


def test_a_killed_agent_is_one_line_now_and_later(pipe):
    os.kill(agent_of(pipe), signal.SIGKILL)
    for _ in range(2):
        with pytest.raises(UserError, match=rf"^{NAME}: pipe0 was killed by SIGKILL"):
            pipe.ask("state")
    assert not pipe.is_open


def test_an_agent_behind_a_shell_that_is_killed_is_one_line(tmp_path, python):
    """The shell outlives the agent, as ssh does, and tells its status."""
    pipe = Pipe(piped(tmp_path, python, words='sh -c \'"$@"; exit 255\' sh "$@"'))
    os.kill(children_of(agent_of(pipe))[0], signal.SIGKILL)
    with pytest.raises(UserError, match=r"status 255.*: the agent there was killed, perhaps for"):
        pipe.ask("state")


def children_of(process_id):
    with open(f"/proc/{process_id}/task/{process_id}/children", encoding="utf-8") as file:
        return [int(word) for word in file.read().split()]


def test_a_silent_agent_is_given_up(pipe):
    os.kill(agent_of(pipe), signal.SIGSTOP)
    with pytest.raises(UserError, match=f"{NAME}: no answer for 1 s"):
        pipe.ask("state", patience_s=1)
    assert has_ended(agent_of(pipe))


def test_a_long_run_is_waited_for(pipe):
    """Runs of 6 s in all, with patience for 5: the agent tells every 2 s that it is alive."""
    runs = {"untimed": 0, "seconds": 0.0}
    pipe.ask("load", data=b"a second", handle=0)
    times = pipe.ask("visit", handle=0, timed=6, patience_s=5, **runs)["times_s"]
    assert sum(times) >= 6


def test_the_agent_ends_in_the_middle_of_a_run(pipe):
    pipe.ask("load", data=b"slow", handle=0)
    process_id = agent_of(pipe)
    with pytest.raises(UserError, match="no answer for 1 s"):
        pipe.ask("visit", handle=0, timed=9, untimed=0, seconds=0.0, patience_s=1)
    assert has_ended(process_id)


def test_the_agent_ends_with_the_last_reference(pipe, tmp_path, python):
    process_id = agent_of(other := Pipe(piped(tmp_path, python)))
    del other
    assert has_ended(process_id)
    assert not has_ended_now(agent_of(pipe))


def has_ended_now(process_id):
    return not os.path.exists(f"/proc/{process_id}")


def test_nothing_is_stored_there(tmp_path, python, monkeypatch):
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("TMPDIR", str(home))
    pipe = Pipe(piped(tmp_path, python))
    opened(pipe).end()
    with pytest.raises(UserError, match="needed"):
        Pipe(piped(tmp_path, "python3", setting=PYTHON_3_6, words="cat"))
    assert list(home.iterdir()) == []


def test_large_networks_pass(pipe):
    """Larger than any pipe's buffer, in both directions at once."""
    data = np.random.default_rng(0).bytes(5_000_000)
    pipe.ask("load", data=data, handle=0)
    assert pipe.is_open
    assert sys.getsizeof(pipe._received) < 100_000
