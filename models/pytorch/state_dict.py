"""PyTorch's files of a state dictionary, of which nothing is unpickled that could run code."""

import pickle
import warnings

import torch

from models.parameter_names import COUNTER
from models.pytorch.arrays import to_array
from utils.user_error import UserError, first_line

WRAPPERS = ("state_dict", "model")  # under which training scripts keep it
OF_PROCESSES = "module."  # what DataParallel puts before each name


def read_state_dict(path):
    """Return {name: array} of a file that torch.save wrote of a network's state dictionary.

    bfloat16 becomes float32. Counters of batches are left out.
    Raises UserError that names the file for anything else in it.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of other versions of pickle: what fails is reported
            content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError:
        raise UserError(
            f"{path} is damaged or holds more than arrays, of which none is loaded, since it could "
            "run code: save the network by torch.save(net.state_dict(), …)"
        ) from None
    except MemoryError:
        raise
    # Whatever the decoders of zip and of PyTorch's own formats raise for invalid bytes.
    except Exception as error:
        raise UserError(
            f"{path} is not a file of torch.save, or is damaged ({first_line(error)})"
        ) from None
    if isinstance(content, dict):
        inside = (content[name] for name in WRAPPERS if isinstance(content.get(name), dict))
        content = next(inside, content)
    if not _is_state_dict(content):
        raise UserError(f"{path} does not hold a state dictionary: {{name: tensor}}")
    shared = OF_PROCESSES if all(name.startswith(OF_PROCESSES) for name in content) else ""
    return {
        name.removeprefix(shared): _to_array(tensor, f"{path}: {name}")
        for name, tensor in content.items()
        if not name.endswith(COUNTER)
    }


def _to_array(tensor, place):
    try:
        return to_array(tensor.float() if tensor.dtype == torch.bfloat16 else tensor)
    except TypeError:  # types that NumPy lacks, such as float8
        raise UserError(f"{place} holds {tensor.dtype}: save the network as float32") from None


def _is_state_dict(content):
    return (
        isinstance(content, dict)
        and bool(content)
        and all(
            isinstance(name, str)
            and isinstance(tensor, torch.Tensor)
            and tensor.layout == torch.strided
            and not tensor.is_quantized
            for name, tensor in content.items()
        )
    )
