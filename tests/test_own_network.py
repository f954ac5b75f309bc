"""All steps with the network of docs/your-own-network.md, and what can be wrong with --network."""

import json
import re
from pathlib import Path

import onnx
import pytest

import latency
import train_final
import train_nas
from models.onnx_file import OnnxFile
from nas.latency_table import LatencyTable
from nas.search_space import SearchSpace
from utils import checkpoints

PAGE = Path(__file__).parents[1] / "docs" / "your-own-network.md"
SIZES = ["--input-size", "16", "--classes", "10"]
DEVICE = ["-D", "onnxruntime", "-B", "1", "-I", "2", "-W", "0"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with the page's network, samples, a table, a search, a training and its export."""
    folder = tmp_path_factory.mktemp("own")
    (file := folder / "mine.py").write_text(
        re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.S)[0]
    )
    widths = ["--min-width", "0.25", "--max-width", "1", "--levels", "3"]
    samples, model = str(folder / "s.jsonl"), str(folder / "m.jsonl")
    latency.main(["generate", *DEVICE, *SIZES, *widths, "-N", "9", "--network", str(file), samples])
    latency.main(["fit", samples, model, "-K", "1"])
    table = LatencyTable.load(model)
    space = SearchSpace.of(table.metadata, model)
    target = (table.predict(space.smallest) + table.predict(space.largest)) / 2
    data = ["--framework", "pytorch", "-j", "0", "--batch-size", "256"]
    question = ["--latency-model", model, "--latency-target", str(target), "--AOWS"]
    run = ["--epochs", "1", "--AOWS-warmup", "0", "--expname", str(folder / "search"), "--no-cuda"]
    train_nas.main(["--data", "digits", *data, *question, *run])
    train_final.main(final(folder, "mine.py", answer(folder)["configuration"], "final"))
    return folder


def answer(folder):
    return json.loads((folder / "search" / "results.jsonl").read_text().splitlines()[-1])


def final(folder, network, widths, name, *more):
    """Return the arguments of a short training."""
    return [
        "--framework", "pytorch", "-j", "0", "--batch-size", "256", "--data-dir", "digits",
        "--input-size", "16", "--num-epochs", "1", "--network", str(folder / network),
        "--configuration", ",".join(map(str, widths)), "--save-dir", str(folder / name),
        "--logging-file", str(folder / "log"), *more,
    ]  # fmt: skip


def test_the_answer_is_within_the_target_and_every_file_names_the_network(folder):
    line = answer(folder)
    assert line["latency_ms"] <= line["target_ms"]
    assert 0 <= line["gap"] <= line["noise"]  # a faster one may answer in place of the best
    name = str(folder / "mine.py")
    assert LatencyTable.load(folder / "m.jsonl").metadata.search_space["network"] == name
    for path in (folder / "search" / "checkpoint-0001.npz", folder / "final/mobilenet-best.states"):
        values = checkpoints.load(path)[1]
        assert values.get("network", values.get("search_space", {}).get("network")) == name
    file = OnnxFile.load(folder / "final" / "mobilenet-best.onnx")
    assert (file.network, list(file.configuration)) == (name, line["configuration"])


def test_the_exported_file_is_timed_and_predicted(folder, capsys):
    file, model = folder / "final" / "mobilenet-best.onnx", folder / "m.jsonl"
    latency.main(["benchmark", *DEVICE, "--latency-model", str(model), "--json", str(file)])
    (result,) = json.loads(capsys.readouterr().out)["results"]
    assert result["predicted_ms"] > 0
    assert result["configuration"] == answer(folder)["configuration"]


def fails(capsys, main, arguments):
    """Return the one line that a command that must fail ends in."""
    capsys.readouterr()
    with pytest.raises(SystemExit) as exit_:
        main(list(map(str, arguments)))
    assert exit_.value.code == 2
    (line,) = [e for e in capsys.readouterr().err.splitlines() if e.startswith("error: ")]
    return line


def test_files_that_describe_no_network_end_in_one_line(folder, capsys):
    (folder / "raises.py").write_text("1 / 0")
    line = fails(
        capsys, latency.main, ["generate", *DEVICE, "--network", folder / "raises.py", "x"]
    )
    assert "raises.py: ZeroDivisionError: division by zero" in line
    line = fails(capsys, train_final.main, final(folder, "lacks.py", (8, 8), "no"))
    assert "lacks.py is not a file" in line


def test_a_program_that_only_a_file_names_is_not_run(folder, tmp_path, capsys):
    """Tables, samples, checkpoints and exports may come from anywhere."""
    mark, program = tmp_path / "mark", tmp_path / "program.py"
    program.write_text(f"open({str(mark)!r}, 'w')\n" + (folder / "mine.py").read_text())
    for name in ("m.jsonl", "s.jsonl"):
        (tmp_path / name).write_text((folder / name).read_text())
        metadata = json.loads((folder / f"{name}.meta.json").read_text())
        metadata["search_space"]["network"] = str(program)
        (tmp_path / f"{name}.meta.json").write_text(json.dumps(metadata))
    exported = onnx.load(folder / "final" / "mobilenet-best.onnx")
    for entry in exported.metadata_props:
        if entry.key == "network":
            entry.value = json.dumps(str(program))
    onnx.save(exported, tmp_path / "x.onnx")
    model, samples = tmp_path / "m.jsonl", tmp_path / "s.jsonl"
    for main, command in (
        (latency.main, ["report", model, tmp_path / "x.html"]),
        (latency.main, ["fit", samples, tmp_path / "new.jsonl"]),
        (latency.main, ["validate", samples, model, tmp_path / "x.png"]),
        (latency.main, ["benchmark", *DEVICE, tmp_path / "x.onnx"]),
        (latency.main, ["benchmark", *DEVICE, "--latency-model", model, "MOBILENET"]),
        (train_nas.main, ["--data", "digits", "--latency-model", model, "--latency-target", 1,
                          "--expname", tmp_path / "search"]),
    ):  # fmt: skip
        line = fails(capsys, main, command)
        assert f"network {program} is a program: give --network {program} if it" in line
    assert not mark.exists()
    latency.main(["report", "--network", str(program), str(model), str(tmp_path / "x.html")])
    assert mark.exists()


def test_tables_and_files_of_another_network_are_refused(folder, capsys):
    model, file = folder / "m.jsonl", folder / "final" / "mobilenet-best.onnx"
    question = ["--latency-model", model, "--latency-target", 1, "--network", "resnet18"]
    line = fails(capsys, train_nas.main, ["--data", "digits", "--expname", folder / "x", *question])
    assert re.search(r"m\.jsonl was made for network .*mine\.py, not for resnet18", line)
    asked = ["benchmark", *DEVICE, *SIZES, "--network", "resnet18"]
    line = fails(capsys, latency.main, [*asked, "--latency-model", model, "RESNET"])
    assert re.search(r"made for --network .*mine\.py, not for resnet18", line)
    line = fails(capsys, latency.main, ["benchmark", *DEVICE, "--network", "resnet18", file])
    assert re.search(r"has network .*mine\.py, --network has resnet18", line)


def test_a_networks_file_is_not_the_log(folder, capsys):
    command = final(folder, "mine.py", answer(folder)["configuration"], "no")
    line = fails(capsys, train_final.main, [*command, "--logging-file", folder / "mine.py"])
    assert "mine.py" in line
    assert (folder / "mine.py").read_text().startswith("from models.description")


def test_checkpoints_of_another_network_are_refused(folder, capsys):
    (folder / "other.py").write_text((folder / "mine.py").read_text())
    files = folder / "final" / "mobilenet-0001"
    resumed = ["--resume-epoch", 1, "--resume-params", f"{files}.params", "--resume-states"]
    command = final(folder, "other.py", answer(folder)["configuration"], "no", *resumed)
    line = fails(capsys, train_final.main, [*command, f"{files}.states"])
    assert re.search(r"\.states is of network .*mine\.py, not of .*other\.py", line)


def test_what_was_measured_or_trained_of_a_file_that_has_changed_is_refused(
    folder, tmp_path, capsys
):
    """Oracle: a comment changes nothing; another stride, the same widths and names, does."""
    source = (folder / "mine.py").read_text()
    same, changed = tmp_path / "same" / "mine.py", tmp_path / "changed" / "mine.py"
    for path, text in (
        (same, f"# moved\n{source}"),
        (changed, re.sub("stride=2", "stride=1", source)),
    ):
        assert text != source
        path.parent.mkdir()
        path.write_text(text)
    samples, model = folder / "s.jsonl", folder / "m.jsonl"
    question = ["--data", "digits", "--latency-model", model, "--latency-target", "50%"]
    for main, command in (
        (latency.main, ["fit", samples, tmp_path / "new.jsonl", "-K", "1"]),
        (latency.main, ["report", model, tmp_path / "x.html"]),
        (train_nas.main, [*question, "--expname", tmp_path / "search"]),
        (train_final.main, [*final(folder, "mine.py", (8, 8), "no"),
                            "--from-supernet", folder / "search"]),
    ):  # fmt: skip
        line = fails(capsys, main, [*command, "--network", changed])
        assert f"{changed} no longer describes the network that this was made for" in line
    space = ["--min-width", "0.25", "--max-width", "1", "--levels", "3", "--network", changed]
    line = fails(capsys, latency.main, ["generate", *DEVICE, *SIZES, *space, "-N", 10, samples])
    assert "begun with other settings: description in the network's file was" in line
    latency.main(["report", "--network", str(same), str(model), str(tmp_path / "x.html")])
    trained = final(folder, "mine.py", answer(folder)["configuration"], "final", "--resume-last")
    before = (folder / "final" / "mobilenet-best.onnx").read_bytes()
    line = fails(capsys, train_final.main, [*trained, "--network", changed])
    assert "mine.py no longer describes the network that was trained" in line
    assert (folder / "final" / "mobilenet-best.onnx").read_bytes() == before
    train_final.main([*trained, "--network", str(same)])
