"""The PyTorch slimmable net: against nets cut out of it, plain twins, and the Gluon one."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from models.pytorch.plain import convolutions
from models.pytorch.slimmable import SlimmableNet, cut_out, sandwich_step
from nas.search_space import SearchSpace
from networks.mobilenet_v1 import network as mobilenet_v1
from tests.helpers.torch_nets import batch_of, gradients, slimmable
from utils.errors import UserError

# All widths are multiples of 16, for which oneDNN has one set of kernels: see the Gluon tests.
SPACE = SearchSpace(
    input_size=32,
    classes=10,
    min_width=0.2,
    max_width=1,
    levels=5,
    base_widths=(80,) * 4 + (160,) * 8 + (240,) * 2,
)


def draw(count, seed=0, space=SPACE):
    rng = np.random.default_rng(seed)
    return [space.draw_uniform(rng) for _ in range(count)]


def rows(configuration, size):
    return torch.tensor([configuration] * size)


def close(actual, expected, tolerance=1e-5):
    np.testing.assert_allclose(
        actual.detach().numpy(), expected.detach().numpy(), rtol=tolerance, atol=tolerance
    )


def greatest_difference(actual, expected):
    """Return the greatest difference over all parameters, relative to the greatest entry's size."""
    assert actual.keys() == expected.keys()
    return max(
        np.abs(actual[name] - gradient).max() / np.abs(gradient).max()
        for name, gradient in expected.items()
        if gradient.any()
    )


@pytest.mark.parametrize("configuration", [*draw(3), SPACE.smallest, SPACE.largest])
def test_masked_narrow_and_cut_out_net_are_the_same(configuration):
    net, (images, *_) = slimmable(SPACE), batch_of(SPACE, 16)
    plain = cut_out(net, configuration).train()(images)
    close(net.masked(images, rows(configuration, 16)), plain)
    close(net.narrow(images, configuration), plain)


def test_they_are_the_same_in_double_precision_at_the_default_widths_with_their_gradients():
    space = SearchSpace(input_size=32, classes=10)
    net, (images, labels, _) = slimmable(space).double(), batch_of(space, 4, 32)
    images = images.double()
    for configuration in draw(2, space=space):
        found = []
        plain = cut_out(net, configuration).train()
        passes = (
            lambda c=configuration: net.masked(images, rows(c, 4)),
            lambda c=configuration: net.narrow(images, c),
            lambda plain=plain: plain(images),
        )
        for logits_of, owner in zip(passes, (net.wide, net.wide, plain), strict=True):
            owner.zero_grad()
            logits = logits_of()
            F.cross_entropy(logits, labels).backward()
            found.append((logits, gradients(owner)))
        for logits, gradient in found[:2]:
            close(logits, found[2][0], 1e-9)
            for name, wanted in found[2][1].items():
                inside = tuple(map(slice, wanted.shape))
                scale = np.abs(wanted).max()
                np.testing.assert_allclose(
                    gradient[name][inside], wanted, rtol=1e-9, atol=1e-9 * scale
                )
                gradient[name][inside] = 0
                assert not gradient[name].any(), name


def test_full_pass_is_the_plain_net_and_its_running_statistics_follow():
    net, (images, *_) = slimmable(SPACE), batch_of(SPACE, 16)
    plain = cut_out(net, SPACE.largest).train()
    close(net(images), plain(images))
    for (_, norm), (_, wanted) in zip(convolutions(net.wide), convolutions(plain), strict=True):
        close(norm.running_mean, wanted.running_mean)
        close(norm.running_var, wanted.running_var)


def test_other_passes_leave_the_running_statistics_alone():
    net, (images, _, widths) = slimmable(SPACE), batch_of(SPACE, 16)
    before = {name: buffer.clone() for name, buffer in net.named_buffers()}
    net.masked(images, widths), net.narrow(images, SPACE.smallest)
    assert all(torch.equal(before[name], buffer) for name, buffer in net.named_buffers())


def test_without_masks_behind_depthwise_layers_a_constant_would_leak(monkeypatch):
    """The inputs of the tests above are such that they would see these masks missing."""
    net, (images, *_) = slimmable(SPACE), batch_of(SPACE, 16)
    widths = rows(draw(1)[0], 16)
    right = net.masked(images, widths)
    monkeypatch.setattr("models.pytorch.slimmable.channel_mask", lambda widths, x: torch.ones(()))
    wrong = net.masked(images, widths)
    assert (right - wrong).abs().mean() > 0.1 * right.abs().mean()


def test_a_cut_out_net_is_independent_of_the_net_it_came_from():
    net = slimmable(SPACE)
    before = net.wide.features[0].conv.weight.clone()
    with torch.no_grad():
        cut_out(net, SPACE.smallest).features[0].conv.weight.zero_()
    assert torch.equal(net.wide.features[0].conv.weight, before)


def test_the_layer_whose_width_is_too_great_is_named():
    wide = (*SPACE.largest[:2], SPACE.largest[2] + 8, *SPACE.largest[3:])
    net = slimmable(SPACE)
    for use in (lambda: cut_out(net, wide), lambda: net.narrow(torch.zeros(2, 3, 8, 8), wide)):
        with pytest.raises(UserError, match=f"width {wide[2]} of layer 3"):
            use()
    with pytest.raises(UserError, match="layer 3"):
        SlimmableNet(SPACE.description, wide, SPACE.largest)


def test_the_seed_decides_the_parameters_and_they_are_those_of_one_net():
    one, same, other = (slimmable(SPACE, seed).state_dict() for seed in (1, 1, 2))
    assert all(torch.equal(one[name], array) for name, array in same.items())
    assert not all(torch.equal(one[name], array) for name, array in other.items())
    total = sum(p.numel() for p in slimmable(SPACE).parameters())
    assert total == mobilenet_v1(10).parameters(SPACE.largest)


def three_masked_passes(net, images, labels, widths):
    """The plain twin of sandwich_step: full-width masked passes, one backward pass at the end."""
    full = net.masked(images, rows(SPACE.largest, len(labels)))
    smallest = net.masked(images, rows(SPACE.smallest, len(labels)))
    random = net.masked(images, widths)
    target = full.detach().softmax(1)
    hard = [F.cross_entropy(logits, labels, reduction="none") for logits in (full, random)]
    soft = [-(target * logits.log_softmax(1)).sum(1) for logits in (smallest, random)]
    net.zero_grad()
    (hard[0].mean() + soft[0].mean() + soft[1].mean()).backward()
    return *hard, *soft


def test_step_equals_three_full_width_masked_passes():
    arrays = batch_of(SPACE, 32)
    net, twin = slimmable(SPACE), slimmable(SPACE)
    expected = three_masked_passes(twin, *arrays)
    for _ in range(2):  # the gradients of the step before are forgotten
        losses = sandwich_step(net, *arrays)
    for actual, wanted in zip(vars(losses).values(), expected, strict=True):
        assert actual.shape == (32,)
        np.testing.assert_allclose(actual, wanted.detach().numpy(), rtol=1e-4, atol=1e-5)
    assert greatest_difference(gradients(net), gradients(twin)) < 1e-4


def test_groups_equal_plain_nets_that_share_weights_each_on_its_part():
    """The twin: cut-out nets, whose gradients are added up in the places they came from."""
    images, labels, _ = batch_of(SPACE, 12)
    configurations = draw(3)
    widths = torch.tensor(configurations).repeat_interleave(4, dim=0)
    net = slimmable(SPACE).double()
    images = images.double()
    losses = sandwich_step(net, images, labels, widths, groups=3)

    full = cut_out(net, SPACE.largest).train()
    logits = full(images)
    F.cross_entropy(logits, labels).backward()
    expected = gradients(full)
    target = logits.detach().softmax(1)
    parts = [(SPACE.smallest, slice(0, 12))]
    parts += [(c, slice(4 * i, 4 * i + 4)) for i, c in enumerate(configurations)]
    hard, soft = [], []
    for configuration, part in parts:
        plain = cut_out(net, configuration).train()
        logits = plain(images[part])
        hard.append(F.cross_entropy(logits, labels[part], reduction="none").detach())
        soft.append(F.cross_entropy(logits, target[part], reduction="none"))
        (soft[-1].sum() / 12).backward()
        for name, gradient in gradients(plain).items():
            expected[name][tuple(map(slice, gradient.shape))] += gradient
    found = {n.removeprefix("wide."): g for n, g in gradients(net).items()}
    assert greatest_difference(found, expected) < 1e-9
    np.testing.assert_allclose(losses.random, torch.cat(hard[1:]).numpy(), rtol=1e-6)
    soft = torch.cat(soft[1:]).detach().numpy()
    np.testing.assert_allclose(losses.soft_random, soft, rtol=1e-6)


class HeldForBackward:
    """Counts the bytes that autograd holds for passes that have not gone backward yet.

    Storages are counted once each, and without those of the parameters. Gradients on their way
    are not counted: they are the same for every pass of the same widths.
    """

    def __init__(self, net):
        self._parameters = {p.untyped_storage().data_ptr() for p in net.parameters()}
        self._uses, self._sizes = {}, {}
        self.peak = 0

    def _pack(self, tensor):
        storage = tensor.untyped_storage()
        return _Held(self, tensor, storage.data_ptr(), storage.nbytes())

    def __enter__(self):
        self._hooks = torch.autograd.graph.saved_tensors_hooks(self._pack, lambda held: held.tensor)
        self._hooks.__enter__()
        return self

    def __exit__(self, *exception):
        self._hooks.__exit__(*exception)

    def count(self, pointer, size, change):
        if pointer in self._parameters:
            return
        self._uses[pointer] = self._uses.get(pointer, 0) + change
        self._sizes[pointer] = size
        held = sum(self._sizes[pointer] for pointer, uses in self._uses.items() if uses > 0)
        self.peak = max(self.peak, held)


class _Held:
    """A tensor that is held as long as this object is."""

    def __init__(self, counter, tensor, pointer, size):
        self.tensor, self._release = tensor, (counter, pointer, size)
        counter.count(pointer, size, 1)

    def __del__(self):
        counter, pointer, size = self._release
        counter.count(pointer, size, -1)


@pytest.mark.parametrize("groups", [0, 4])
def test_a_step_holds_no_more_than_one_full_width_pass(groups):
    net, (images, labels, widths) = slimmable(SPACE), batch_of(SPACE, 16)
    widths = widths[::4].repeat_interleave(4, dim=0)
    with HeldForBackward(net) as alone:
        F.cross_entropy(cut_out(net, SPACE.largest).train()(images), labels).backward()
    with HeldForBackward(net) as step:
        sandwich_step(net, images, labels, widths, groups=groups)
    with HeldForBackward(net) as twin:
        three_masked_passes(net, images, labels, widths)
    assert step.peak <= 1.1 * alone.peak
    assert twin.peak > 2 * alone.peak  # what the counter is there to see


def test_bfloat16_computes_losses_in_single_precision_near_the_exact_ones():
    arrays, net = batch_of(SPACE, 16), slimmable(SPACE)
    exact = sandwich_step(net, *arrays)
    losses = sandwich_step(net, *arrays, autocast=torch.autocast("cpu", torch.bfloat16))
    assert all(p.grad.dtype == torch.float32 for p in net.parameters())
    np.testing.assert_allclose(losses.full, exact.full, rtol=0.1, atol=0.1)
    assert not np.array_equal(losses.full, exact.full)


def test_training_lowers_the_losses_of_all_three_passes():
    net, arrays = slimmable(SPACE), batch_of(SPACE, 8)
    optimiser = torch.optim.SGD(net.parameters(), lr=0.05)
    history = []
    for _ in range(8):
        history.append(sandwich_step(net, *arrays))
        optimiser.step()
    assert history[-1].full.mean() < 0.8 * history[0].full.mean()
    assert history[-1].random.mean() < history[0].random.mean()
