"""The images of RecordIO files, as utils.write_records or MXNet's im2rec writes them."""

import io
from pathlib import Path

from utils.images.broken import BrokenImage
from utils.images.dataset import ImageDataset
from utils.images.record_classes import classes_of
from utils.images.recordio import read_index, read_labels, read_record


class RecordImages(ImageDataset):
    """The images of a .rec file in the order of its .idx file, with their labels.

    A broken image in an intact record is noticed when it is read.
    """

    def __init__(self, rec, idx, labels, classes, recipe, seed, augments):
        self.rec = rec
        self._offsets = read_index(idx)
        # Worker processes inherit the file and read it at their own offsets.
        self._file = open(rec, "rb", buffering=0)  # noqa: SIM115 (open as long as the dataset is)
        super().__init__(labels, classes, recipe, seed, augments)

    def where(self, index):
        """Return the file and the number of an image in it."""
        return f"{self.rec}, image {index + 1} of {len(self)},"

    def open(self, index):
        """Return an image as an open file in memory."""
        try:
            return io.BytesIO(read_record(self._file.fileno(), int(self._offsets[index])))
        except (OSError, ValueError) as error:
            raise BrokenImage(error) from None


def open_records(train, val, recipe, seed):
    """Return (train, val), the RecordImages of two pairs of paths (records, index).

    Raises UserError for files that are missing, truncated or damaged, and for labels that are not
    classes of the training images.

    """
    train, val = ([Path(path).expanduser() for path in files] for files in (train, val))
    train_labels, val_labels = read_labels(*train), read_labels(*val)
    classes = classes_of(train[0], train_labels, val[0], val_labels)
    return (
        RecordImages(*train, train_labels, classes, recipe, seed, augments=True),
        RecordImages(*val, val_labels, classes, recipe, seed, augments=False),
    )
