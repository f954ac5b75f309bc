"""The classes of RecordIO files: which labels are valid, and their names.

Records contain only numbers. The names of the classes of a file x.rec are in x.classes.json beside
it, a JSON array in the order of the labels; without it the numbers are the names.
"""

import json
from pathlib import Path
from typing import Annotated

import msgspec
import numpy as np

from utils.atomic_files import atomic_write
from utils.errors import UserError
from utils.progress import warn_first

SPARSEST = 10  # times as many classes as have an image; labels beyond are not class numbers
NAMED = 3  # classes named in a message
NAMES = Annotated[list[str], msgspec.Meta(min_length=1)]


def names_path(rec):
    """Return the path of the names of a RecordIO file's classes."""
    return Path(rec).with_suffix(".classes.json")


def write_names(rec, names):
    """Write the names of the classes of a RecordIO file."""
    with atomic_write(names_path(rec), "w") as file:
        file.write(json.dumps(list(names), ensure_ascii=False) + "\n")


def read_names(rec):
    """Return the names of a RecordIO file's classes as a tuple; None if there is no such file."""
    path = names_path(rec)
    try:
        return tuple(msgspec.json.decode(path.read_bytes(), type=NAMES))
    except FileNotFoundError:
        return None
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise UserError(f"{path} is not a JSON array of the names of classes ({error})") from None


def classes_of(train, train_labels, val, val_labels):
    """Return the names of the classes of two RecordIO files with their labels, int arrays (n,).

    Without names, the training labels define the number of classes. A warning names classes that
    have no training image.
    Raises UserError, which names the image, for a label that cannot be a class number, and for
    names that differ or are too few.
    """
    names, others = read_names(train), read_names(val)
    if None not in (names, others) and names != others:
        raise UserError(f"{names_path(train)} and {names_path(val)} name different classes")
    names = others if names is None else names
    if names is None:
        classes = int(train_labels.max()) + 1
        used = len(np.unique(train_labels))
        if classes > SPARSEST * used:
            raise UserError(
                f"{_greatest(train, train_labels)}: labels are class numbers from 0 on, and only "
                f"{used} of them have a training image"
            )
        names = tuple(map(str, range(classes)))
    for rec, labels in ((train, train_labels), (val, val_labels)):
        if labels.max() >= len(names):
            raise UserError(
                f"{_greatest(rec, labels)}, but the classes of {train} are 0 to {len(names) - 1}"
            )
    _warn_of_unused(train, train_labels, names)
    return names


def _greatest(rec, labels):
    """Return which image has the greatest label, as text for messages."""

    index = int(labels.argmax())
    return f"{rec}, image {index + 1} of {len(labels)}: its label is {labels[index]}"


def _warn_of_unused(rec, labels, names):
    unused = np.setdiff1d(np.arange(len(names)), labels).tolist()
    if unused:
        told = [str(c) if names[c] == str(c) else f"{c} ({names[c]})" for c in unused[:NAMED]]
        more = ", …" if len(unused) > NAMED else ""
        hint = "; labels count from 0" if unused[0] == 0 else ""
        warn_first(
            f"{rec} has no image of {len(unused)} of its {len(names)} classes: "
            f"{', '.join(told)}{more}{hint}"
        )
