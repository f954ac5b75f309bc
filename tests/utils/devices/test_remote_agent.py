"""What an agent's Python reads, by the grammar of the oldest one; tests of the pipe run it."""

import ast
import importlib.util
import sys
from pathlib import Path

import pytest

from utils.devices import remote_agent
from utils.devices.remote import KITS
from utils.devices.remote_pipe import BOOTSTRAP

PACKAGES = {"ai_edge_litert", "numpy", "onnxruntime", "openvino", "torch", "tensorrt"}


def imports(nodes):
    """Return the names that statements import."""
    names = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add(node.module)
    return names


def parsed(module):
    path = Path(importlib.util.find_spec(module).origin)
    return ast.parse(path.read_text(encoding="utf-8"), feature_version=(3, 8))


def test_the_agent_needs_the_standard_library_only():
    """The oracle is the interpreter's list of its own modules."""
    assert imports(ast.walk(parsed(remote_agent.__name__))) <= sys.stdlib_module_names


def test_every_python_3_understands_the_first_line():
    ast.parse(BOOTSTRAP.replace("SIZE", "1"), feature_version=(3, 4))
    assert "\n" not in BOOTSTRAP


@pytest.mark.parametrize("device", KITS)
def test_a_kit_needs_the_standard_library_the_runtime_and_itself(device):
    known, others = set(), PACKAGES | sys.stdlib_module_names
    for module in KITS[device].modules:
        needed = imports(ast.walk(parsed(module))) - known
        assert {name for name in needed if name.partition(".")[0] not in others} == set()
        known.add(module)
