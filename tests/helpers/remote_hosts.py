"""Hosts that are this machine, behind a pipe: a bare Python that finds nothing of ours."""

import shlex

from utils.devices.remote_pipe import Host

NAME = "pi@kitchen"
# Printed before anything starts, as a login on another machine may do.
PIPE = """#!/bin/sh
echo "Welcome to $1"
shift
cd /
{setting}
exec {words}
"""
# Prints on standard output as some libraries do; sleeps where a network says so.
RUNTIME = """
import os, time
print("loading", flush=True)
class SessionOptions: pass
class Named: name = "x"
class InferenceSession:
    def __init__(self, model, options, providers):
        os.write(1, b"compiling")
        if model == b"broken":
            raise RuntimeError("no kernel for\\nthis")
        self.seconds = {b"slow": 60, b"a second": 1}.get(model, 0.001)
    def io_binding(self): return self
    def bind_cpu_input(self, *_): pass
    def bind_output(self, *_): pass
    def get_inputs(self): return [Named]
    def get_outputs(self): return [Named]
    def run_with_iobinding(self, _):
        print("running", flush=True)
        time.sleep(self.seconds)
"""


def piped(folder, python, setting="", words='"$@"'):
    """Return a Host behind a script that runs the words it is given.

    setting: a shell command before them; words: what is run instead
    """
    script = folder / f"pipe{len(list(folder.glob('pipe*')))}"
    script.write_text(PIPE.format(setting=setting, words=words))
    script.chmod(0o755)
    return Host(NAME, shlex.quote(str(script)), shlex.quote(str(python)))


def options(host):
    """Return the command line's options of a Host."""
    way = ["--remote-shell", host.shell, "--remote-python", host.python]
    return ["--host", host.name, *way]


def stand_in_runtime(python):
    """Give a bare Python a package `onnxruntime` that prints, and runs nothing."""
    (site,) = python.parents[1].glob("lib/python*/site-packages")
    (site / "onnxruntime.py").write_text(RUNTIME)
