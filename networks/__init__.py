"""Networks by name, or from a user's file."""

import importlib.util
import sys
from functools import cache
from pathlib import Path

from models.description import Description
from networks import mobilenet_v1, mobilenet_v2, resnet
from utils.errors import UserError

MOBILENET_V1 = "mobilenet_v1"  # where a file names none
NETWORKS = {
    MOBILENET_V1: mobilenet_v1.network,
    "mobilenet_v2": mobilenet_v2.network,
    "resnet18": resnet.resnet18,
    "resnet50": resnet.resnet50,
}

CHOICES = f"{', '.join(NETWORKS)}, or FILE.py, which defines network(classes)"  # of --network
ANY_CLASSES = 2  # of a network whose widths alone matter

_named_files = {}  # FILE.py as the user names it, by the file's own name


def named(name):
    """Return the name of a network that the user has typed: a FILE.py may be run."""
    if name.endswith(".py"):
        _named_files[Path(name).name] = name
    return name


def permitted(name, place):
    """Return the name of a network that a table, checkpoint or export states.

    These may come from anywhere, and a FILE.py is a program: it must be one that the user has
    named, and is then the user's, as it may have moved. Else raises UserError, beginning with
    `place`.
    """
    if not name.endswith(".py"):
        return name
    if Path(name).name not in _named_files:
        raise UserError(
            f"{place}: network {name} is a program: give --network {name} if it may be run here"
        )
    return _named_files[Path(name).name]


@cache
def open_network(name, classes=None, **fields):
    """Return the Description of one of NETWORKS, or of the network(classes) of a Python file.

    classes: None where only the widths are asked for: a file may have classes of its own
    fields:  further arguments of the network's function
    Raises UserError, naming the file, if it cannot be loaded.
    """
    if name in NETWORKS:
        return NETWORKS[name](classes or ANY_CLASSES, **fields)
    if not name.endswith(".py"):
        raise UserError(f"unknown network {name!r}: choose from {CHOICES}")
    if not Path(name).is_file():
        raise UserError(f"network {name} is not a file")
    # Not its own name, which may be that of a package; dataclasses look their module up.
    spec = importlib.util.spec_from_file_location(f"networks.file.{Path(name).stem}", name)
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
        if not hasattr(module, "network"):
            raise UserError("it does not define network(classes)")
        description = module.network(classes or ANY_CLASSES)
        if not isinstance(description, Description):
            raise UserError("its network(classes) does not return a models.description.Description")
        if classes and description.classes != classes:
            raise UserError(f"its network({classes}) has {description.classes} classes")
    except (Exception, SystemExit) as error:  # whatever a user's code raises
        kind = "" if isinstance(error, UserError) else f"{type(error).__name__}: "
        raise UserError(f"{name}: {kind}{' '.join(str(error).split())}") from None
    return description
