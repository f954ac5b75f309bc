"""The classes of RecordIO files: which labels there may be, and their names.

Records hold numbers only. The names of the classes stand beside a file x.rec in x.classes.json, a
JSON array in the order of the labels; without it the numbers are the names.
"""

import json
from pathlib import Path
from typing import Annotated

import msgspec
import numpy as np

from utils.errors import UserError
from utils.json_lines import atomic_write
from utils.progress import warn_first

SPARSEST = 10  # times as many classes as have an image: more is no numbering of classes
NAMED = 3  # in a message
NAMES = Annotated[list[str], msgspec.Meta(min_length=1)]


def names_path(rec):
    """Return where the names of the classes of a RecordIO file stand."""
    return Path(rec).with_suffix(".classes.json")


def write_names(rec, names):
    """Write the names of the classes of a RecordIO file."""
    with atomic_write(names_path(rec), "w") as file:
        file.write(json.dumps(list(names), ensure_ascii=False) + "\n")


def read_names(rec):
    """Return the names of the classes of a RecordIO file, a tuple; None if there is no file."""
    path = names_path(rec)
    try:
        return tuple(msgspec.json.decode(path.read_bytes(), type=NAMES))
    except FileNotFoundError:
        return None
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise UserError(f"{path} is no JSON array of the names of classes ({error})") from None


def classes_of(train, train_labels, val, val_labels):
    """Return the names of the classes of two RecordIO files with their labels, int arrays (n,).

    The training labels tell the number of classes if there are no names; a class without a
    training image is named in a warning.
    Raises UserError that names the image of a label that cannot be a class's, and for names that
    differ or are too few.
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
    """Return which image has the greatest label, for people."""
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
