"""The floors of the code: each folder imports only from those below it."""

import ast
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
FLOORS = (
    {"utils"},
    {"models"},
    {"networks"},
    {"nas"},
    {"pipeline"},
    {"latency", "train_nas", "train_final", "demo"},
    {"benchmarks"},
)
HEIGHT = {name: height for height, floor in enumerate(FLOORS) for name in floor}
FRAMEWORKS = {  # and what the paths of files that import them contain
    "torch": ("torch", "tensorrt"),  # whose buffers are tensors
    "mxnet": ("gluon",),
    "gluoncv": ("gluon",),
    "onnxruntime": ("onnx", "runtimes"),
    "openvino": ("runtimes",),
    "tensorrt": ("tensorrt",),
    "ai_edge_litert": ("tflite", "runtimes"),
}


def sources():
    """Return {path from the root: its top-level name} of all code but tests and examples."""
    files = [path.relative_to(ROOT) for name in HEIGHT for path in ROOT.glob(f"{name}/**/*.py")]
    files += [Path(f"{name}.py") for name in HEIGHT if (ROOT / f"{name}.py").exists()]
    return {path: path.with_suffix("").parts[0] for path in files}


def imported(path):
    """Yield (line number, top-level name) of every import in a file, wherever it stands."""
    for node in ast.walk(ast.parse((ROOT / path).read_text())):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name.partition(".")[0]) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.lineno, node.module.partition(".")[0]


def runs_up(path, top):
    """Return "file:line imports x" for the imports of a file from floors above its own."""
    return [
        f"{path}:{line} imports {name}"
        for line, name in imported(path)
        if HEIGHT.get(name, -1) > HEIGHT[top]
    ]


def test_no_import_runs_up():
    assert [line for path, top in sources().items() for line in runs_up(path, top)] == []


def test_the_mathematics_need_no_framework():
    offenders = [
        f"{path}:{line} imports {name}"
        for path, top in sources().items()
        if top == "nas"
        for line, name in imported(path)
        if name in FRAMEWORKS
    ]
    assert offenders == []


def test_frameworks_are_imported_where_their_names_stand():
    """Benchmarks and the scripts compose what they need."""
    offenders = [
        f"{path}:{line} imports {name}"
        for path, top in sources().items()
        if top in {"utils", "models", "networks", "nas", "pipeline"}
        for line, name in imported(path)
        if name in FRAMEWORKS and not any(title in str(path) for title in FRAMEWORKS[name])
    ]
    assert offenders == []


def test_no_test_imports_from_another():
    """What tests share stands in tests/helpers."""
    offenders = []
    for path in (ROOT / "tests").glob("**/test_*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            module = getattr(node, "module", None) or ""
            if module.startswith("tests.") and not module.startswith("tests.helpers"):
                offenders.append(f"{path.relative_to(ROOT)}:{node.lineno} imports {module}")
    assert offenders == []
