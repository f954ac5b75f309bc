"""The images of RecordIO files."""

import io

import numpy as np
import pytest
from PIL import Image

from models.gluon.batches import batches as mxnet_batches
from models.gluon.runtime import mx
from models.pytorch.batches import batches as torch_batches
from tests.helpers.gray_images import write_folder
from utils.errors import UserError
from utils.images.broken import BROKEN
from utils.images.open_dataset import open_dataset
from utils.images.recordio import MAGIC_BYTES
from utils.images.transforms import normalised
from utils.write_records import main


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """Return an image folder of gray images with the RecordIO files root/r_train.rec … in it."""
    root = write_folder(tmp_path_factory.mktemp("images"))
    main([str(root), str(root / "r")])
    return root


def test_records_hold_the_inputs_of_the_image_folder(root):
    """Oracle: the image folder that they were written from, key by key."""
    options = {"colour_jitter": 0.4, "lighting": 0.1}
    for records, folder in zip(
        open_dataset(root / "r", 16, seed=3, **options),
        open_dataset(root, 16, seed=3, **options),
        strict=True,
    ):
        assert len(records) == len(folder)
        assert records.classes == ("dark", "light")
        for key in [(epoch, index) for epoch in (0, 5) for index in range(len(folder))]:
            image, label = records[key]
            assert label == folder[key][1]
            assert np.array_equal(image, folder[key][0])


@pytest.mark.parametrize("batches", [mxnet_batches, torch_batches])
def test_worker_processes_read_at_their_own_places(root, batches):
    """Oracle: the reader without workers; equal images, however they interleave."""
    train, _ = open_dataset(root / "r", 16, seed=0)
    keys = [[(epoch, (7 * i + epoch) % 10) for i in range(10)] for epoch in range(20)]
    seen = [(np.stack([train[k][0] for k in of_batch]), of_batch) for of_batch in keys]
    to_numpy = {mxnet_batches: mx.nd.NDArray.asnumpy}.get(batches, lambda tensor: tensor.numpy())
    for (images, labels), (wanted, of_batch) in zip(batches(train, keys, 3), seen, strict=True):
        assert to_numpy(labels).tolist() == [train.labels[index] for _, index in of_batch]
        assert np.array_equal(to_numpy(images), wanted)


def test_an_image_that_holds_the_magic_number_is_joined_again(tmp_path):
    """Oracle: MXNet's writer splits its record; the pixels are those that were written."""
    pixels = np.tile(np.frombuffer(MAGIC_BYTES, np.uint8), (40, 30)).reshape(40, 40, 3)
    content = io.BytesIO()
    Image.fromarray(pixels).save(content, "TIFF")  # uncompressed
    for half in ("train", "val"):
        paths = [f"{tmp_path}/r_{half}.{kind}" for kind in ("idx", "rec")]
        writer = mx.recordio.MXIndexedRecordIO(*paths, "w")
        writer.write_idx(0, mx.recordio.pack(mx.recordio.IRHeader(0, 1, 0, 0), content.getvalue()))
        writer.close()
    assert content.getvalue().count(MAGIC_BYTES) == 1200
    assert (tmp_path / "r_val.rec").read_bytes().count(MAGIC_BYTES * 2) == 0  # it was split
    _, val = open_dataset(tmp_path / "r", 40, seed=0, crop_ratio=1.0)
    image, label = val[(0, 0)]
    assert label == 1
    assert np.array_equal(image, normalised(pixels))


def damaged(root, tmp_path):
    """Return the prefix of a copy of the records in which an image of each half is broken."""
    for half in ("train", "val"):
        content = bytearray((root / f"r_{half}.rec").read_bytes())
        start = content.index(b"PNG", 500)
        content[start : start + 60] = bytes(60)
        (tmp_path / f"bad_{half}.rec").write_bytes(content)
        (tmp_path / f"bad_{half}.idx").write_bytes((root / f"r_{half}.idx").read_bytes())
    return tmp_path / "bad"


def test_a_broken_image_in_a_record_has_no_label(root, tmp_path):
    """Oracle: all the others are as in the whole file."""
    prefix = damaged(root, tmp_path)
    for whole, cut in zip(
        open_dataset(root / "r", 16, 0), open_dataset(prefix, 16, 0), strict=True
    ):
        labels = [cut[(0, index)][1] for index in range(len(cut))]
        assert labels.count(BROKEN) == 1
        broken = labels.index(BROKEN)
        assert not cut[(0, broken)][0].any()
        assert cut.where(broken) == f"{cut.rec}, image {broken + 1} of {len(cut)},"
        assert np.delete(labels, broken).tolist() == np.delete(whole.labels, broken).tolist()


def test_files_that_shrink_while_they_are_read_hold_broken_images(root, tmp_path):
    """Oracle: the last image is gone, the first is there."""
    prefix = damaged(root, tmp_path)
    train, _ = open_dataset(prefix, 16, 0)
    content = train.rec.read_bytes()
    with open(train.rec, "r+b") as file:
        file.truncate(len(content) - 20)
    assert train[(0, len(train) - 1)][1] == BROKEN
    assert train[(0, 0)][1] == train.labels[0]


@pytest.mark.parametrize("missing", ["train.rec", "train.idx", "val.rec", "val.idx"])
def test_a_missing_file_is_named(root, tmp_path, missing):
    """Oracle: the path is in the message."""
    prefix = damaged(root, tmp_path)
    (tmp_path / f"bad_{missing}").unlink()
    with pytest.raises(UserError, match=f"bad_{missing} does not exist"):
        open_dataset(prefix, 16, 0)


def test_both_halves_have_the_classes_of_the_one_that_has_more(tmp_path):
    """Oracle: by hand: the validation images are all dark."""
    root = write_folder(tmp_path / "images")
    main([str(root), str(tmp_path / "r")])
    for path in tmp_path.glob("r_*.classes.json"):
        path.unlink()
    val = (tmp_path / "r_val.idx").read_text().splitlines(keepends=True)
    (tmp_path / "r_val.idx").write_text("".join(val[:4]))
    train, val = open_dataset(tmp_path / "r", 16, 0)
    assert train.classes == val.classes == ("0", "1")
    assert set(val.labels) == {0}


def test_a_label_packed_as_an_array_of_one_is_read(tmp_path):
    """Oracle: MXNet's writer; the pixels are those that were written."""
    content = io.BytesIO()
    pixels = np.full((9, 9, 3), 70, np.uint8)
    Image.fromarray(pixels).save(content, "PNG")
    for half in ("train", "val"):
        paths = [f"{tmp_path}/r_{half}.{kind}" for kind in ("idx", "rec")]
        writer = mx.recordio.MXIndexedRecordIO(*paths, "w")
        for number in range(2):
            header = mx.recordio.IRHeader(0, [float(number)], number, 0)
            writer.write_idx(number, mx.recordio.pack(header, content.getvalue()))
        writer.close()
    _, val = open_dataset(tmp_path / "r", 9, seed=0, crop_ratio=1.0)
    assert val.labels.tolist() == [0, 1]
    assert np.array_equal(val[0, 1][0], normalised(pixels))
