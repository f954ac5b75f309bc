"""What the driver tells of a GPU, from an answer as nvidia-smi prints it."""

import subprocess
from types import SimpleNamespace

import pytest

from utils.devices.nvidia import FIELDS, driver_version, gpu_state


def test_an_answer_is_split_into_its_fields():
    def query(command, **options):
        assert command[1] == f"--query-gpu={','.join(FIELDS)}"
        return SimpleNamespace(stdout="1980, 2619, 34, 118.10, 0x0000000000000000\n210, 405, 30\n")

    state = gpu_state(query)
    assert state["clocks.sm"] == "1980"
    assert state["clocks_throttle_reasons.active"] == "0x0000000000000000"
    assert set(state) == set(FIELDS)


@pytest.mark.parametrize("answer", ["", "garbage", "1, 2"])
def test_an_answer_that_is_none_is_nothing(answer):
    assert gpu_state(lambda command, **options: SimpleNamespace(stdout=answer)) == {}


@pytest.mark.parametrize(
    "error",
    [
        FileNotFoundError(),
        subprocess.CalledProcessError(9, "nvidia-smi"),
        subprocess.TimeoutExpired("nvidia-smi", 10),
    ],
)
def test_no_driver_is_no_error(error):
    def query(command, **options):
        raise error

    assert gpu_state(query) == {}


def test_the_drivers_version_is_told():
    answer = SimpleNamespace(stdout="580.159.04\n580.159.04\n")
    assert driver_version(lambda command, **options: answer) == "580.159.04"


def test_no_driver_has_no_version():
    def query(command, **options):
        raise FileNotFoundError(command[0])

    assert driver_version(query) is None
