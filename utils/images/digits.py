"""scikit-learn's built-in digits: 1,797 real scans of 8×8 pixels, 10 classes, no download."""

from dataclasses import dataclass

import numpy as np
from PIL import Image

from utils.images.transforms import preprocessing

BLACKEST = 16  # a pixel of the scans counts the inked ones of 4×4 cells
VALIDATION_SHARE = 0.2
STEPS = [
    "an 8x8 scan of 0 to 16, in float32, is resized to input_size by Pillow's BILINEAR in mode F",
    "(pixel / divide_by - mean) / std, repeated for the three colours",
]


@dataclass(frozen=True, eq=False)
class Digits:
    """One half of the digits; dataset[(epoch, index)] -> (float32 image (3, H, W), int label).

    Training images are shifted by up to a sixteenth of their side, half a cell of the scan; the
    shifts are drawn from default_rng((seed, epoch, index)). There are no flips: they change digits.
    """

    scans: np.ndarray  # (n, 8, 8), 0 to 16
    labels: np.ndarray  # (n,)
    mean: float  # of the training scans, scaled to 0..1
    std: float
    input_size: int
    seed: int
    augments: bool
    classes: tuple[str, ...] = tuple(str(digit) for digit in range(10))

    def __len__(self):
        return len(self.labels)

    @property
    def preprocessing(self):
        """Return how a scan becomes an input; its one channel is repeated."""
        said = preprocessing(
            self.input_size, greatest=BLACKEST, mean=[self.mean] * 3, std=[self.std] * 3
        )
        return said | {"steps": STEPS}

    def __getitem__(self, key):
        epoch, index = key
        side = self.input_size
        image = Image.fromarray(self.scans[index]).resize((side, side), Image.Resampling.BILINEAR)
        if self.augments:
            rng = np.random.default_rng((self.seed, epoch, index))
            right, down = (int(shift) for shift in rng.integers(-(side // 16), side // 16 + 1, 2))
            # Pixels from outside the image are 0, which is these scans' background.
            image = image.transform(image.size, Image.Transform.AFFINE, (1, 0, right, 0, 1, down))
        gray = (np.asarray(image, dtype=np.float32) / BLACKEST - self.mean) / self.std
        return np.repeat(gray.astype(np.float32)[None], 3, axis=0), int(self.labels[index])


def open_digits(input_size, seed):
    """Return (train, val), 1,437 and 360 digits: every seed gets the same stratified halves."""
    # Imported here because it takes a second, which other data sets do not need.

    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    digits = load_digits()
    train_scans, val_scans, train_labels, val_labels = train_test_split(
        digits.images.astype(np.float32),
        digits.target,
        test_size=VALIDATION_SHARE,
        stratify=digits.target,
        random_state=0,
    )
    mean = float(train_scans.mean() / BLACKEST)
    std = float(train_scans.std() / BLACKEST)
    common = {"mean": mean, "std": std, "input_size": input_size, "seed": seed}
    return (
        Digits(train_scans, train_labels, augments=True, **common),
        Digits(val_scans, val_labels, augments=False, **common),
    )
