"""What a folder means: tools' folders, masks, wrappers, parts of a split under any name, and what is asked about."""

from __future__ import annotations

import pytest

from benchmark.data import packs
from benchmark.data.user import adapter
from benchmark.data.user.findings import DataError
from benchmark.data.user.parts import part_of
from tests.data.made_up import counted, pixels, put, read, tree

TOOLS = [".ipynb_checkpoints", ".thumbnails", ".git", ".dvc", ".cache", "@eaDir", "__MACOSX", ".AppleDouble"]
SPLIT = {"cat": (2, 1, 0), "dog": (2, 1, 0)}
WHOLE = {"cat": (0, 0, 2), "dog": (0, 0, 2)}


@pytest.mark.parametrize("tool", TOOLS)
def test_folders_of_tools_hold_no_images_of_a_class_and_are_no_class(tmp_path, tool):
    root = tree(tmp_path / "mine", cat=2, dog=2)
    put(root / "cat" / tool / "0.png")
    put(root / "cat" / "more" / tool / "deep" / "0.png")
    put(root / tool / "0.png")
    found = read(root)
    assert counted(found) == WHOLE
    assert found.remarks == [f"2 files are passed over (image in {tool}/: 2)."]


def test_a_mac_s_resource_files_are_passed_over(tmp_path):
    root = tree(tmp_path / "mine", cat=2, dog=2)
    (root / "cat/._0.png").write_bytes(b"\0\5\26\7")
    assert counted(read(root)) == WHOLE


@pytest.mark.parametrize("mask", ["0_mask.png", "0_mask_1.png", "0-seg.png", "masks/0.png", "annotations/0.png"])
def test_masks_beside_images_are_asked_about(tmp_path, mask):
    root = tree(tmp_path / "mine", cat=2, dog=2)
    put(root / "cat" / mask)
    with pytest.raises(DataError, match=rf"Got 1 file of 5 that look like masks .*: cat/{mask}. Give masks=leave_out"):
        read(root)
    left = read(root, masks="leave_out")
    assert counted(left) == WHOLE
    assert left.remarks[-1] == "1 mask beside the images is left out."
    assert counted(read(root, masks="keep"))["cat"] == (0, 0, 3)


def test_classes_that_are_about_masks_are_classes(tmp_path):
    root = tree(tmp_path / "mine", with_mask=2, without_mask=2, masks=1)
    put(root / "with_mask/face_mask.png")  # no other image is called face
    assert counted(read(root)) == {"masks": (0, 0, 1), "with_mask": (0, 0, 3), "without_mask": (0, 0, 2)}


def test_images_and_masks_are_no_two_classes(tmp_path):
    root = tree(tmp_path / "mine", images=3, masks=3)
    with pytest.raises(DataError, match=r"(?s)Got images and their masks .*  mine/images/: 3 images\n.*leave_out"):
        read(root)
    inside = tree(tmp_path / "inside", images__cat=2, images__dog=2, masks__cat=2, masks__dog=2)
    found = read(inside, masks="leave_out")
    assert counted(found) == WHOLE
    assert found.remarks == ["Left out: masks/ (4 masks).", "Read from images/, the one folder with images."]


PAIRS = [
    ("seg_train", "seg_test"),
    ("my_train", "my_test"),
    ("train_set", "test_set"),
    ("trainset", "valset"),
    ("images/train", "images/val"),
    ("mine/data/Training", "mine/data/Validation"),
    ("train_data", "eval_data"),
    ("TRAIN", "dev"),
    ("train", "hold_out"),
    ("trn", "tst"),
    ("train2017", "val2017"),
    ("chest-xray-train", "chest-xray-test"),
    ("myTrain", "myTest"),
    ("seg_train/seg_train", "seg_test/seg_test"),
]


@pytest.mark.parametrize(("train", "test"), PAIRS)
def test_parts_by_any_name_are_a_split_and_no_classes(tmp_path, train, test):
    for k, name in ((2, train), (1, test)):
        tree(tmp_path / name, cat=k, dog=k)
    assert counted(read(tmp_path)) == SPLIT


def test_a_part_with_a_word_before_it_is_said(tmp_path):
    root = tree(tmp_path / "mine", seg_train__cat=2, seg_train__dog=2, seg_test__cat=1, seg_test__dog=1, seg_pred=3)
    assert read(root).remarks == [
        "seg_train/ is taken for the training part, seg_test/ for the test part.",
        "Left out: seg_pred/ (3 images), beside seg_train/ and seg_test/.",
    ]


def test_names_that_hold_a_word_of_parts_are_classes_where_the_folders_say_so(tmp_path):
    assert list(counted(read(tree(tmp_path / "a", test_tube=2, train_station=2)))) == ["test_tube", "train_station"]
    deep = tree(tmp_path / "b", freight_train__red=2, bus=2, test_bus__blue=2)
    assert list(counted(read(deep))) == ["bus", "freight_train", "test_bus"]


@pytest.mark.parametrize(
    ("name", "part", "sure"),
    [
        ("Train", "train", True),
        ("training set", "train", True),
        ("val_images", "val", True),
        ("test1", "test", True),
        ("seg_train", "train", False),
        ("PublicTest", "test", False),
        ("train_test", None, None),
        ("contest", None, None),
        ("invalid", None, None),
    ],
)
def test_which_part_a_name_speaks_of(name, part, sure):
    found = part_of(name)
    assert (found and found.part, found and found.sure) == (part, sure)


def test_several_training_parts_are_asked_about(tmp_path):
    root = tree(tmp_path / "mine", train1__cat=2, train1__dog=2, train2__cat=1, train2__dog=1, test__cat=1, test__dog=1)
    with pytest.raises(DataError, match=r"(?s)one part for training. Got train1/, train2/ .*with split.train=train1"):
        read(root)
    given = {"train": ["train1", "train2"], "test": "test"}
    assert counted(read(root, split=given)) == {"cat": (3, 1, 0), "dog": (3, 1, 0)}


def test_folds_are_asked_about(tmp_path):
    root = tree(tmp_path / "mine", **{f"fold_{i}__{c}": 2 for i in range(3) for c in ("cat", "dog")})
    with pytest.raises(DataError) as error:
        read(root)
    assert str(error.value).splitlines()[1:] == [
        "  mine/fold_0/: 4 images in cat/, dog/",
        "  mine/fold_1/: 4 images in cat/, dog/",
        "  mine/fold_2/: 4 images in cat/, dog/",
        "Give split.test=fold_2 to test on fold_2/ and train on the others, class_level=2 if the classes are cat, dog, "
        "or class_level=1 if they are fold_0, fold_1, fold_2.",
    ]
    assert counted(read(root, split={"test": "fold_2"})) == {"cat": (4, 2, 0), "dog": (4, 2, 0)}
    assert counted(read(root, class_level=2)) == {"cat": (0, 0, 6), "dog": (0, 0, 6)}
    assert list(counted(read(root, class_level=1))) == ["fold_0", "fold_1", "fold_2"]


def test_domains_are_asked_about_and_one_may_be_tested_on(tmp_path):
    root = tree(tmp_path / "mine", **{f"domain_{d}__{c}": 2 for d in "abc" for c in ("cat", "dog")})
    with pytest.raises(DataError, match=r"(?s)Got domain_a/, domain_b/, domain_c/ with .*Give class_level=2 if"):
        read(root)
    split = {"train": "domain_a", "test": "domain_b"}
    found = read(root, split=split)
    assert counted(found) == {"cat": (2, 2, 0), "dog": (2, 2, 0)}
    assert found.remarks == ["Left out: domain_c/ (4 images), which the split does not name."]
    with pytest.raises(DataError, match=r"(?s)split.test must name folders .* Got domain_x.*Did you mean 'domain_"):
        read(root, split={"test": "domain_x"})


def test_one_folder_of_the_same_name_in_every_class_is_no_question(tmp_path):
    root = tree(tmp_path / "mine", cat__images=2, dog__images=2)
    assert counted(read(root)) == WHOLE
    assert read(root).remarks == []


def test_a_split_below_the_classes(tmp_path):
    root = tree(tmp_path / "mine", cat__train=2, cat__test=1, dog__train=2, dog__test=1, dog__val=1)
    found = read(root)
    assert counted(found) == SPLIT
    assert found.remarks == [
        "The split is that of the folders test, train inside the class folders.",
        "1 file is passed over (image outside the folders of the split: 1).",
    ]


def test_wrappers_are_descended_into(tmp_path):
    root = tree(tmp_path / "mine", a__b__cat=2, a__b__dog=2)
    (root / "a/readme.txt").write_text("ours")
    (root / "a/.git").mkdir()
    found = read(root)
    assert counted(found) == WHOLE
    assert found.remarks == ["Read from a/b/, the one folder with images."]


def test_a_wrapper_changes_nothing_but_the_names_of_images(tmp_path):
    for name in ("plain", "wrapped/inner"):
        for k, c in enumerate(("cat", "dog")):
            for i in range(10):
                put(tmp_path / name / c / f"{i}.png", pixels(100 * k + i))
    a, b = (packs.build("x", adapter.images(str(tmp_path / n)), 32, tmp_path / n[0]) for n in ("plain", "wrapped"))
    assert a["image_sha256"] == b["image_sha256"]


def test_folders_in_class_folders_belong_to_them_and_that_is_said(tmp_path):
    root = tree(tmp_path / "mine", cats__tabby=2, cats__siamese=2, dogs__poodle=2)
    found = read(root)
    assert counted(found) == {"cats": (0, 0, 4), "dogs": (0, 0, 2)}
    assert found.remarks == [
        "The classes are the folders cats, dogs; what lies deeper (poodle, siamese, tabby) belongs to them. "
        "class_level=2 makes the folders there the classes."
    ]
    assert list(counted(read(root, class_level=2))) == ["poodle", "siamese", "tabby"]


def test_unlabelled_test_images_are_passed_over_and_counted(tmp_path):
    said = ["Left out: 3 images in test/ without a class of train/."]
    loose = tree(tmp_path / "loose", train__cat=2, train__dog=2, test=3)
    assert (counted(read(loose)), read(loose).remarks) == (WHOLE, said)
    deeper = tree(tmp_path / "deeper", train__cat=2, train__dog=2, test__unknown=3)
    assert (counted(read(deeper)), read(deeper).remarks) == (WHOLE, said)
    val = tree(tmp_path / "val", train__cat=2, train__dog=2, val__cat=1, val__dog=1, test=3)
    assert (counted(read(val)), read(val).remarks) == (SPLIT, said)


def test_one_class_shows_the_tree_and_the_settings(tmp_path):
    root = tree(tmp_path / "mine", things=3)
    with pytest.raises(DataError, match=r"(?s)Got one, 'things', .*  mine/things/: 3 images\n.*class_level=<n>"):
        read(root)


def test_a_long_tree_is_cut_to_three_lines(tmp_path):
    root = tree(tmp_path / "mine", **{f"f{i}__{c}": 1 for i in range(9) for c in "abcdef"})
    with pytest.raises(DataError) as error:
        read(root)
    lines = str(error.value).splitlines()
    assert lines[1] == "  mine/f0/: 6 images in a/, b/, c/, d/ and 2 more"
    assert lines[4] == "  and 6 more folders"


def test_spellings_of_a_class_are_one_and_letters_are_not(tmp_path):
    root = tree(tmp_path / "mine", train__Cat=2, train__dog=2, test__cat=1, test__dog=1)
    found = read(root)
    assert counted(found) == {"Cat": (2, 1, 0), "dog": (2, 1, 0)}
    assert found.remarks == ["Taken for one class, though spelled differently: 'Cat' and 'cat'."]
    assert list(counted(read(tree(tmp_path / "letters", A=2, a=2, b=2)))) == ["A", "a", "b"]


def test_settings_that_do_not_fit_are_named(tmp_path):
    root = tree(tmp_path / "mine", cat=2, dog=2)
    with pytest.raises(DataError, match=r"split must hold train, test or column. Got trian. Did you mean 'train'"):
        read(root, split={"trian": "cat"})
    with pytest.raises(DataError, match=r"must differ. Got cat in both"):
        read(root, split={"train": "cat", "test": "cat"})
    with pytest.raises(DataError, match=r"masks must be leave_out or keep. Got yes"):
        read(root, masks="yes")
    with pytest.raises(DataError, match=r"split.column must belong to a table"):
        read(root, split={"column": "set"})
