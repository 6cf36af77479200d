"""Labels files as people write them: several labels in a cell, missing ones, splits, paths of other machines."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmark.data.user.findings import DataError
from tests.data.made_up import counted, put, read


def table(root: Path, text: str, images: int = 6, inside: str = "", encoding: str = "utf-8") -> Path:
    for i in range(images):
        put(root / inside / f"{i}.png")
    (root / "labels.csv").write_bytes(text.encode(encoding))
    return root / "labels.csv"


def of_labels(*labels: str) -> str:
    return "image,label\n" + "".join(f"{i}.png,{label}\n" for i, label in enumerate(labels))


@pytest.mark.parametrize(
    ("both", "said"),
    [
        ("a,b", "cells beyond the last column are further labels (2 images with more than one)."),
        ('"a,b"', "',' is taken to stand between several labels (2 images with more than one). separator=none"),
        ('"a, b"', "',' is taken to stand between several labels (2 images with more than one). separator=none"),
        ("a b", "a space is taken to stand between several labels (2 images with more than one). separator=none"),
        ("a;b", "';' is taken to stand between several labels (2 images with more than one). separator=none"),
    ],
)
def test_several_labels_in_a_cell_are_several_labels(tmp_path, both, said):
    found = read(table(tmp_path, of_labels("a", "b", both, "a", "b", both)))
    assert found.class_names == ["a", "b"]
    assert found.labels.tolist() == [[1, 0], [0, 1], [1, 1]] * 2
    assert found.remarks[0].startswith(f"labels.csv, column label: {said}")


@pytest.mark.parametrize("form", ["\"['a', 'b']\"", '"[a, b]"', "\"('a', 'b')\"", "[a b]"])
def test_lists_in_a_cell_are_several_labels(tmp_path, form):
    found = read(table(tmp_path, of_labels("['a']", "['b']", form, "['a']", "['b']", form)))
    assert found.labels.tolist() == [[1, 0], [0, 1], [1, 1]] * 2
    assert "are taken as labels (2 images with more than one)" in found.remarks[0]


def test_names_with_commas_and_spaces_are_whole_where_their_words_are_no_labels(tmp_path):
    towns = of_labels('"Paris, France"', '"Rome, Italy"', '"Oslo, Norway"', '"Paris, France"', '"Rome, Italy"', "x")
    found = read(table(tmp_path / "towns", towns))
    assert found.class_names == ["Oslo, Norway", "Paris, France", "Rome, Italy", "x"]
    assert "labels with ',' in them are whole names, such as 'Paris, France'; separator=\",\"" in found.remarks[0]
    dogs = of_labels("golden retriever", "golden eagle", "labrador retriever", "red car", "blue car", "red bus")
    assert len(read(table(tmp_path / "dogs", dogs)).class_names) == 6
    tags = of_labels("haze primary", "clear primary water", "clear water", "haze", "clear", "primary")
    assert read(table(tmp_path / "tags", tags)).class_names == ["clear", "haze", "primary", "water"]


def test_what_stands_between_labels_may_be_said(tmp_path):
    text = of_labels('"a,b"', "a", "b", '"a,b"', "c/a", "c")
    assert read(table(tmp_path, text), separator="none").class_names == ["a", "a,b", "b", "c", "c/a"]
    assert read(tmp_path / "labels.csv", separator=",").labels.sum() == 8
    assert read(tmp_path / "labels.csv", separator="/").class_names == ["a", "a,b", "b", "c"]


def test_more_cells_than_columns_that_are_no_labels_are_refused(tmp_path):
    with pytest.raises(DataError, match=r"Got more in 1 row, such as 'Paris,France'. Put the label into quotes, or"):
        read(table(tmp_path, of_labels("Paris,France", "x", "y", "x", "y", "x")))
    with pytest.raises(DataError, match=r"must have as many cells in every row as columns. Got more in line 3"):
        read(table(tmp_path, "label,image\na,0.png\nb,c,1.png\n"))


def test_missing_labels_are_left_out_and_counted(tmp_path):
    found = read(table(tmp_path, of_labels("a", "nan", "b", "", "N/A", "b")))
    assert counted(found) == {"a": (0, 0, 1), "b": (0, 0, 2)}
    assert found.remarks == ["3 rows without a label are left out (1.png, 3.png, 4.png)."]
    assert read(table(tmp_path, of_labels("none", "a", "none", "a", "none", "a"))).class_names == ["a", "none"]


@pytest.mark.parametrize(
    ("labels", "names", "said"),
    [
        (["0", "0.0", "1", "1.0", "0", "1"], ["0", "1"], "'0' and '0.0'; '1' and '1.0'"),
        (["Cat", "cat ", "cat", "dog", "DOG", "dog"], ["cat", "dog"], "'Cat' and 'cat'; 'DOG' and 'dog'"),
        (["caf\u00e9", "cafe\u0301", "b", "b", "b", "b"], ["b", "caf\u00e9"], r"'cafe\u0301' and 'caf\xe9'"),
    ],
)
def test_spellings_of_one_class(tmp_path, labels, names, said):
    found = read(table(tmp_path, of_labels(*labels)))
    assert found.class_names == names
    assert found.remarks == [f"Taken for one class, though spelled differently: {said}."]


@pytest.mark.parametrize("labels", [["A", "a"], ["1", "01"], ["0.0", "1.0"], ["cat", "cats"]])
def test_what_is_no_spelling_of_one_class(tmp_path, labels):
    found = read(table(tmp_path, of_labels(*labels * 3)))
    assert (set(found.class_names), found.remarks) == (set(labels), [])


@pytest.mark.parametrize(
    ("column", "train", "test"),
    [
        ("set", "train", "test"),
        ("partition", "training", "val"),
        ("subset", "Train", "Testing"),
        ("Usage", "Training", "PublicTest"),
        ("phase", "train", "valid"),
        ("is_test", "0", "1"),
        ("is_valid", "False", "True"),
        ("is_train", "yes", "no"),
        ("test", "0", "1"),
    ],
)
def test_a_column_of_parts_is_the_split_and_that_is_said(tmp_path, column, train, test):
    lines = "".join(f"{i}.png,{'ab'[i % 2]},{test if i > 3 else train}\n" for i in range(6))
    found = read(table(tmp_path, f"image,label,{column}\n{lines}"))
    assert counted(found) == {"a": (2, 1, 0), "b": (2, 1, 0)}
    assert found.remarks == [
        f"The column {column} is the split: '{train}' for training (4 rows); '{test}' for testing (2 rows)."
    ]


def test_folds_are_said_not_to_be_used_and_may_be(tmp_path):
    lines = "".join(f"{i}.png,{'ab'[i % 2]},{i // 2}\n" for i in range(6))
    file = table(tmp_path, f"image,label,fold\n{lines}")
    assert read(file).remarks == [
        "The column fold is not used ('0', '1', '2'); split.column=fold split.test=2 would test on those rows."
    ]
    assert counted(read(file, split={"column": "fold", "test": 2})) == {"a": (2, 1, 0), "b": (2, 1, 0)}
    found = read(file, split={"column": "fold", "train": [0], "test": [2]})
    assert counted(found) == {"a": (1, 1, 0), "b": (1, 1, 0)}
    assert found.remarks[-1] == "2 rows of other splits than train and test are left out."
    with pytest.raises(DataError, match=r"split.test must be values of the column fold .* Got 7"):
        read(file, split={"column": "fold", "test": 7})
    with pytest.raises(DataError, match=r"split.column must be a column of labels.csv. Got flod. Did you mean 'fold'"):
        read(file, split={"column": "flod", "test": 2})


def test_unlabelled_test_rows_leave_the_split_to_be_made(tmp_path):
    lines = "".join(f"{i}.png,{'' if i > 3 else 'ab'[i % 2]},{'test' if i > 3 else 'train'}\n" for i in range(6))
    found = read(table(tmp_path, f"image,label,split\n{lines}"))
    assert counted(found) == {"a": (0, 0, 2), "b": (0, 0, 2)}
    assert found.remarks[0] == "2 rows without a label are left out (4.png, 5.png)."


NAMES = ["imgs\\{}.png", ".\\imgs\\{}.png", "{}.png", "{}", "C:\\data\\imgs\\{}.png", "/home/x/imgs/{}.png", "{}.PNG"]


@pytest.mark.parametrize("name", NAMES)
def test_images_are_found_by_name_below_the_table(tmp_path, name):
    lines = "".join(f"{name.format(i)},{'ab'[i % 2]}\n" for i in range(6))
    found = read(table(tmp_path, f"image,label\n{lines}", inside="imgs"))
    assert [f.name for f in found.items] == [f"{i}.png" for i in range(6)]
    assert found.remarks == ["6 of 6 images are found by name, in imgs/."]


def test_a_name_that_fits_two_images_is_not_guessed(tmp_path):
    put(tmp_path / "other/3.png")
    with pytest.raises(DataError, match=r"Got 1 of 6 that are not: 3.png \(imgs/3.png or other/3.png\?\)"):
        read(table(tmp_path, of_labels(*"ababab"), inside="imgs"))


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_the_delimiter_is_found(tmp_path, delimiter):
    text = of_labels(*"ababab").replace(",", delimiter)
    assert counted(read(table(tmp_path, text))) == {"a": (0, 0, 3), "b": (0, 0, 3)}


ENCODINGS = [("utf-8-sig", None), ("utf-16", "UTF-16"), ("utf-16-le", "UTF-16"), ("cp1252", "Windows-1252")]


@pytest.mark.parametrize(("encoding", "said"), ENCODINGS)
def test_the_encoding_is_found(tmp_path, encoding, said):
    found = read(table(tmp_path, of_labels(*["caf\u00e9", "b"] * 3), encoding=encoding))
    assert found.class_names == ["b", "caf\u00e9"]
    assert [said in r for r in found.remarks] == ([True] if said else [])


def test_columns_of_other_names_are_found_by_what_they_hold(tmp_path):
    found = read(table(tmp_path, "id,breed\n" + "".join(f"{i},{'ab'[i % 2]}\n" for i in range(6))))
    assert counted(found) == {"a": (0, 0, 3), "b": (0, 0, 3)}
    assert found.remarks[:2] == [
        "labels.csv: the column id names the images.",
        "labels.csv: the column breed holds the labels.",
    ]
    with pytest.raises(DataError, match=r"must have a column label. Got id, x, y. Name yours with label=<column>"):
        read(table(tmp_path, "id,x,y\n" + "".join(f"{i},{'ab'[i % 2]},0\n" for i in range(6))))


def test_a_table_without_names_of_columns(tmp_path):
    found = read(table(tmp_path, of_labels(*"ababab").partition("\n")[2]))
    assert counted(found) == {"a": (0, 0, 3), "b": (0, 0, 3)}
    assert "has no line of column names" in found.remarks[0]


def test_a_table_beside_one_folder_of_images_holds_their_labels(tmp_path):
    table(tmp_path / "mine", of_labels(*"ababab"), inside="images")
    assert counted(read(tmp_path / "mine")) == {"a": (0, 0, 3), "b": (0, 0, 3)}
    assert counted(read(tmp_path)) == {"a": (0, 0, 3), "b": (0, 0, 3)}  # in a wrapper


def test_a_table_above_folders_of_images_is_not_passed_over_in_silence(tmp_path):
    for i in range(6):
        put(tmp_path / f"images/part{i % 2}/{i}.png")
    (tmp_path / "labels.csv").write_text(of_labels(*"ababab"))
    with pytest.raises(DataError, match=r"Got the folders part0, part1 and beside them labels.csv .*/labels.csv if"):
        read(tmp_path)
    assert counted(read(tmp_path / "labels.csv")) == {"a": (0, 0, 3), "b": (0, 0, 3)}


def test_one_class_in_a_table_names_the_column(tmp_path):
    with pytest.raises(DataError, match=r"Got one, 'a', .* Name the column that holds the labels with label=<column>"):
        read(table(tmp_path, of_labels(*"aaaaaa")))


def of_columns(head: str, *rows: str) -> str:
    return f"image,{head}\n" + "".join(f"{i}.png,{row}\n" for i, row in enumerate(rows))


@pytest.mark.parametrize(("one", "zero"), [("1", "0"), ("1.0", "0.0"), ("True", "False")])
def test_a_column_a_class_with_one_1_a_row_is_one_class_an_image(tmp_path, one, zero):
    rows = [f"{one},{zero},{zero}", f"{zero},{one},{zero}", f"{zero},{zero},{one}"] * 2
    found = read(table(tmp_path, of_columns("mel,nv,bcc", *rows)))
    assert found.class_names == ["bcc", "mel", "nv"]
    assert found.labels.tolist() == [1, 2, 0] * 2
    said = "labels.csv: the columns mel, nv, bcc hold 0 or 1 and are taken for a class each, one 1 in every row."
    assert said in found.remarks


def test_a_column_a_class_with_several_1s_is_several_labels_an_image_and_none_is_kept(tmp_path):
    found = read(table(tmp_path, of_columns("cat,dog,split", "1,0,train", "1,1,train", "0,0,test", "0,1,test"), 4))
    assert found.class_names == ["cat", "dog"]
    assert found.labels.tolist() == [[1, 0], [1, 1], [0, 0], [0, 1]]
    assert found.split.tolist() == [0, 0, 1, 1]
    assert "several labels an image (1 image with more than one, 1 with none)." in found.remarks[0]


@pytest.mark.parametrize(
    ("head", "rows", "seen"),
    [
        ("cat,dog", ["1,0", "0,1", "0,0"], r"Got cat, dog with 0 or 1 in every row: of 3 rows 1 with none\."),
        ("cat,dog", ["1,0", "0,1"] * 150 + ["1,1"], r"of 301 rows 1 with several\. Correct or remove them"),
        ("cat,dog,age", ["1,0,34", "0,1,28"], r"with 0 or 1 in every row, and age with '34'\. Name yours with label="),
        ("cat,dog,emu", ["1,0,0", "0,1,-1"], r"Got cat, dog with 0 or 1 in every row, and emu with '-1'"),
        ("cat,dog,emu", ["1,0,0", "0,1,"], r"and emu with ''"),
        ("is_test,cat,dog,is_train", ["0,1,0,1", "1,0,1,0"], r"of which is_train speaks of the split, too"),
    ],
)
def test_doubtful_columns_of_0_and_1_are_refused_with_what_was_seen(tmp_path, head, rows, seen):
    with pytest.raises(DataError, match=seen):
        read(table(tmp_path, of_columns(head, *rows), len(rows)))


def test_a_column_of_labels_that_is_named_is_taken_beside_columns_of_0_and_1(tmp_path):
    text = of_columns("species,blurred,night", "a,0,1", "b,1,0", "a,0,0")
    with pytest.raises(DataError, match=r"Got blurred, night with 0 or 1 in every row, and species with 'a'"):
        read(table(tmp_path, text, 3))
    assert read(tmp_path / "labels.csv", label="species").class_names == ["a", "b"]
    assert read(table(tmp_path / "one", of_columns("label,blurred,night", "a,0,1", "b,1,0"), 2)).labels.tolist() == [
        0,
        1,
    ]


@pytest.mark.parametrize(
    "form",
    ["1 0 1", '"1,0,1"', "1,0,1", "1;0;1", "1|0|1", '"[1, 0, 1]"', '"[1.0, 0.0, 1.0]"', "[1. 0. 1.]"],
)
def test_a_cell_of_zeros_and_ones_is_a_label_for_each_1_and_that_is_said(tmp_path, form):
    other = form.translate(str.maketrans("1", "x")).replace("0", "1").replace("x", "0").replace(".1", ".0")
    found = read(table(tmp_path, of_labels(form, other, form, other, form, form)))
    assert found.class_names == ["0", "1", "2"]
    assert found.labels.tolist() == [[1, 0, 1], [0, 1, 0], [1, 0, 1], [0, 1, 0], [1, 0, 1], [1, 0, 1]]
    said = "labels.csv, column label: the places 0, 1, 2 hold 0 or 1 and are taken for a class each: several labels"
    assert found.remarks[0].startswith(said)


def test_cells_with_a_single_1_are_one_class_an_image_and_two_digits_are_labels(tmp_path):
    found = read(table(tmp_path / "one", of_labels("0 0 1", "0 1 0", "1 0 0", "0 0 1", "0 1 0", "1 0 0")))
    assert found.labels.tolist() == [2, 1, 0, 2, 1, 0]
    assert read(table(tmp_path / "two", of_labels("0;1", "1", "0", "0;1", "1", "0"))).labels.tolist()[0] == [1, 1]
    with pytest.raises(DataError, match=r"Got 3 times 0 or 1 in every row: of 6 rows 1 with none"):
        read(table(tmp_path / "none", of_labels("0 0 1", "0 1 0", "0 0 0", "0 0 1", "0 1 0", "1 0 0")))


def test_measurements_are_no_classes_and_few_values_are(tmp_path):
    with pytest.raises(DataError, match=r"labels must be classes. Got numbers with fractions, most of them once: 20.5"):
        read(table(tmp_path / "ages", of_labels("20.5", "21.37", "2.5e1", "33.1", "8.25", "20.5")))
    with pytest.raises(DataError, match=r"labels must be classes. Got numbers with fractions"):
        read(table(tmp_path / "whole", of_labels("20.5", "31", "42.1", "53", "8.25", "20.5")))
    doses = read(table(tmp_path / "doses", of_labels("0.5", "1.5", "0.5", "1.5", "2.5", "2.5")))
    assert doses.class_names == ["0.5", "1.5", "2.5"]


def test_of_several_tables_that_of_the_training_part_is_named(tmp_path):
    for part in ("train_images", "test_images"):
        put(tmp_path / part / "0.png")
    for name in ("sample_submission", "train"):
        (tmp_path / f"{name}.csv").write_text(of_labels("a"))
    with pytest.raises(DataError, match=r"or give data=\S*/train.csv if"):
        read(tmp_path)
