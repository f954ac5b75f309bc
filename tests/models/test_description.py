import pytest

from nas.variables import layer_types
from networks import open_network
from networks.mobilenet_v1 import BASE_WIDTHS
from networks.mobilenet_v1 import network as mobilenet_v1
from utils.errors import UserError


def test_macs_and_parameters_of_the_published_networks():
    """Howard et al. 2017, table 4 and 6: 569 M and 4.2 M at 1.0, 149 M and 1.3 M at 0.5."""
    assert mobilenet_v1(1000).macs(BASE_WIDTHS, 224) == pytest.approx(569e6, rel=0.002)
    assert mobilenet_v1(1000).parameters(BASE_WIDTHS) == pytest.approx(4.2e6, rel=0.01)
    half = mobilenet_v1(2).scaled(0.5)
    assert mobilenet_v1(1000).macs(half, 224) == pytest.approx(149e6, rel=0.01)
    assert mobilenet_v1(1000).parameters(half) == pytest.approx(1.3e6, rel=0.03)


def test_layer_types_of_the_default_input():
    types = layer_types(mobilenet_v1(1000), 224)
    assert len(types) == 15
    assert [t.in_size[0] for t in types] == [
        224, 112, 112, 56, 56, 28, 28, 14, 14, 14, 14, 14, 14, 7, 1,
    ]  # fmt: skip
    assert [t.dw for t in types] == [False] + [True] * 13 + [False]
    assert [t.bias for t in types] == [False] * 14 + [True]


@pytest.mark.parametrize("input_size", [1, 8, 30, 100, 299])
def test_odd_inputs_keep_a_map_of_at_least_one_pixel(input_size):
    assert min(t.in_size[0] for t in layer_types(mobilenet_v1(1000), input_size)) >= 1
    assert min(mobilenet_v1(1000).map_sizes(input_size)) >= 1


@pytest.mark.parametrize(
    "text",
    [
        "(16, 32, 64, 112, 360, 48, 464, 664, 152, 664, 256, 208, 816, 304)",
        "[16, 32, 64, 112, 360, 48, 464, 664, 152, 664, 256, 208, 816, 304]",
        "16,32,64,112,360,48,464,664,152,664,256,208,816,304",
        " 16, 32, 64, 112, 360, 48, 464, 664, 152, 664, 256, 208, 816, 304, ",
    ],
)
def test_lists_of_widths_are_read(text):
    assert mobilenet_v1(10).parse(text) == (
        16, 32, 64, 112, 360, 48, 464, 664, 152, 664, 256, 208, 816, 304,
    )  # fmt: skip


def test_named_networks_are_read():
    assert mobilenet_v1(10).parse("MOBILENET") == BASE_WIDTHS
    assert mobilenet_v1(10).parse("1.0xMOBILENET") == BASE_WIDTHS
    assert mobilenet_v1(10).parse("0.5xMOBILENET")[:4] == (16, 32, 64, 64)
    assert mobilenet_v1(10).parse(".75 x mobilenet")[:2] == (24, 48)
    assert mobilenet_v1(10).parse("5e-1xMOBILENET") == mobilenet_v1(10).parse("0.5xMOBILENET")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("16,32", "has 2 widths, MobileNet-v1 has 14 layers"),
        ("16,32,64,112,360,48,464,664,152,664,256,208,816,0", "layer 14"),
        ("99999999999999999999" + 13 * ",8", "at most 65536"),
        ("16,-32", "not a list of widths"),
        ("__import__('os')", "not a list of widths"),
        ("", "not a list of widths"),
        ("0xMOBILENET", "greater than 0"),
        ("1e999xMOBILENET", "at most 65536"),
        ("1e308xMOBILENET", "at most 65536"),
        ("1e9xMOBILENET", "at most 65536"),
        ("RESNET", "not a list of widths"),
    ],
)
def test_other_texts_are_explained(text, message):
    with pytest.raises(UserError, match=message):
        mobilenet_v1(10).parse(text)


def test_digests_stay_what_files_state():
    """Oracle: as written when files began to state them; a comment or new default changes none."""
    digest = "66cc3a165d8206e299a9047a6f48ecbec6450c14467ba715ccd89e9996339a3b"
    assert mobilenet_v1(10).sha256 == digest
    assert mobilenet_v1(11).sha256 != digest
    digest = "ce85350caf2ae5c4013e9e2480fb14238bbd3a790d7f305a16e42d0b5d1ea7f6"
    assert open_network("resnet18", 10).sha256 == digest


def test_a_batch_norm_of_one_value_is_refused():
    """PyTorch raises ValueError there, and MXNet trains nothing: every value is its own mean."""
    network = mobilenet_v1(10)
    for input_size in (8, 32):  # 32 is halved five times
        with pytest.raises(UserError, match="maps of 1×1; give more images"):
            network.check_normalised(1, input_size)
        network.check_normalised(2, input_size)
    network.check_normalised(1, 33)
