"""Masked = cut out = exported = both frameworks, for random configurations of each network."""

import numpy as np
import onnxruntime
import pytest
import torch

from models.gluon.plain import PlainNet as GluonNet
from models.gluon.plain import folded_weights as gluon_weights
from models.gluon.plain import reestimate_batch_norm
from models.gluon.runtime import mx
from models.gluon.slimmable import SlimmableNet as GluonSlimmable
from models.gluon.slimmable import cut_out as gluon_cut_out
from models.onnx_graph import serialize
from models.pytorch.plain import convolutions, folded_weights
from models.pytorch.plain import reestimate_batch_norm as torch_reestimate
from models.pytorch.slimmable import cut_out
from nas.search_space import SearchSpace
from tests.helpers.copied_nets import copied_nets
from tests.helpers.mxnet_nets import in_training, randomized
from tests.helpers.torch_nets import batch_of, slimmable

SPACES = {
    name: SearchSpace(32, 10, min_width=0.1, max_width=0.25, levels=4, network=name)
    for name in ("mobilenet_v2", "resnet18", "resnet50")
}
each_network = pytest.mark.parametrize("space", SPACES.values(), ids=SPACES)


def difference(found, wanted):
    """Return the greatest difference relative to the greatest number."""
    return np.abs(found - wanted).max() / np.abs(wanted).max()


@each_network
def test_masked_and_narrow_passes_are_the_net_cut_out(space):
    net = slimmable(space).double()
    images = batch_of(space, 4, 40)[0].double()
    configuration = space.draw_uniform(np.random.default_rng(0))
    with torch.no_grad():
        wanted = cut_out(net, configuration).train()(images).numpy()
        masked = net.masked(images, torch.tensor([configuration] * 4)).numpy()
        narrow = net.narrow(images, configuration).numpy()
    assert difference(masked, wanted) < 1e-9
    assert difference(narrow, wanted) < 1e-9


@each_network
def test_without_one_mask_they_are_not(space, monkeypatch):
    """What the test above would see: every masked step counts, those of additions too."""
    net = slimmable(space).double()
    images = batch_of(space, 4, 40)[0].double()
    widths = torch.tensor([space.smallest] * 4)
    with torch.no_grad():
        right = net.masked(images, widths).numpy()
        monkeypatch.setattr(
            "models.pytorch.slimmable.channel_mask", lambda widths, x: torch.ones(())
        )
        assert difference(net.masked(images, widths).numpy(), right) > 0.05


@each_network
def test_gluons_masked_and_narrow_passes_are_the_net_cut_out(space):
    net = randomized(GluonSlimmable(space.description, space.smallest, space.largest))
    images = mx.nd.array(np.random.default_rng(0).standard_normal((4, 3, 40, 40)))
    wanted = in_training(gluon_cut_out(net, space.smallest), images)
    masked = in_training(net.masked, images, mx.nd.array([space.smallest] * 4))
    assert difference(masked, wanted) < 1e-4
    assert difference(in_training(net.narrow, images), wanted) < 1e-4


@each_network
def test_frameworks_and_the_exported_graph_agree(space):
    configuration = space.draw_uniform(np.random.default_rng(1))
    gluon, net = copied_nets(configuration, space.description, fused=False)
    images = np.random.default_rng(0).standard_normal((3, 3, 50, 50))
    with torch.no_grad():
        wanted = net.eval()(torch.tensor(images, dtype=torch.float32)).numpy()
        in_double = net.double().train()(torch.tensor(images)).numpy()
    assert difference(gluon(mx.nd.array(images)).asnumpy(), wanted) < 1e-4
    model = serialize(gluon_weights(gluon), None, 50)
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    (exported,) = session.run(None, {"images": images.astype(np.float32)})
    assert difference(exported, wanted) < 1e-4
    gluon.cast("float64")
    found = in_training(gluon, mx.nd.array(images, dtype="float64"))
    assert difference(found, in_double) < 1e-9


def test_statistics_are_re_estimated_alike():
    """Oracle: the other framework's, for a network with additions and linear layers."""
    space = SPACES["mobilenet_v2"]
    gluon, net = copied_nets(space.smallest, space.description)
    batch = np.random.default_rng(0).standard_normal((8, 3, 32, 32)).astype(np.float32)
    reestimate_batch_norm(gluon, [batch]), torch_reestimate(net, [torch.tensor(batch)])
    for layer, (_, norm) in zip(gluon.features, convolutions(net), strict=True):
        theirs = layer.norm.running_var.data().asnumpy()
        np.testing.assert_allclose(norm.running_var.numpy(), theirs, rtol=1e-3, atol=1e-5)
    assert folded_weights(net.eval()).network == GluonNet(space.description, space.smallest).network
