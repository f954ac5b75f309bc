"""`latency.py devices`, on stand-ins and on this machine's own runtimes."""

import importlib.metadata

import latency
from pipeline.latency.device_list import device_lines
from utils.devices import DEVICES
from utils.errors import UserError


class Described:
    def describe(self):
        return {"runtime": "Some Runtime", "versions": {"some": "1.2", "other": "3"}}


def test_each_device_has_one_line():
    """Oracle: lines written by hand."""

    def open_one(name, workload):
        if name == "one":
            return Described()
        if name == "two":
            raise UserError("device two needs the Python package 'two'")
        if name == "three":
            raise UserError("device three: there is no such card")
        raise OSError("libfour.so: cannot open\nmore about it")

    assert list(device_lines(["one", "two", "three", "four"], open_one)) == [
        "one          usable  Some Runtime (some 1.2, other 3)",
        "two          –       needs the Python package 'two'",
        "three        –       there is no such card",
        "four         –       OSError: more about it",
    ]


def test_the_devices_of_this_machine_are_told(capsys):
    """Oracle: each name of DEVICES, in order, and the version that pip knows."""
    latency.main(["devices"])
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == list(DEVICES)
    (line,) = (line for line in lines if line.startswith("onnxruntime"))
    assert f"(onnxruntime {importlib.metadata.version('onnxruntime')})" in line
    (line,) = (line for line in lines if line.startswith("command"))
    assert "needs --command" in line
