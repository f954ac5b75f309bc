"""Which classes RecordIO files have, and their names."""

import json

import numpy as np
import pytest

from utils.errors import UserError
from utils.images.record_classes import classes_of, names_path, read_names, write_names


def classes(folder, train, val=(0,)):
    """Return the classes of files of these labels."""
    return classes_of(folder / "a.rec", np.array(train), folder / "b.rec", np.array(val))


def test_without_names_the_numbers_are_the_names(tmp_path, capsys):
    """Oracle: by hand; nothing is said where every class has an image."""
    assert classes(tmp_path, [2, 0, 1]) == ("0", "1", "2")
    assert not capsys.readouterr().err


def test_names_are_kept_and_may_stand_beside_either_file(tmp_path):
    """Oracle: the names that were written, in any script and with any separator."""
    names = ("ant", "größe, weiß", 'line\nbreak "quoted"')
    write_names(tmp_path / "b.rec", names)
    assert names_path(tmp_path / "b.rec") == tmp_path / "b.classes.json"
    assert json.loads((tmp_path / "b.classes.json").read_text(encoding="utf-8")) == list(names)
    assert read_names(tmp_path / "a.rec") is None
    assert classes(tmp_path, [0, 1, 2]) == names


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        ([1, 2, 3], "no image of 1 of its 4 classes: 0; labels count from 0"),
        ([0, 3], "no image of 2 of its 4 classes: 1, 2"),
        ([0, 9, 9], "no image of 8 of its 10 classes: 1, 2, 3, …"),
    ],
)
def test_classes_without_an_image_are_named(tmp_path, capsys, labels, said):
    """Oracle: by hand; the classes are as many as the greatest label tells."""
    assert len(classes(tmp_path, labels)) == max(labels) + 1
    assert f"warning: {tmp_path}/a.rec has {said}\n" in capsys.readouterr().err


def test_named_classes_without_an_image_are_named(tmp_path, capsys):
    """Oracle: by hand."""
    write_names(tmp_path / "a.rec", ["cat", "dog", "owl"])
    assert classes(tmp_path, [0, 1]) == ("cat", "dog", "owl")
    assert "no image of 1 of its 3 classes: 2 (owl)" in capsys.readouterr().err


@pytest.mark.parametrize("label", [99, 1_000_000, 1 << 24])
def test_a_label_far_beyond_the_others_is_refused(tmp_path, label):
    """Oracle: the file, the image and the label are in the message."""
    message = f"a.rec, image 3 of 4: its label is {label}: labels are class numbers from 0 on"
    with pytest.raises(UserError, match=message):
        classes(tmp_path, [0, 1, label, 1])


def test_validation_labels_beyond_the_training_classes_are_refused(tmp_path):
    """Oracle: the file, the image and the label are in the message, and which there may be."""
    message = r"b\.rec, image 2 of 2: its label is 5, but the classes of .*a\.rec are 0 to 2"
    with pytest.raises(UserError, match=message):
        classes(tmp_path, [0, 1, 2], [0, 5])


def test_names_that_do_not_fit_are_refused(tmp_path):
    """Oracle: the image, or the two files, are in the message."""
    write_names(tmp_path / "a.rec", ["cat", "dog"])
    with pytest.raises(
        UserError, match=r"a\.rec, image 3 of 3: its label is 2, but the classes of .* are 0 to 1"
    ):
        classes(tmp_path, [0, 1, 2])
    write_names(tmp_path / "b.rec", ["dog", "cat"])
    with pytest.raises(UserError, match=r"a\.classes\.json and .*b\.classes\.json name different"):
        classes(tmp_path, [0, 1])


@pytest.mark.parametrize(
    "content", [b"", b"[]", b'{"a": 1}', b'["a", 1]', b'["\xe9"]', b'["\\udce9"]', b"[" * 100_000]
)
def test_damaged_names_are_refused(tmp_path, content):
    """Oracle: the file is in the message."""
    (tmp_path / "a.classes.json").write_bytes(content)
    with pytest.raises(UserError, match=r"a\.classes\.json is not a JSON array of the names"):
        classes(tmp_path, [0])
