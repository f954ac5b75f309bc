"""Glyphs: 49 letters and digits drawn from matplotlib's fonts; harder than digits, no download.

They are drawn once, which takes less than a minute, and kept in output/glyphs-SIZE.npz.
"""

from dataclasses import dataclass
from pathlib import Path

import matplotlib
import numpy as np
import PIL

from utils import checkpoints
from utils.errors import UserError
from utils.images import glyph_drawing
from utils.images.transforms import preprocessing
from utils.progress import progress_bar, warn

# Size and position are random; so letters whose two cases differ in little but size
# (c k o p s u v w x z) are left out, and 0, I, l, which look like O, 1 and each other.
CLASSES = tuple("123456789ABCDEFGHJKLMNOPQRSTUVWXYZabdefghijmnqrty")
# All upright or slanted text fonts of matplotlib except cmmi10, whose digits are old-style. Both
# halves contain every family, in different weights, slants or (Computer Modern) styles.
VALIDATION_FONTS = (
    "DejaVuSans-Oblique", "DejaVuSansMono-Bold", "DejaVuSerif-Italic", "STIXGeneral",
    "cmb10", "cmss10",
)  # fmt: skip
TRAINING_FONTS = (
    "DejaVuSans", "DejaVuSans-Bold", "DejaVuSans-BoldOblique",
    "DejaVuSansMono", "DejaVuSansMono-Oblique", "DejaVuSansMono-BoldOblique",
    "DejaVuSerif", "DejaVuSerif-Bold", "DejaVuSerif-BoldItalic",
    "STIXGeneralBol", "STIXGeneralItalic", "STIXGeneralBolIta",
    "cmr10", "cmti10", "cmtt10",
)  # fmt: skip
TRAINING_IMAGES = 600 * len(CLASSES)  # 29,400
VALIDATION_IMAGES = 200 * len(CLASSES)  # 9,800
SHIFT = 1 / 16  # greatest shift of a training image, as a share of its side
VERSION = 2  # of the drawings; kept drawings of another version are redrawn
SEEDS = (0, 1)  # of the drawings, training and validation
FOLDER = Path(__file__).resolve().parents[2] / "output"


@dataclass(frozen=True, eq=False)
class Glyphs:
    """One half of the glyphs; dataset[(epoch, index)] -> (float32 image (3, H, W), int label).

    Training images are shifted by up to a sixteenth of their side; the shifts are drawn from
    default_rng((seed, epoch, index)).
    """

    drawings: np.ndarray  # uint8 (n, side + 2 margin, side + 2 margin)
    labels: np.ndarray  # (n,)
    mean: float  # of the training drawings, scaled to 0..1
    std: float
    input_size: int
    seed: int
    augments: bool
    classes: tuple[str, ...] = CLASSES

    def __len__(self):
        return len(self.labels)

    @property
    def preprocessing(self):
        """Return how a gray image becomes an input; its one channel is repeated."""
        return preprocessing(
            self.input_size, greatest=255, mean=[self.mean] * 3, std=[self.std] * 3
        )

    def __getitem__(self, key):
        epoch, index = key
        side, drawing = self.input_size, self.drawings[index]
        margin = (len(drawing) - side) // 2
        top = left = margin
        if self.augments:
            rng = np.random.default_rng((self.seed, epoch, index))
            top, left = rng.integers(2 * margin + 1, size=2)
        gray = drawing[top : top + side, left : left + side].astype(np.float32)
        gray = (gray / np.float32(255) - np.float32(self.mean)) / np.float32(self.std)
        return np.repeat(gray[None], 3, axis=0), int(self.labels[index])


def open_glyphs(input_size, seed, folder=None):
    """Return (train, val), 29,400 and 9,800 glyphs in different fonts, the same for every seed.

    seed: of the shifts of training images. The drawings are kept in `folder`, default output.
    """
    arrays = _kept(folder or FOLDER, input_size)
    drawings = arrays["train"]
    common = {"mean": float(drawings.mean() / 255), "std": float(drawings.std() / 255)}
    common |= {"input_size": input_size, "seed": seed}
    return (
        Glyphs(drawings, arrays["train_labels"], augments=True, **common),
        Glyphs(arrays["val"], arrays["val_labels"], augments=False, **common),
    )


def _kept(folder, input_size):
    """Return the drawings kept in a folder; draw them if they are not there."""
    path = Path(folder) / f"glyphs-{input_size}.npz"
    recipe = {
        "version": VERSION,
        "input_size": input_size,
        "images": [TRAINING_IMAGES, VALIDATION_IMAGES],
        "made_with": {"Pillow": PIL.__version__, "matplotlib": matplotlib.__version__},
    }
    try:
        arrays, values = checkpoints.load(path)
        if values == recipe:
            return arrays
    except UserError:  # not there or damaged
        pass
    arrays = {}
    halves = (
        ("train", TRAINING_FONTS, TRAINING_IMAGES, SEEDS[0]),
        ("val", VALIDATION_FONTS, VALIDATION_IMAGES, SEEDS[1]),
    )
    for name, *settings in halves:
        arrays[name], arrays[f"{name}_labels"] = draw_glyphs(*settings, input_size)
    try:
        checkpoints.save(path, arrays, recipe)
    except OSError as error:
        warn(f"the glyphs cannot be kept and will be drawn again ({error})")
    return arrays


def draw_glyphs(fonts, count, seed, input_size):
    """Return (drawings, labels) of `count` glyphs, cycling through classes and fonts.

    fonts: names of matplotlib's fonts; drawings: uint8 (count, S, S), S = side and two margins
    """
    folder = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
    opened = [glyph_drawing.load_font(folder / f"{font}.ttf") for font in fonts]
    masks = np.array([[glyph_drawing.glyph(c, font) for c in CLASSES] for font in opened])
    rng = np.random.default_rng(seed)
    margin = int(SHIFT * input_size)
    labels = np.arange(count) % len(CLASSES)
    drawings = []
    for number, label in enumerate(progress_bar(labels, "drawing glyphs", delay=1, leave=False)):
        wanted = masks[number // len(CLASSES) % len(fonts), label]
        others = masks[rng.integers(len(fonts))]
        drawings.append(glyph_drawing.draw(wanted, others, input_size, margin, rng))
    return np.array(drawings), labels
