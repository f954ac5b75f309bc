"""The networks' published costs, gluon-cv's definitions layer by layer, and wrong descriptions."""

import sys

import numpy as np
import pytest

from models.description import Description
from models.gluon.runtime import mx
from models.operations import Add, Classify, Convolve, MaxPool, Width
from networks import NETWORKS, open_network
from networks.resnet import resnet18
from utils.errors import UserError

PUBLISHED = {  # millions of parameters and of multiply-accumulate operations, at 224×224
    "mobilenet_v1": (4.23, 569),
    "mobilenet_v2": (3.50, 301),
    "resnet18": (11.69, 1814),
    "resnet50": (25.56, 4089),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_parameters_and_macs_are_those_published(name):
    """Oracle: the papers' and torchvision's numbers, to all digits that they give."""
    network = open_network(name, 1000)
    parameters, macs = PUBLISHED[name]
    assert round(network.parameters(network.base_widths) / 1e6, 2) == parameters
    assert round(network.macs(network.base_widths, 224) / 1e6) == macs


@pytest.mark.parametrize(
    ("name", "theirs"),
    [
        ("mobilenet_v1", "mobilenet1.0"),
        ("mobilenet_v2", "mobilenetv2_1.0"),
        ("resnet18", "resnet18_v1b"),
        ("resnet50", "resnet50_v1b"),
    ],
)
def test_layers_are_those_of_gluon_cv(name, theirs):
    """Oracle: the weights and the outputs of gluon-cv's convolutions, in order."""
    from gluoncv.model_zoo import get_model

    symbol = get_model(theirs)(mx.sym.var("data"))
    shapes, _, _ = symbol.infer_shape(data=(1, 3, 224, 224))
    weights = dict(zip(symbol.list_arguments(), shapes, strict=True))
    values = symbol.get_internals()
    _, outputs, _ = values.infer_shape(data=(1, 3, 224, 224))
    sides = dict(zip(values.list_outputs(), (shape[-1] for shape in outputs), strict=True))
    wanted = [
        (weights[name], sides[f"{name.removesuffix('_weight')}_fwd_output"])
        for name in symbol.list_arguments()
        if name.endswith("_weight") and len(weights[name]) == 4
    ]
    network = open_network(name, 1000)
    layers = network.map_sizes(224)
    found = [
        (shape, layers[step.layer])
        for step, shape in zip(
            network.convolutions, network.kernel_shapes(network.base_widths)[:-1], strict=True
        )
    ]
    assert found == wanted[: len(found)]
    # MobileNet-v2's classifier is a convolution there.
    assert [shape for shape, _ in wanted[len(found) :]] in ([], [(1000, 1280, 1, 1)])


def test_the_first_configurations_of_a_space_name_their_family():
    assert open_network("resnet18", 10).parse("0.5xRESNET")[0] == 32
    assert open_network("mobilenet_v2", 10).parse("MOBILENET")[:3] == (32, 16, 96)
    with pytest.raises(UserError, match="ResNet-18 has 12"):
        open_network("resnet18", 10).parse("8, 8")


WIDE, OTHER = Width("a", 16), Width("b", 16)


@pytest.mark.parametrize(
    ("operations", "message"),
    [
        ([Convolve("one", 3, WIDE), "pool", Classify(WIDE, 2)], "'pool' is not an operation"),
        ([Convolve("one", None, WIDE), Classify(WIDE, 2)], "one has no inputs"),
        ([Convolve("one", OTHER, WIDE), Classify(WIDE, 2)], "one reads the width of b, where 3"),
        ([Convolve("one", 3, WIDE, of="x"), Classify(WIDE, 2)], "one reads 'x', and no operation"),
        ([Convolve("one", 3, WIDE, 2), Classify(WIDE, 2)], "one has a kernel of 2: an odd"),
        ([Convolve("one", 3, WIDE, -1), Classify(WIDE, 2)], "one has a kernel of -1: an integer"),
        ([Convolve("one", 3, WIDE, stride="2"), Classify(WIDE, 2)], "one has a stride of '2': an"),
        ([Convolve("one", 3, 1.5), Classify(WIDE, 2)], r"one has outputs 1\.5: a Width or an int"),
        ([Convolve("one", 3, WIDE)], "the last operation of a network, and no other, is Classify"),
        (
            [
                Convolve("one", 3, WIDE),
                Convolve("two", WIDE, OTHER),
                Add("sum", to="one"),
                Classify(OTHER, 2),
            ],
            "sum adds the width of a and the width of b: both must be one Width",
        ),
        (
            [
                Convolve("one", 3, WIDE),
                MaxPool("two"),
                Add("sum", to="one"),
                Classify(WIDE, 2),
            ],
            "sum adds maps of different sizes: their strides are 1 and 2",
        ),
        (
            [Convolve("one", 3, WIDE), Convolve("one", WIDE, WIDE), Classify(WIDE, 2)],
            "two operations have the name 'one'",
        ),
        (
            [
                Convolve("one", 3, WIDE),
                Convolve("aside", WIDE, OTHER),
                Convolve("two", WIDE, WIDE, of="one"),
                Classify(WIDE, 2),
            ],
            "no operation reads the result of aside",
        ),
        (
            [Convolve("one", 3, WIDE), Add("sum", to="one"), Classify(WIDE, 2)],
            "sum adds the result of one to itself",
        ),
        ([Convolve(1, 3, WIDE), Classify(WIDE, 2)], "a Convolve has 1 as its name: text"),
        ([Convolve("one", 3, True), Classify(WIDE, 2)], "one has outputs True: a Width or an int"),
        (
            [
                Convolve("one", 3, WIDE),
                Convolve("two", Width(WIDE.name, 2 * WIDE.base), WIDE),
                Classify(WIDE, 2),
            ],
            f"the width of a is {WIDE.base} and {2 * WIDE.base} at multiplier 1",
        ),
    ],
)
def test_descriptions_that_do_not_fit_together_name_the_operation(operations, message):
    with pytest.raises(UserError, match=message):
        Description("Wrong", operations)


@pytest.mark.parametrize("base", [0, 16.5, "16", True, 10**30])
def test_widths_that_are_no_numbers_of_channels_are_named(base):
    with pytest.raises(UserError, match=f"the width of a is {base!r} at multiplier 1"):
        Width("a", base)


def test_a_width_without_a_name_is_refused():
    with pytest.raises(UserError, match="a Width has None as its name: text is needed"):
        Width(None, 8)


def test_titles_name_configurations():
    with pytest.raises(UserError, match="title 5 is not text"):
        Description(5, [Convolve("one", 3, WIDE), Classify(WIDE, 2)])


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("1 / 0", "n.py: ZeroDivisionError: division by zero"),
        ("def network(classes", "n.py: SyntaxError: "),
        ("", r"n.py: it does not define network\(classes\)"),
        ("def network(classes):\n    return 3", "n.py: its network.* does not return a"),
        ("def network():\n    return 3", "n.py: TypeError: "),
        ("raise SystemExit(0)", "n.py: SystemExit: 0"),
        (
            "from networks.resnet import resnet18\ndef network(classes):\n    return resnet18(7)",
            r"n.py: its network\(10\) has 7 classes",
        ),
    ],
)
def test_files_that_describe_no_network_are_named(tmp_path, code, message):
    (tmp_path / "n.py").write_text(code)
    with pytest.raises(UserError, match=message) as error:
        open_network(str(tmp_path / "n.py"), 10)
    assert "\n" not in str(error.value)


def test_only_the_widths_are_asked_for_without_classes(tmp_path):
    """Oracle: by hand: a file of 7 classes, whatever it is asked for."""
    (tmp_path / "n.py").write_text(
        "from networks.resnet import resnet18\ndef network(classes):\n    return resnet18(7)"
    )
    assert open_network(str(tmp_path / "n.py")).parse("RESNET") == resnet18(10).base_widths


def test_files_with_dataclasses_are_networks(tmp_path):
    """Oracle: dataclasses with annotations as text look for their module among the loaded ones."""
    (tmp_path / "torch.py").write_text(
        "from __future__ import annotations\n"
        "from dataclasses import dataclass\n"
        "from networks.resnet import resnet18\n"
        "@dataclass\nclass Block:\n    width: int\n"
        "def network(classes):\n    return resnet18(classes)"
    )
    loaded = sys.modules.get("torch")
    assert open_network(str(tmp_path / "torch.py"), 7).classes == 7
    assert sys.modules.get("torch") is loaded


def test_unknown_networks_are_named(tmp_path):
    with pytest.raises(UserError, match=r"unknown network 'vgg': choose from mobilenet_v1, .*"):
        open_network("vgg", 10)
    with pytest.raises(UserError, match=r"x\.py is not a file"):
        open_network(str(tmp_path / "x.py"), 10)


def test_activations_of_random_weights_stay_in_the_range_of_half_precision():
    """Oracle: the widest networks' logits, by ONNX Runtime."""
    import onnxruntime

    from models.folded_weights import random_weights
    from models.onnx_graph import serialize

    images = np.random.default_rng(1).standard_normal((1, 3, 64, 64), dtype=np.float32)
    for name in ("mobilenet_v2", "resnet18"):
        network = open_network(name, 10)
        weights = random_weights(network, network.base_widths, np.random.default_rng(0))
        model = serialize(weights, 1, 64)
        session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
        (logits,) = session.run(None, {"images": images})
        assert 1e-3 < np.abs(logits).mean() < 1e3
