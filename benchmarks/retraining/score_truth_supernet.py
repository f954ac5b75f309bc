"""train_nas.py with other masks or batch statistics in its PyTorch supernet.

benchmarks.score_truth trains its variants with it.

python -m benchmarks.retraining.score_truth_supernet VARIANT <options of train_nas.py>
"""

if __name__ == "__main__":  # before the imports that take seconds
    from utils.startup import prepare

    prepare()

import argparse

import torch.nn.functional as F

import train_nas
from models.pytorch.batch_norm import batch_norm
from models.pytorch.plain import convolutions
from models.pytorch.slimmable import SlimmableNet, channel_mask

MAP_AXES = (2, 3)  # of (B, C, H, W)


class MasksBehindEveryLayer(SlimmableNet):
    """Every layer's masked channels are zero, so that zeros count in depthwise statistics."""

    masks_depthwise, masks_pointwise = True, True

    def masked(self, images, widths):
        """Return the logits of images (B, 3, H, W) at their own widths (B, layers)."""
        x = images
        for index, (conv, norm) in enumerate(convolutions(self.wide)):
            x = conv(x)
            mask = channel_mask(widths[:, index // 2], x)
            x = F.relu(self.normalised(x, norm, mask))
            if self.masks_depthwise if index % 2 else self.masks_pointwise:
                x = x * mask
        # Whatever is masked, the classifier must not see more than the images' own channels.
        return self.wide.classifier((x * mask).mean(MAP_AXES))

    def normalised(self, x, norm, mask):
        """Return BatchNorm of x (B, C, H, W), where mask (B, C, 1, 1) marks channels in use."""
        return batch_norm(x, norm, tracks=False, synchronised=True)


class NoMasksBehindDepthwise(MasksBehindEveryLayer):
    """Channels that were removed leak the constant that the depthwise BatchNorm shifts them to."""

    masks_depthwise = False


class StatisticsOfActiveImages(MasksBehindEveryLayer):
    """Our masks; a channel's batch statistics are those of the images that use it."""

    masks_pointwise = False

    def normalised(self, x, norm, mask):
        pixels = x.shape[2] * x.shape[3] * mask.sum(0).clamp(min=1)
        mean = (x * mask).sum((0, *MAP_AXES), keepdim=True) / pixels
        centred = x - mean
        variance = (centred.square() * mask).sum((0, *MAP_AXES), keepdim=True) / pixels
        scale = norm.weight[:, None, None] * (variance + norm.eps).rsqrt()
        return centred * scale + norm.bias[:, None, None]


NETWORKS = {
    "ours": SlimmableNet,
    "every layer masked": MasksBehindEveryLayer,
    "depthwise not masked": NoMasksBehindDepthwise,
    "active images": StatisticsOfActiveImages,
}


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("variant", choices=tuple(NETWORKS))
    parser.add_argument("options", nargs=argparse.REMAINDER, help="of train_nas.py")
    args = parser.parse_args()
    train_nas.main(args.options, slimmable=NETWORKS[args.variant])


if __name__ == "__main__":
    main()
