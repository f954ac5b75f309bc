"""Files of a trained network, in whatever form: the weights, checked against its description."""

from pathlib import Path

import numpy as np

from models.arrays import NETWORK, fitting, without_prefix
from models.folded_weights import Convolution, FoldedWeights
from models.gluon.arrays_file import read_arrays
from models.operations import Width
from models.parameter_names import COUNTER, layouts
from models.trained_weights import TrainedWeights
from utils import checkpoints
from utils.errors import UserError

SUFFIXES = (".params", ".npz", ".onnx", ".pt", ".pth", ".safetensors")
ZIP = b"PK"  # how a checkpoint begins
SUPERNET = "full."  # before the names of MXNet's supernets


def read_trained(path, network, configuration):
    """Return (weights, whether the file is a supernet's checkpoint) of a trained network's file.

    path:    parameters of train_final.py, a checkpoint of train_nas.py, or a state dictionary of
             PyTorch: TrainedWeights; an ONNX file of train_final.py: FoldedWeights
    network: the Description that they must be of, but for the number of classes; configuration:
             its widths
    Raises UserError that names the file and what does not fit.
    """
    if not Path(path).is_file():
        raise UserError(f"{path} is not a file: expected a trained network")
    suffix = Path(path).suffix.lower()
    if suffix not in SUFFIXES:
        raise UserError(f"{path}: expected a trained network, one of {', '.join(SUFFIXES)}")
    if suffix == ".onnx":
        return _read_onnx(path, network, configuration), False
    saved, is_supernet = _named_arrays(path, suffix)
    names = _names(saved, network, path)
    shapes = _shapes(network, configuration)
    saved = _checked(saved, names, shapes, network, path)
    return TrainedWeights.of(network, [saved[name] for name in names]), is_supernet


def _named_arrays(path, suffix):
    """Return ({name: array}, whether they are a supernet's)."""
    if suffix == ".safetensors":
        return _read_safetensors(path), False
    if suffix in {".pt", ".pth"}:
        from models.pytorch.state_dict import read_state_dict  # here: not all have PyTorch

        return read_state_dict(path), False
    with open(path, "rb") as file:
        is_zip = file.read(len(ZIP)) == ZIP
    if is_zip or suffix == ".npz":
        arrays, values = checkpoints.load(path)
        is_supernet = isinstance(values, dict) and "search_space" in values
        arrays = without_prefix(NETWORK, arrays)
    else:
        try:
            arrays, is_supernet = read_arrays(path), False
        except ValueError as error:
            raise UserError(f"{path} is not a file of parameters: {error}") from None
    return without_prefix(SUPERNET, arrays) or arrays, is_supernet


def _read_safetensors(path):
    import safetensors.numpy  # here: few runs need it

    try:
        saved = safetensors.numpy.load(Path(path).read_bytes())
    except safetensors.SafetensorError as error:
        raise UserError(f"{path} is not a safetensors file ({error})") from None
    except KeyError as error:
        kind = error.args[0]
        raise UserError(f"{path} holds numbers of type {kind}: save them as float32") from None
    return {name: array for name, array in saved.items() if not name.endswith(COUNTER)}


def _names(saved, network, path):
    """Return the names of the layout that most arrays have; UserError if it lacks most of them."""
    known = layouts(network)
    title = max(known, key=lambda title: len(saved.keys() & set(known[title])))
    lacks = [name for name in known[title] if name not in saved]
    if 2 * len(lacks) > len(known[title]):
        raise UserError(
            f"{path} is of another network than {network.title}, or of a layout that is not known: "
            f"it lacks {lacks[0]} and {len(lacks) - 1} others; known are {', '.join(known)}"
        )
    return known[title]


def _shapes(network, configuration):
    """Return the shape of each array, in the order of TrainedWeights.arrays."""
    *kernels, classifier = network.kernel_shapes(configuration)
    shapes = [[kernel, *[(kernel[0],)] * 4] for kernel in kernels]
    return [shape for each in shapes for shape in each] + [classifier, (network.classes,)]


def _checked(saved, names, shapes, network, path):
    """Return the arrays, finite and of these shapes but for the number of classes."""
    if saved.keys() == set(names):
        _check_widths([saved[name] for name in names], shapes, network, path)
        bias = saved[names[-1]]
        if bias.ndim == 1 and len(bias):
            *shapes, (_, inputs), _ = shapes
            shapes += [(len(bias), inputs), (len(bias),)]
    wanted = {n: (shape, None) for n, shape in zip(names, shapes, strict=True)}
    return fitting(saved, wanted, path)


def _check_widths(arrays, shapes, network, path):
    """Raise UserError that names the first of a network's widths that is another in the file."""
    per_step = len(arrays[:-2]) // len(network.convolutions)
    for step, array, shape in zip(
        network.convolutions, arrays[:-2:per_step], shapes[:-2:per_step], strict=True
    ):
        if array.shape[1:] and len(array) != shape[0] and isinstance(step.outputs, Width):
            raise UserError(
                f"{path}: {step.name} has {len(array)} channels, in the widest network of the "
                f"search space it has {shape[0]}: choose --max-width so that all widths agree"
            )


def _read_onnx(path, network, configuration):
    """Return the FoldedWeights of a file of train_final.py."""
    from onnx import numpy_helper

    from models.onnx_file import OnnxFile

    tensors = OnnxFile.load(path).model.graph.initializer
    saved = {tensor.name: numpy_helper.to_array(tensor) for tensor in tensors}
    names = [f"{kind}{i}" for i, _ in enumerate(network.convolutions) for kind in _FOLDED]
    names += ["classifier_weight", "classifier_bias"]
    if not saved.keys() & set(names):
        raise UserError(f"{path} is not an ONNX file of train_final.py")
    *kernels, classifier = network.kernel_shapes(configuration)
    shapes = [shape for kernel in kernels for shape in (kernel, kernel[:1])]
    saved = {name: array for name, array in saved.items() if array.ndim}  # not Clip's bounds
    arrays = _checked(saved, names, [*shapes, classifier, (network.classes,)], network, path)
    *folded, weight, bias = (np.asarray(arrays[name], np.float32) for name in names)
    pairs = zip(folded[::2], folded[1::2], strict=True)
    return FoldedWeights(network, tuple(Convolution(*pair) for pair in pairs), weight, bias)


_FOLDED = ("kernel", "bias")
