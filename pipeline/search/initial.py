"""--init: a supernet that starts at a trained network, with its channels sorted once."""

from dataclasses import replace
from pathlib import Path

import msgspec
from tqdm import tqdm

from models.channel_order import sorted_by_importance
from models.folded_weights import FoldedWeights
from models.trained_files import read_trained
from utils.digest import Digest, digest


class Origin(msgspec.Struct, frozen=True):
    """The file that a supernet's first weights came from."""

    file: str  # its name
    sha256: Digest


def open_initial(path, space):
    """Return (Origin, a function that sets a supernet's weights, given training images).

    path: what models.trained_files.read_trained reads, of the widest network of the space
    Where only the number of classes differs, the classifier keeps its initial weights.
    Raises UserError that names the file and what does not fit.
    """
    weights, is_supernet = read_trained(path, space.description, space.largest)
    how = "in their order, which a supernet was trained for" if is_supernet else "sorted"
    tqdm.write(f"starting at the weights of {path}, channels {how}")
    if weights.classes != space.classes:
        tqdm.write(
            f"{path} has {weights.classes} classes, the data {space.classes}: the classifier "
            "starts anew"
        )

    def load(net, train):
        trained = weights
        if isinstance(trained, FoldedWeights):
            from models.onnx_unfolding import unfolded  # here: few runs need ONNX

            trained = unfolded(trained, space.input_size, net.statistics_images(train))
        if not is_supernet:
            trained = sorted_by_importance(trained)
        if trained.classes != space.classes:
            trained = replace(trained, classifier_weight=None, classifier_bias=None)
        net.load_weights(trained)

    return Origin(Path(path).name, digest(path)), load
