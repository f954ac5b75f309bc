"""What files call their arrays. Oracle: names as torchvision and timm list them, by hand."""

import itertools

from models.description import Description
from models.operations import Add, Classify, Convolve, Width
from models.parameter_names import layouts
from networks import open_network

NORM = ("weight", "bias", "running_mean", "running_var")


def names(pairs, classifier):
    """Return the names of a state dictionary whose modules are (convolution, BatchNorm) pairs."""
    found = []
    for conv, norm in pairs:
        found += [f"{conv}.weight", *(f"{norm}.{part}" for part in NORM)]
    return [*found, f"{classifier}.weight", f"{classifier}.bias"]


def resnet_pairs(blocks, convolutions, first_has_shortcut):
    pairs = [("conv1", "bn1")]
    for layer, count in enumerate(blocks, start=1):
        for block in range(count):
            prefix = f"layer{layer}.{block}"
            pairs += [(f"{prefix}.conv{n}", f"{prefix}.bn{n}") for n in convolutions]
            if block == 0 and (layer > 1 or first_has_shortcut):
                pairs.append((f"{prefix}.downsample.0", f"{prefix}.downsample.1"))
    return pairs


def test_resnets_of_both():
    """Basic blocks have no shortcut in the first layer, bottlenecks have."""
    found = layouts(open_network("resnet18", 10))["torchvision's and timm's ResNets"]
    assert found == names(resnet_pairs((2, 2, 2, 2), (1, 2), first_has_shortcut=False), "fc")
    found = layouts(open_network("resnet50", 10))["torchvision's and timm's ResNets"]
    assert found == names(resnet_pairs((3, 4, 6, 3), (1, 2, 3), first_has_shortcut=True), "fc")


def test_torchvisions_mobilenet_v2():
    pairs = [("features.0.0", "features.0.1")]
    pairs += [
        ("features.1.conv.0.0", "features.1.conv.0.1"),
        ("features.1.conv.1", "features.1.conv.2"),
    ]
    for number in range(2, 18):
        prefix = f"features.{number}.conv"
        pairs += [(f"{prefix}.0.0", f"{prefix}.0.1"), (f"{prefix}.1.0", f"{prefix}.1.1")]
        pairs.append((f"{prefix}.2", f"{prefix}.3"))
    pairs.append(("features.18.0", "features.18.1"))
    found = layouts(open_network("mobilenet_v2", 10))["torchvision's MobileNet-v2"]
    assert found == names(pairs, "classifier.1")


def test_timms_mobilenet_v2():
    pairs = [("conv_stem", "bn1")]
    pairs += [("blocks.0.0.conv_dw", "blocks.0.0.bn1"), ("blocks.0.0.conv_pw", "blocks.0.0.bn2")]
    for stage, count in enumerate((2, 3, 4, 3, 3, 1), start=1):
        for block in range(count):
            prefix = f"blocks.{stage}.{block}"
            convolutions = ("conv_pw", "conv_dw", "conv_pwl")
            pairs += [(f"{prefix}.{c}", f"{prefix}.bn{n}") for n, c in enumerate(convolutions, 1)]
    pairs.append(("conv_head", "bn2"))
    found = layouts(open_network("mobilenet_v2", 10))["timm's MobileNet-v2"]
    assert found == names(pairs, "classifier")


def test_ours_are_those_of_the_nets():
    """Oracle: the nets' own names, in their order."""
    from models.pytorch.arrays import network_arrays
    from models.pytorch.plain import PlainNet

    for name in ("mobilenet_v1", "mobilenet_v2", "resnet18"):
        network = open_network(name, 10)
        net = PlainNet(network, network.scaled(0.1))
        own = [each.removeprefix("network/") for each in network_arrays(net)]
        assert layouts(network)["ours in PyTorch"] == own


def test_mxnets_are_those_of_its_net():
    """Oracle: the net's own names, in their order."""
    from models.gluon.plain import PlainNet

    for name in ("mobilenet_v1", "resnet18"):
        network = open_network(name, 10)
        net = PlainNet(network, network.scaled(0.1))
        assert layouts(network)["ours in MXNet"] == list(net._collect_params_with_prefix())


def test_each_layout_names_every_array_once():
    for name in ("mobilenet_v1", "mobilenet_v2", "resnet18", "resnet50"):
        network = open_network(name, 10)
        count = 5 * len(network.convolutions) + 2
        for found in layouts(network).values():
            assert len(found) == len(set(found)) == count
    known = layouts(open_network("mobilenet_v1", 10))
    assert list(known) == ["ours in PyTorch", "ours in MXNet"]


def test_a_block_with_two_shortcuts_has_no_known_names():
    """Oracle: by hand; all arrays of our own layouts have names."""
    width = Width("the stem", 8)
    operations = (
        Convolve("the stem", 3, width),
        Convolve("one", width, width, linear=True),
        Convolve("two", width, width, linear=True, of="the stem"),
        Add("one and two", to="one", linear=True),
        Convolve("three", width, width, linear=True, of="the stem"),
        Add("sum", to="one and two"),
        Classify(width, 4),
    )
    found = layouts(Description("Tiny", operations))
    assert list(found) == ["ours in PyTorch", "ours in MXNet"]
    assert len(found["ours in MXNet"]) == 5 * 4 + 2


def test_layouts_of_one_network_share_few_names():
    """Files tell their layout by the names; oracle: all pairs of layouts."""
    for one, other in itertools.combinations(layouts(open_network("mobilenet_v2", 10)).values(), 2):
        assert len(set(one) & set(other)) < len(one) / 10
