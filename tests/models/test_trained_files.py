"""Files of trained networks, in every form: the same logits, and one line for what does not fit."""

import os
import pickle
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch
from safetensors.numpy import save_file

from models.folded_weights import FoldedWeights
from models.onnx_graph import serialize
from models.onnx_unfolding import unfolded
from models.parameter_names import layouts
from models.pytorch.arrays import load_weights, network_arrays, save_parameters
from models.pytorch.plain import PlainNet, folded_weights, reestimate_batch_norm
from models.trained_files import read_trained
from models.trained_weights import TrainedWeights
from networks import open_network
from tests.helpers.randomized import randomized
from utils import checkpoints
from utils.errors import UserError

CLASSES = 6
RESNET, MOBILENET = (open_network(name, CLASSES) for name in ("resnet18", "mobilenet_v2"))
LAYOUTS = [
    *((RESNET, title) for title in layouts(RESNET)),
    *((MOBILENET, title) for title in layouts(MOBILENET)),
]


def trained(network=RESNET):
    torch.manual_seed(0)
    return randomized(PlainNet(network, network.scaled(0.1)))


def logits(net, images=None):
    images = torch.randn(4, 3, 40, 40, generator=torch.manual_seed(1)) if images is None else images
    with torch.no_grad():
        return net(images).numpy()


def state_dict(net, title="torchvision's and timm's ResNets"):
    """Return {name: array} of a net by the names of a layout."""
    arrays = network_arrays(net).values()
    return dict(zip(layouts(net.network)[title], arrays, strict=True))


def as_tensors(saved):
    counters = {
        f"{name[:-12]}num_batches_tracked" for name in saved if name.endswith("running_mean")
    }
    arrays = {name: torch.from_numpy(array.copy()) for name, array in saved.items()}
    return arrays | dict.fromkeys(counters, torch.tensor(7))


def read(path, network=RESNET):
    return read_trained(path, network, network.scaled(0.1))


def loaded(weights):
    """Return a net with these weights, in evaluation mode."""
    net = PlainNet(weights.network, weights.network.scaled(0.1)).eval()
    load_weights(net, weights)
    return net


@pytest.mark.parametrize(("network", "title"), LAYOUTS)
def test_state_dictionaries_of_all_layouts_are_read(network, title, tmp_path):
    """Safetensors are sorted by name: the order in the file tells nothing."""
    net = trained(network)
    saved = state_dict(net, title)
    torch.save(as_tensors(saved), tmp_path / "net.pt")
    save_file(dict(sorted(saved.items())), tmp_path / "net.safetensors")
    for name in ("net.pt", "net.safetensors"):
        weights, is_supernet = read(tmp_path / name, network)
        assert not is_supernet
        np.testing.assert_array_equal(logits(loaded(weights)), logits(net))


def test_what_training_scripts_wrap_around_a_state_dictionary_is_taken_off(tmp_path):
    net = trained()
    state = {f"module.{name}": tensor for name, tensor in as_tensors(state_dict(net)).items()}
    torch.save({"epoch": 3, "state_dict": state}, tmp_path / "net.pth")
    np.testing.assert_array_equal(logits(loaded(read(tmp_path / "net.pth")[0])), logits(net))


def test_bfloat16_is_read(tmp_path):
    net = trained().bfloat16().float()
    state = {
        n: t.bfloat16() if t.is_floating_point() else t
        for n, t in as_tensors(state_dict(net)).items()
    }
    torch.save(state, tmp_path / "net.pt")
    np.testing.assert_array_equal(logits(loaded(read(tmp_path / "net.pt")[0])), logits(net))


def test_types_that_numpy_lacks_are_named(tmp_path):
    """Safetensors are read without PyTorch."""
    arrays = {n: a.to(torch.bfloat16) for n, a in as_tensors(state_dict(trained())).items()}
    safetensors.torch.save_file(arrays, tmp_path / "n.safetensors")
    with pytest.raises(UserError, match=r"n\.safetensors holds numbers of type BF16"):
        read(tmp_path / "n.safetensors")
    eights = {n: a.to(torch.float8_e4m3fn) for n, a in as_tensors(state_dict(trained())).items()}
    torch.save(eights, tmp_path / "n.pt")
    with pytest.raises(UserError, match=r"n\.pt: .* holds torch\.float8_e4m3fn: save the network"):
        read(tmp_path / "n.pt")


def test_our_own_parameters_are_read(tmp_path):
    net = trained()
    save_parameters(net, tmp_path / "n.params")
    np.testing.assert_array_equal(logits(loaded(read(tmp_path / "n.params")[0])), logits(net))
    checkpoints.save(tmp_path / "c.npz", network_arrays(net), {"search_space": {}})
    weights, is_supernet = read(tmp_path / "c.npz")
    assert is_supernet
    np.testing.assert_array_equal(logits(loaded(weights)), logits(net))


def test_parameters_of_mxnet_are_read(tmp_path):
    from models.gluon.arrays import save_parameters as save_gluon
    from models.gluon.plain import PlainNet as GluonNet
    from models.gluon.runtime import mx
    from tests.helpers.mxnet_nets import randomized as randomized_gluon

    net = randomized_gluon(GluonNet(MOBILENET, MOBILENET.scaled(0.1)))
    save_gluon(net, tmp_path / "n.params")
    images = torch.randn(4, 3, 40, 40)
    found = logits(loaded(read(tmp_path / "n.params", MOBILENET)[0]), images)
    wanted = net(mx.nd.array(images.numpy())).asnumpy()
    assert np.abs(found - wanted).max() < 1e-4 * np.abs(wanted).max()


def test_an_onnx_file_gets_its_batch_norms_back(tmp_path):
    """Oracle: the net before its BatchNorms were folded, in training mode as well."""
    net = trained(MOBILENET)
    images = torch.randn(48, 3, 40, 40)
    reestimate_batch_norm(net, [images]).eval()
    (tmp_path / "n.onnx").write_bytes(serialize(folded_weights(net), None, 40))
    folded, _ = read(tmp_path / "n.onnx", MOBILENET)
    assert isinstance(folded, FoldedWeights)
    found = loaded(unfolded(folded, 40, [images[:32].numpy(), images[32:].numpy()]))
    for wanted, ours in ((net, found), (net.train(), found.train())):
        expected = logits(wanted, images)
        assert np.abs(logits(ours, images) - expected).max() < 1e-3 * np.abs(expected).max()


def test_the_number_of_classes_may_differ(tmp_path):
    net = trained(open_network("resnet18", 11))
    torch.save(as_tensors(state_dict(net)), tmp_path / "net.pt")
    weights, _ = read(tmp_path / "net.pt")
    assert weights.classes == 11
    assert weights.classifier_weight.shape == (11, RESNET.scaled(0.1)[-1])


FIRST = "layer1.0.conv1.weight"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: s.pop("layer4.1.bn2.bias"), "lacks layer4.1.bn2.bias"),
        (lambda s: s.update(more=s[FIRST]), "has no more"),
        (lambda s: s.update({FIRST: s[FIRST][:, :2]}), rf"{FIRST} has shape \(8, 2, 3, 3\)"),
        (lambda s: s.update({FIRST: s[FIRST][:5]}), "convolution 1 has 5 channels, in the widest"),
        (lambda s: s.update({FIRST: s[FIRST] * np.nan}), f"{FIRST} holds numbers that are not"),
        (lambda s: s.update({FIRST: s[FIRST].astype(int)}), f"{FIRST} holds int64"),
        (lambda s: s.update({"fc.weight": s["fc.weight"][:, :3]}), "fc.weight has shape"),
        (lambda s: s.update({"fc.bias": s["fc.bias"][:0]}), "fc.bias has shape"),
    ],
    ids=["missing", "extra", "shape", "width", "NaN", "integers", "classifier", "no classes"],
)
def test_arrays_that_do_not_fit_are_named(change, message, tmp_path):
    saved = state_dict(trained())
    change(saved)
    torch.save(as_tensors(saved), tmp_path / "net.pt")
    save_file({n: np.ascontiguousarray(a) for n, a in saved.items()}, tmp_path / "n.safetensors")
    for name in ("net.pt", "n.safetensors"):
        with pytest.raises(UserError, match=rf"{name}.*{message}"):
            read(tmp_path / name)


def test_files_of_another_network_or_of_none_are_named(tmp_path):
    torch.save(as_tensors(state_dict(trained())), tmp_path / "net.pt")
    with pytest.raises(UserError, match=r"net\.pt is of another network than MobileNet-v2"):
        read(tmp_path / "net.pt", MOBILENET)
    other = open_network("resnet50", CLASSES)
    with pytest.raises(UserError, match=r"net\.pt is of another network .* lacks layer1\.0\.conv3"):
        read_trained(tmp_path / "net.pt", other, other.scaled(0.1))
    (tmp_path / "n.onnx").write_bytes(serialize(folded_weights(trained()), None, 40))
    with pytest.raises(UserError, match=r"n\.onnx does not fit the network: it lacks"):
        read(tmp_path / "n.onnx", MOBILENET)
    for suffix in ("params", "npz", "onnx", "pt", "pth", "safetensors"):
        path = tmp_path / f"bad.{suffix}"
        for content in (b"", b"PK nothing", b"nothing at all " * 9):
            path.write_bytes(content)
            with pytest.raises(UserError, match=rf"bad\.{suffix} (is damaged|is not|does not)"):
                read(path)
    with pytest.raises(UserError, match=r"none\.pt is not a file"):
        read(tmp_path / "none.pt")
    (tmp_path / "net.txt").write_text("")
    with pytest.raises(UserError, match=r"net\.txt: expected a trained network, one of \.params"):
        read(tmp_path / "net.txt")


class RunsCode:
    """Pickles as a call that makes a folder."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def test_no_code_in_a_file_is_run(tmp_path):
    """Oracle: the folder that it would make."""
    torch.save(
        as_tensors(state_dict(trained())) | {"x": RunsCode(tmp_path / "a")}, tmp_path / "a.pt"
    )
    (tmp_path / "b.pth").write_bytes(pickle.dumps(RunsCode(tmp_path / "b")))
    for name in ("a.pt", "b.pth"):
        with pytest.raises(UserError, match=rf"{name} is damaged or holds more than arrays"):
            read(tmp_path / name)
        assert not Path(tmp_path, name[0]).exists()
    torch.save(trained(), tmp_path / "whole.pt")  # the module, not its state dictionary
    with pytest.raises(UserError, match=r"whole\.pt is damaged or holds more.*state_dict"):
        read(tmp_path / "whole.pt")
    torch.save([1, 2], tmp_path / "list.pt")
    with pytest.raises(UserError, match=r"list\.pt does not hold a state dictionary"):
        read(tmp_path / "list.pt")


def test_weights_list_their_arrays_in_order():
    arrays = list(network_arrays(trained()).values())
    weights = TrainedWeights.of(RESNET, arrays)
    for one, same in zip(weights.arrays(), arrays, strict=True):
        assert one is same
