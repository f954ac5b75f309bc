from types import SimpleNamespace

import numpy as np
import pytest

from models.gluon.plain import PlainNet
from models.gluon.runtime import mx
from models.gluon.slimmable import (
    MaskedPass,
    SlimmableNet,
    cut_out,
    narrow_pass,
    sandwich_step,
)
from nas.search_space import SearchSpace
from networks.mobilenet_v1 import network as mobilenet_v1
from tests.helpers.masked_passes import SPACE, rows, three_masked_passes
from tests.helpers.mxnet_nets import (
    difference_of_all,
    gradients,
    greatest_difference,
    images,
    in_training,
    randomized,
    trainable,
)
from utils.errors import UserError

# In training mode, single precision: batch statistics amplify what kernels for other widths, or for
# several threads, round differently. In double precision nets agree to 1e-9, as a test below says.
ROUNDING = 2e-3
MULTIPLES_OF_8 = SearchSpace(input_size=32, classes=10, min_width=0.2, max_width=0.5, levels=5)


def slimmable(space=SPACE):
    """Return a hybridised slimmable net, with the same parameters at every call."""
    net = randomized(SlimmableNet(space.description, space.smallest, space.largest))
    net.hybridize(static_alloc=True, static_shape=True)
    return net


@pytest.fixture(scope="module")
def net():
    return slimmable()


def draw(count, seed=0, space=SPACE):
    rng = np.random.default_rng(seed)
    return [space.draw_uniform(rng) for _ in range(count)]


@pytest.mark.parametrize("configuration", [*draw(4), SPACE.smallest, SPACE.largest])
def test_masked_net_equals_the_net_cut_out_of_its_weights(net, configuration):
    plain, batch = cut_out(net, configuration), images(16, 48)
    masked = net.masked(batch, rows(configuration, 16)).asnumpy()
    np.testing.assert_allclose(masked, plain(batch).asnumpy(), rtol=1e-5, atol=1e-5)
    masked = in_training(net.masked, batch, rows(configuration, 16))
    np.testing.assert_allclose(masked, in_training(plain, batch), atol=ROUNDING)


def test_masked_net_equals_the_cut_out_net_at_widths_that_are_no_multiples_of_16():
    net, batch = slimmable(MULTIPLES_OF_8), images(16, 48)
    for configuration in draw(3, space=MULTIPLES_OF_8):
        plain, widths = cut_out(net, configuration), rows(configuration, 16)
        masked = net.masked(batch, widths).asnumpy()
        np.testing.assert_allclose(masked, plain(batch).asnumpy(), rtol=1e-5, atol=1e-5)
        masked = in_training(net.masked, batch, widths)
        np.testing.assert_allclose(masked, in_training(plain, batch), atol=ROUNDING)


def test_masked_net_equals_the_cut_out_net_in_double_precision_at_any_widths():
    """Training mode, the default widths: no kernel's rounding is in the way of the proof."""
    space = SearchSpace(input_size=32, classes=10)
    wide = randomized(MaskedPass(space.description, space.largest, fused=False))
    batch = images(8, 32).astype("float64")
    for configuration in draw(3, space=space):
        parameters = cut_out(SimpleNamespace(full=wide), configuration).collect_params()
        plain = PlainNet(mobilenet_v1(10), configuration, fused=False, params=parameters)
        for net in (wide, plain):
            net.cast("float64")
        masked = in_training(wide, batch, rows(configuration, 8).astype("float64"))
        np.testing.assert_allclose(masked, in_training(plain, batch), rtol=1e-9, atol=1e-9)
        wide.cast("float32")


def test_each_image_of_a_mixed_batch_equals_its_own_cut_out_net_in_inference(net):
    batch, configurations = images(6, 48), draw(6, seed=1)
    masked = net.masked(batch, mx.nd.array(configurations)).asnumpy()
    for image, logits, configuration in zip(batch, masked, configurations, strict=True):
        alone = cut_out(net, configuration)(image.expand_dims(0)).asnumpy()[0]
        np.testing.assert_allclose(logits, alone, rtol=1e-5, atol=1e-5)


class WithoutDepthwiseMasks(MaskedPass):
    """What masks behind pointwise layers alone would compute."""

    def hybrid_forward(self, F, images, widths):
        x = images
        for index, layer in enumerate(self.features):
            x = layer(x)
            if index % 2 == 0:
                width = F.slice_axis(widths, axis=1, begin=index // 2, end=index // 2 + 1)
                width = width.reshape((-1,))
                x = F.SequenceMask(x, width, use_sequence_length=True, axis=1)
        return self.classifier(self.pool(x))


def test_without_masks_behind_depthwise_layers_a_constant_leaks(net):
    """The inputs of the tests above are such that they would see these masks missing."""
    shared = cut_out(net, SPACE.largest).collect_params()
    leaky = WithoutDepthwiseMasks(SPACE.description, SPACE.largest, params=shared)
    batch, widths = images(16, 48), rows(draw(1)[0], 16)
    right, wrong = net.masked(batch, widths).asnumpy(), leaky(batch, widths).asnumpy()
    assert np.abs(right - wrong).mean() > 0.1 * np.abs(right).mean()


def test_full_pass_equals_masks_at_the_greatest_widths(net):
    batch = images(16, 48)
    masked = in_training(net.masked, batch, rows(SPACE.largest, 16))
    np.testing.assert_allclose(masked, in_training(net, batch), atol=ROUNDING)


@pytest.mark.parametrize("space", [SPACE, MULTIPLES_OF_8])
@pytest.mark.parametrize("seed", [None, 2, 3])
def test_narrow_pass_equals_masked_pass_in_outputs_and_gradients(space, seed):
    net = slimmable(space)
    configuration = space.smallest if seed is None else draw(1, seed, space)[0]
    batch, widths = images(32, 64), rows(configuration, 32)
    narrow = narrow_pass(net.full, configuration)
    narrow.collect_params(".*running.*").initialize()
    outputs = in_training(narrow, batch), in_training(net.masked, batch, widths)
    np.testing.assert_allclose(*outputs, atol=ROUNDING)
    expected = gradients(net.masked, batch, widths)
    found = gradients(narrow, batch)
    assert difference_of_all(found, {name: expected[name] for name in found}) < 0.1


def test_narrow_pass_works_after_inference_has_changed_the_layout_of_the_weights():
    """MXNet's own slice of such weights kills the process; the oracle is the gradient before."""
    net, batch = slimmable(), images(16, 48)
    before = gradients(net.narrow, batch)
    net(batch), net.masked(batch, rows(SPACE.smallest, 16)), mx.nd.waitall()
    assert greatest_difference(gradients(net.narrow, batch), before) < 1e-5


def test_gradients_of_masked_channels_are_zero_and_of_others_not(net):
    configuration = draw(1, seed=3)[0]
    found = gradients(net.masked, images(16, 48), rows(configuration, 16))
    kept = {name: p.shape for name, p in trainable(cut_out(net, configuration)).items()}
    for name, gradient in found.items():
        inside = tuple(slice(size) for size in kept[name])
        outside = gradient.copy()
        outside[inside] = 0
        assert not outside.any(), name
        assert gradient[inside].any(), name


def test_a_cut_out_net_is_independent_of_the_net_it_came_from(net):
    plain = cut_out(net, SPACE.smallest)
    before = net.full.features[0].convolution.weight.data().asnumpy()
    plain.features[0].convolution.weight.set_data(mx.nd.zeros((SPACE.smallest[0], 3, 3, 3)))
    np.testing.assert_array_equal(net.full.features[0].convolution.weight.data().asnumpy(), before)


def test_the_layer_whose_width_is_too_great_is_named(net):
    wide = (*SPACE.largest[:2], SPACE.largest[2] + 8, *SPACE.largest[3:])
    with pytest.raises(UserError, match=f"width {wide[2]} of layer 3"):
        cut_out(net, wide)


def test_the_three_passes_have_the_parameters_of_one_net(net, tmp_path):
    total = sum(np.prod(parameter.shape) for parameter in trainable(net).values())
    assert total == mobilenet_v1(10).parameters(SPACE.largest)
    net.save_parameters(str(tmp_path / "net.params"))
    other = SlimmableNet(SPACE.description, SPACE.smallest, SPACE.largest)
    other.load_parameters(str(tmp_path / "net.params"))
    assert len(mx.nd.load(str(tmp_path / "net.params"))) == len(list(net.collect_params()))
    batch, widths = images(4), mx.nd.array(draw(4))
    np.testing.assert_array_equal(
        other.masked(batch, widths).asnumpy(), net.masked(batch, widths).asnumpy()
    )


def batch_of(size, seed=0):
    labels = np.random.default_rng(seed).integers(10, size=size)
    return images(size, 48, seed), mx.nd.array(labels), mx.nd.array(draw(size, seed))


def test_step_equals_three_full_width_masked_passes():
    arrays = batch_of(32)
    net, twin = slimmable(), slimmable()
    twin.hybridize(False)  # one call of a static graph would overwrite the activations of another
    expected_losses, expected = three_masked_passes(twin, *arrays)
    for _ in range(2):  # the gradients of the step before are forgotten
        losses = sandwich_step(net, *([array] for array in arrays))
    actual = (losses.full, losses.random, losses.soft_smallest, losses.soft_random)
    for got, wanted in zip(actual, expected_losses, strict=True):
        assert got.shape == (32,)
        np.testing.assert_allclose(got, wanted, rtol=ROUNDING, atol=ROUNDING)
    found = {name: p.grad().asnumpy() for name, p in trainable(net).items()}
    assert difference_of_all(found, expected) < 0.1


def test_passes_take_turns_in_one_memory():
    """The activations of a pass, its output among them, are gone once the next one has run."""
    net, (batch, _, widths) = slimmable(), batch_of(8)
    passes = net.passes(batch, widths)
    passes.full.forward()
    output = passes.full._executor.outputs[0]
    before = output.asnumpy()
    passes.masked.forward(), mx.nd.waitall()
    assert np.abs(output.asnumpy() - before).max() > 0


def test_passes_are_bound_once_and_anew_for_other_shapes_and_other_arrays():
    """Oracle: the losses of a net that never saw the other batch, nor had other arrays."""
    net, arrays, small = slimmable(), batch_of(16), batch_of(8)
    before = net.passes(arrays[0], arrays[2])
    assert net.passes(arrays[0], arrays[2]) is before
    assert net.passes(small[0], small[2]) is not before
    net.collect_params().reset_ctx([mx.cpu(0)])
    parts = [[array] for array in arrays]
    expected = sandwich_step(slimmable(), *parts)
    found = sandwich_step(net, *parts)
    np.testing.assert_allclose(found.random, expected.random, rtol=1e-4, atol=1e-5)
    assert net.passes(arrays[0], arrays[2]).full._trained[0] is net.full.features[
        0
    ].convolution.weight.data(mx.cpu(0))


def test_gradients_of_two_contexts_are_together_the_mean_over_all_images():
    """Slices of 10 and 6 images on two contexts against the same slices one after the other."""
    slices = [batch_of(10, seed=1), batch_of(6, seed=2)]
    net, alone = slimmable(), slimmable()
    net.collect_params().reset_ctx([mx.cpu(0), mx.cpu(1)])
    on_both = [[array.as_in_context(mx.cpu(i)) for array in part] for i, part in enumerate(slices)]
    losses = sandwich_step(net, *zip(*on_both, strict=True))
    expected = {name: 0 for name in trainable(alone)}
    full = []
    for part in slices:
        full.append(sandwich_step(alone, *([array] for array in part)).full)
        for name, parameter in trainable(alone).items():
            expected[name] = expected[name] + parameter.grad().asnumpy() * len(part[0]) / 16
    found = {n: sum(g.asnumpy() for g in p.list_grad()) for n, p in trainable(net).items()}
    assert greatest_difference(found, expected) < 1e-5
    np.testing.assert_allclose(losses.full, np.concatenate(full), rtol=1e-5)


def test_running_statistics_follow_the_full_width_pass_alone():
    net, arrays = slimmable(), batch_of(16)
    norm = net.full.features[0].norm
    before = norm.running_mean.data().asnumpy()
    outputs = net.full.features[0].convolution(arrays[0]).asnumpy()
    sandwich_step(net, *([array] for array in arrays))
    expected = 0.9 * before + 0.1 * outputs.mean(axis=(0, 2, 3))
    np.testing.assert_allclose(norm.running_mean.data().asnumpy(), expected, rtol=1e-4, atol=1e-6)


def test_training_lowers_the_losses_of_all_three_passes():
    net, arrays = slimmable(), batch_of(16)
    trainer = mx.gluon.Trainer(net.collect_params(), "sgd", {"learning_rate": 0.05})
    history = []
    for _ in range(8):
        history.append(sandwich_step(net, *([array] for array in arrays)))
        trainer.step(1)
    assert min(losses.full.mean() for losses in history) < 0.95 * history[0].full.mean()
    assert min(losses.random.mean() for losses in history) < history[0].random.mean()
