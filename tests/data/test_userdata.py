"""A user's images in every form they come in, what is said about them, and the split that follows."""

from __future__ import annotations

import csv
import io
import json
import os
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from benchmark.config.functions import DataSpec
from benchmark.data import images, packs, splits
from benchmark.data.examples import LEFT_OUT, TEST, TRAIN
from benchmark.data.splits import grouped_split
from benchmark.data.user import adapter, listing
from benchmark.data.user.findings import DataError
from benchmark.data.user.settle import ALIKE, near_duplicates


def picture(seed: int, side: int = 40, grey: bool = False) -> Image.Image:
    """A smooth random picture: unlike every other, and like itself after a JPEG."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(30, 226, (6, 6, 1)) + (0 if grey else rng.integers(-30, 31, (6, 6, 3)))
    coarse = np.broadcast_to(coarse, (6, 6, 3)).astype(np.uint8)
    return Image.fromarray(coarse).resize((side, side), Image.Resampling.BICUBIC)


def put(path: Path, image: Image.Image, **options) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path, **options)
    return path


def folder(root: Path, counts: dict[str, int], start: int = 0) -> Path:
    seed = start
    for name, count in counts.items():
        for i in range(count):
            put(root / name / f"{i}.png", picture(seed))
            seed += 1
    return root


def built(path: Path, out: Path, **options) -> packs.Pack:
    packs.build("mine", adapter.images(str(path), **options), 32, out)
    return packs.load(out)


def notes(pack: packs.Pack) -> dict[str, dict]:
    return {note["kind"]: note for note in pack.meta.get("notes", [])}


def per_class(pack: packs.Pack) -> dict[str, tuple[int, int]]:
    return {
        name: tuple(int(((pack.labels == k) & (pack.split == part)).sum()) for part in (TRAIN, TEST))
        for k, name in enumerate(pack.class_names)
    }


# --- every form ------------------------------------------------------------------------------------------------------


def test_a_folder_without_a_split_is_split_class_by_class(tmp_path):
    pack = built(folder(tmp_path / "mine", {"cat": 10, "dog": 20}), tmp_path / "pack")
    assert per_class(pack) == {"cat": (7, 3), "dog": (14, 6)}  # 30 % of every class
    assert not notes(pack)


@pytest.mark.parametrize("name", ["test", "val"])
def test_a_folder_with_a_split_keeps_it(tmp_path, name):
    folder(tmp_path / "mine/train", {"cat": 3, "dog": 4})
    folder(tmp_path / f"mine/{name}", {"cat": 2, "dog": 2}, start=100)
    assert per_class(built(tmp_path / "mine", tmp_path / "pack")) == {"cat": (3, 2), "dog": (4, 2)}


def test_train_alone_is_split_and_what_lies_beside_it_is_said_to_be_left_out(tmp_path):
    folder(tmp_path / "mine/train", {"cat": 10, "dog": 10})
    folder(tmp_path / "mine/extra", {"cat": 2})
    found = listing.listing(tmp_path / "mine")
    assert len(found) == 20
    assert found.remarks == ["Left out: extra/ (2 images), beside train/."]
    assert per_class(built(tmp_path / "mine", tmp_path / "pack")) == {"cat": (7, 3), "dog": (7, 3)}


@pytest.mark.parametrize(
    ("train", "test"),
    [("Training", "Testing"), ("TRAIN", "Valid"), ("train_images", "test_images"), ("trainset", "val")],
)
def test_parts_that_are_called_otherwise_are_no_classes(tmp_path, train, test):
    folder(tmp_path / "mine" / train, {"cat": 3, "dog": 4})
    folder(tmp_path / "mine" / test, {"cat": 2, "dog": 2}, start=100)
    assert per_class(built(tmp_path / "mine", tmp_path / "pack")) == {"cat": (3, 2), "dog": (4, 2)}


def test_a_test_folder_without_class_folders_is_left_out(tmp_path):
    folder(tmp_path / "mine/train", {"cat": 10, "dog": 10})
    put(tmp_path / "mine/test/0.png", picture(100))
    found = listing.listing(tmp_path / "mine")
    assert (len(found), set(found.split.tolist())) == (20, {255})
    assert found.remarks == ["Left out: 1 image in test/ without a class of train/."]


def test_a_class_may_be_called_train(tmp_path):
    assert listing.listing(folder(tmp_path, {"bus": 2, "train": 2})).class_names == ["bus", "train"]


@pytest.mark.parametrize("parts", [("train", "test"), ("Train", "Val"), ("train_images", "test_images")])
def test_parts_of_loose_images_are_no_classes_and_the_table_beside_them_is_named(tmp_path, parts):
    for k, part in enumerate(parts):
        for i in range(3):
            put(tmp_path / part / f"{i}.png", picture(10 * k + i))
    with pytest.raises(DataError, match=r"(?s)without a class folder in .*labels.csv with the columns image,label"):
        listing.listing(tmp_path)
    (tmp_path / "sample_submission.csv").write_text("id,guess\n0,0\n")
    (tmp_path / "train.csv").write_text(
        "image,label\n" + "".join(f"{parts[0]}/{i}.png,{'ab'[i % 2]}\n" for i in range(3))
    )
    with pytest.raises(DataError, match=r"give data=\S*/train.csv if that table names"):
        listing.listing(tmp_path)
    assert listing.listing(tmp_path / "train.csv").class_names == ["a", "b"]


def test_a_table_beside_class_folders_must_agree_with_them(tmp_path):
    root = folder(tmp_path, {"part_1": 2, "part_2": 2})
    (root / "metadata.csv").write_text("image,label\npart_1/0.png,cat\npart_2/0.png,dog\n")
    with pytest.raises(
        DataError, match=r"Got the folders part_1, part_2 and beside them metadata.csv .*/metadata.csv if"
    ):
        listing.listing(root)
    (root / "metadata.csv").write_text("image,label\npart_1/0.png,part_1\npart_2/0.png,part_2\n")
    assert listing.listing(root).remarks == ["Not looked at, beside the folders: metadata.csv."]


def test_every_format_of_the_list_is_one_that_pillow_opens():
    known = {suffix for suffix, form in Image.registered_extensions().items() if form in Image.OPEN}
    assert images.SUFFIXES - {".avif"} <= known  # Pillow opens that one since 11.3
    assert {".jpg", ".jpeg", ".jfif", ".jpe"} <= images.SUFFIXES


def test_what_is_passed_over_is_counted(tmp_path):
    root = folder(tmp_path / "mine", {"cat": 3, "dog": 3})
    put(root / "cat/more/3.jpg", picture(50)).rename(root / "cat/more/3.jfif")
    (root / "cat/a.heic").write_bytes(b"0")
    (root / "dog/b.HEIC").write_bytes(b"0")
    (root / "dog/README").write_bytes(b"0")
    (root / "dog/.hidden.heic").write_bytes(b"0")
    (root / "dog/gone.png").symlink_to(tmp_path / "nowhere.png")
    put(root / "stray.png", picture(51))
    found = listing.listing(root)
    assert found.names == [
        "cat/0.png",
        "cat/1.png",
        "cat/2.png",
        "cat/more/3.jfif",
        "dog/0.png",
        "dog/1.png",
        "dog/2.png",
    ]
    others = "broken link: 1, file without a suffix: 1, image beside the class folders: 1"
    assert found.remarks == [f"5 files are passed over (.heic: 2, {others})."]


def test_links_are_followed_but_not_in_a_circle(tmp_path):
    kept = folder(tmp_path / "kept", {"cat": 3})
    root = folder(tmp_path / "mine", {"dog": 2, "cat": 1})
    (root / "cat/inner").symlink_to(kept / "cat")
    (root / "dog/up").symlink_to(root)
    (root / "dog/itself").symlink_to(root / "dog/itself")
    (root / "all").symlink_to(tmp_path)
    (kept / "cat/back").symlink_to(root / "cat")
    found = listing.listing(root)
    assert found.names == ["cat/0.png", *(f"cat/inner/{i}.png" for i in range(3)), "dog/0.png", "dog/1.png"]
    assert found.remarks == [
        "Folders without images are passed over: all.",
        "4 files are passed over (link to a folder above it: 3, broken link: 1).",
    ]


def rows(n: int, start: int = 0) -> list[dict]:
    def encoded(seed: int) -> bytes:
        out = io.BytesIO()
        picture(seed).save(out, "PNG")
        return out.getvalue()

    return [{"bytes": encoded(start + i), "path": f"{i}.png"} for i in range(n)]


NAMES = json.dumps({"info": {"features": {"label": {"names": ["cat", "dog"], "_type": "ClassLabel"}}}}).encode()


def test_a_parquet_file_without_a_split_and_with_other_column_names(tmp_path):
    table = pa.table({"img": rows(20), "animal": [0, 1] * 10})
    pq.write_table(table, tmp_path / "mine.parquet")
    with pytest.raises(DataError, match=r"mine.parquet must have a column label. Got img, animal. Name yours"):
        listing.listing(tmp_path / "mine.parquet")
    assert per_class(built(tmp_path / "mine.parquet", tmp_path / "pack", label="animal")) == {"0": (7, 3), "1": (7, 3)}


def test_a_parquet_file_is_read_a_row_group_at_a_time_with_the_same_result(tmp_path):
    table = pa.table({"image": rows(40), "label": [0, 1] * 20})
    pq.write_table(table, tmp_path / "whole.parquet")
    pq.write_table(table, tmp_path / "parts.parquet", row_group_size=3)
    found = listing.listing(tmp_path / "parts.parquet")
    assert found.names[5] == "row 5, 5.png"
    whole, parts = (built(tmp_path / f"{n}.parquet", tmp_path / n) for n in ("whole", "parts"))
    assert whole.meta["image_sha256"] == parts.meta["image_sha256"]
    assert whole.meta["array_sha256"] == parts.meta["array_sha256"]


def test_parquet_shards_give_their_split_and_class_names(tmp_path):
    for name, n, start in (("train-00000-of-00001", 6, 0), ("validation-00000-of-00001", 4, 50)):
        table = pa.table({"image": rows(n, start), "label": [0, 1] * (n // 2)})
        (tmp_path / "mine/data").mkdir(parents=True, exist_ok=True)
        pq.write_table(table.replace_schema_metadata({"huggingface": NAMES}), tmp_path / f"mine/data/{name}.parquet")
    assert per_class(built(tmp_path / "mine", tmp_path / "pack")) == {"cat": (3, 2), "dog": (3, 2)}


def test_a_data_set_that_datasets_saved_is_read_without_that_package(tmp_path):
    root = tmp_path / "mine"
    for part, n, start in (("train", 6, 0), ("test", 4, 50)):
        (root / part).mkdir(parents=True)
        table = pa.table({"image": rows(n, start), "label": [0, 1] * (n // 2)})
        table = table.replace_schema_metadata({"huggingface": NAMES})
        file = root / part / "data-00000-of-00001.arrow"
        with pa.OSFile(str(file), "wb") as sink, pa.ipc.new_stream(sink, table.schema) as writer:
            writer.write_table(table)
        (root / part / "state.json").write_text(json.dumps({"_data_files": [{"filename": file.name}]}))
    (root / "dataset_dict.json").write_text(json.dumps({"splits": ["train", "test"]}))
    assert per_class(built(root, tmp_path / "pack")) == {"cat": (3, 2), "dog": (3, 2)}


def labels_file(root: Path, lines: list[tuple[str, ...]], head: tuple[str, ...] = ("image", "label")) -> Path:
    with (root / "labels.csv").open("w", newline="") as file:
        csv.writer(file).writerows([head, *lines])
    return root / "labels.csv"


def test_a_labels_file_gives_the_same_pack_as_the_folder_that_holds_it(tmp_path):
    for i in range(20):
        put(tmp_path / f"mine/{i}.png", picture(i))
    file = labels_file(tmp_path / "mine", [(f"{i}.png", "cat" if i < 10 else "dog") for i in range(20)])
    by_file, by_folder = built(file, tmp_path / "a"), built(tmp_path / "mine", tmp_path / "b")
    assert per_class(by_file) == {"cat": (7, 3), "dog": (7, 3)}
    assert by_file.meta["fingerprint"] == by_folder.meta["fingerprint"]


def test_several_labels_of_an_image_are_multi_label(tmp_path):
    for i in range(12):
        put(tmp_path / f"mine/{i}.png", picture(i))
    texts = ["cat", "dog", "cat|dog"] * 4
    pack = built(labels_file(tmp_path / "mine", [(f"{i}.png", t) for i, t in enumerate(texts)]), tmp_path / "pack")
    assert pack.multilabel
    assert pack.labels.tolist() == [[1, 0], [0, 1], [1, 1]] * 4
    # 30 % of four of each label set
    assert [(pack.split[i::3] == TEST).sum() for i in range(3)] == [1, 1, 1]


def test_a_split_column_is_kept(tmp_path):
    lines = []
    for i in range(8):
        put(tmp_path / f"mine/{i}.png", picture(i))
        lines.append((f"{i}.png", "ab"[i % 2], "train" if i < 6 else "test"))
    pack = built(labels_file(tmp_path / "mine", lines, ("image", "label", "split")), tmp_path / "pack")
    assert pack.split.tolist() == [TRAIN] * 6 + [TEST] * 2


def test_rows_of_a_third_split_are_left_out_before_classes_are_counted(tmp_path):
    lines = []
    for i in range(12):
        put(tmp_path / f"mine/{i}.png", picture(i))
        part = ("train", "train", "test", "val")[i // 2 % 4]
        lines.append((f"{i}.png", "emu" if part == "val" else "ab"[i % 2], part))
    file = labels_file(tmp_path / "mine", lines, ("image", "label", "split"))
    found = listing.listing(file)
    assert (found.class_names, len(found), len(found.files)) == (["a", "b"], 10, 11)
    assert found.split.tolist() == [TRAIN] * 4 + [TEST] * 2 + [TRAIN] * 4
    assert found.remarks == ["2 rows of other splits than train and test are left out."]
    table = pa.table({"image": rows(12), "label": [line[1] for line in lines], "split": [line[2] for line in lines]})
    pq.write_table(table, tmp_path / "mine.parquet")
    other = listing.listing(tmp_path / "mine.parquet")
    assert (other.class_names, other.split.tolist(), other.remarks) == (["a", "b"], found.split.tolist(), found.remarks)


def test_a_table_that_names_absolute_paths_is_found_by_a_relative_one(tmp_path, monkeypatch):
    from benchmark.cells.keys import fingerprints

    root = folder(tmp_path / "mine", {"cat": 2, "dog": 2})
    (root / "more").mkdir()
    named = [(str(f), f.parent.name) for f in sorted(root.rglob("*.png"))]
    file = labels_file(root / "more", named)
    monkeypatch.chdir(tmp_path)
    relative, absolute = (adapter.inputs(str(p)) for p in (file.relative_to(tmp_path), file))
    assert not relative[0].is_absolute()
    assert relative[1].is_absolute()
    assert fingerprints(relative) == fingerprints(absolute)
    assert listing.listing(file.relative_to(tmp_path)).remarks == []
    beside = labels_file(root, named)
    assert listing.listing(beside.relative_to(tmp_path)).remarks == []  # its images are the ones beside it


def test_names_that_are_not_utf_8(tmp_path):
    root = folder(tmp_path / "mine", {"cat": 10, "dog": 10})
    os.rename(os.fsencode(root / "cat/0.png"), os.fsencode(root / "cat") + b"/caf\xe9.png")
    (root / "cat/1.png").rename(root / "cat/broken.png")
    (root / "cat/broken.png").write_bytes(b"no picture")
    pack = built(root, tmp_path / "pack")
    assert per_class(pack) == {"cat": (6, 3), "dog": (7, 3)}


@pytest.mark.parametrize(
    ("labels", "names"),
    [
        ([0.0, 2.0], ["0", "2"]),
        ([0, 2_000_000_000], ["0", "2000000000"]),
        ([2, 12_345_678_901], ["2", "12345678901"]),
        ([10_000, 9_999], ["9999", "10000"]),
        ([True, False], ["0", "1"]),
    ],
)
def test_numbers_are_classes(tmp_path, labels, names):
    pq.write_table(pa.table({"image": rows(20), "label": labels * 10}), tmp_path / "mine.parquet")
    pack = built(tmp_path / "mine.parquet", tmp_path / "pack")
    assert pack.class_names == names
    assert [pack.class_names[k] for k in pack.labels] == [str(int(k)) for k in labels * 10]


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        ([0.0, 0.5], r"mine.parquet, column label: labels must be whole numbers or texts. Got 0.5"),
        ([0.0, float("inf")], r"mine.parquet, column label: labels must be whole numbers or texts. Got inf"),
        ([b"a", b"b"], r"mine.parquet, column label must hold whole numbers or texts, or lists of them. Got binary"),
        ([[[0]], [[1]]], r"mine.parquet, column label must hold whole numbers or texts, .* Got list<.*label=<column>"),
    ],
)
def test_what_is_no_label_is_refused_in_words(tmp_path, labels, said):
    pq.write_table(pa.table({"image": rows(4), "label": labels * 2}), tmp_path / "mine.parquet")
    with pytest.raises(DataError, match=said):
        listing.listing(tmp_path / "mine.parquet")


def test_the_key_of_a_pack_follows_the_bytes_and_not_the_place(tmp_path):
    a, b = (folder(tmp_path / name, {"cat": 3, "dog": 3}) for name in ("a", "b"))
    specs = [
        DataSpec(
            name="x", _target_="benchmark.data.user.adapter.images", task="x", size=32, parameters={"path": str(p)}
        )
        for p in (a, b)
    ]
    from benchmark.cells.keys import fingerprints

    assert specs[0].identity() == specs[1].identity()
    assert fingerprints(adapter.inputs(str(a))) == fingerprints(adapter.inputs(str(b)))
    put(b / "cat/0.png", picture(99))
    assert fingerprints(adapter.inputs(str(a))) != fingerprints(adapter.inputs(str(b)))


def test_at_most_so_many_images_are_read_and_fingerprinted(tmp_path):
    root = folder(tmp_path / "mine", {"cat": 20, "dog": 10})
    taken = listing.listing(root).taken(9)
    assert np.bincount(taken.labels).tolist() == [6, 3]
    assert len(adapter.inputs(str(root), most=9)) == 9
    assert "9 of 30 images are taken" in taken.remarks[-1]


# --- what is wrong ---------------------------------------------------------------------------------------------------


def test_unreadable_images_are_named_and_left_out(tmp_path):
    root = folder(tmp_path / "mine", {"cat": 10, "dog": 10})
    (root / "cat/3.png").write_bytes(b"no picture")
    whole = (root / "dog/1.png").read_bytes()
    (root / "dog/1.png").write_bytes(whole[: len(whole) // 2])
    pack = built(root, tmp_path / "pack")
    assert notes(pack)["unreadable"]["images"] == ["cat/3.png", "dog/1.png"]
    assert notes(pack)["unreadable"]["what"].startswith("2 images cannot be read: cat/3.png (")
    assert notes(pack)["unreadable"]["done"] == "Left out."
    assert pack.split.tolist().count(LEFT_OUT) == 2
    assert per_class(pack) == {"cat": (6, 3), "dog": (6, 3)}  # 30 % of nine


def test_too_many_unreadable_images_stop_it(tmp_path):
    root = folder(tmp_path / "mine", {"cat": 4, "dog": 4})
    for i in range(2):
        (root / f"cat/{i}.png").write_bytes(b"no picture")
    with pytest.raises(DataError, match=r"images must be readable. Got 2 of 8 that are not: cat/0.png .*cat/1.png"):
        built(root, tmp_path / "pack")


def test_a_class_with_one_image_is_left_out_with_its_name(tmp_path):
    pack = built(folder(tmp_path / "mine", {"cat": 10, "emu": 1, "fox": 10}), tmp_path / "pack")
    assert notes(pack)["single"]["what"] == "Class 'emu' has one image."
    assert per_class(pack) == {"cat": (7, 3), "fox": (7, 3)}  # and the ids close the gap


def test_near_duplicates_stay_on_one_side(tmp_path):
    root = folder(tmp_path / "mine", {"cat": 10, "dog": 10})
    for i in range(10):
        put(root / f"cat/{i}-again.jpg", picture(i), quality=70)
    pack = built(root, tmp_path / "pack")
    note = notes(pack)["copies"]
    assert note["what"] == "20 images are near-duplicates of others, in 10 groups."
    names = listing.listing(root).names
    side = {Path(n).stem: int(s) for n, s in zip(names, pack.split, strict=True) if n.startswith("cat")}
    assert all(side[str(i)] == side[f"{i}-again"] for i in range(10))
    assert per_class(pack) == {"cat": (14, 6), "dog": (7, 3)}


def test_training_copies_of_test_images_are_left_out(tmp_path):
    folder(tmp_path / "mine/train", {"cat": 5, "dog": 5})
    folder(tmp_path / "mine/test", {"cat": 2, "dog": 2}, start=100)
    put(tmp_path / "mine/test/cat/leak.jpg", picture(3), quality=80)  # what train/cat/3.png shows
    pack = built(tmp_path / "mine", tmp_path / "pack")
    assert notes(pack)["leak"]["images"] == ["train/cat/3.png"]
    assert per_class(pack) == {"cat": (4, 3), "dog": (5, 2)}


def test_the_same_picture_under_two_labels_is_said(tmp_path):
    root = folder(tmp_path / "mine", {"cat": 6, "dog": 6})
    put(root / "dog/cat.png", picture(2))
    assert notes(built(root, tmp_path / "pack"))["conflict"]["images"] == ["cat/2.png", "dog/cat.png"]


def test_twelve_bits_in_sixteen_are_scaled_by_the_range_of_all_and_said(tmp_path):
    root = tmp_path / "xray"
    for i in range(6):
        for name in ("sound", "ill"):
            put(root / f"{name}/{i}.png", picture(400 + i + 50 * (name == "ill"), grey=True))
    deep = [np.asarray(picture(450 + i, grey=True).convert("L")).astype(np.uint16) * 16 for i in range(6)]
    for i in range(6):
        Image.fromarray(deep[i]).save(root / f"ill/{i}.png")
    pack = built(root, tmp_path / "pack", alike=None)
    found = notes(pack)
    ranges = [np.sort(d.reshape(-1))[[1, -2]] for d in deep]  # 0.1 % of 1600 pixels may be dead: one on each side
    low, high = min(r[0] for r in ranges), max(r[1] for r in ranges)
    assert found["deep"]["what"] == f"6 of 12 images have more than 8 bits, from {low} to {high} over all of them."
    assert sorted(found["deep"]["images"]) == [f"ill/{i}.png" for i in range(6)]
    assert "dark" not in found
    assert pack.meta["levels"] == {"whole": [low, high]}
    stretched = np.rint(255 * np.clip((deep[3].astype(float) - low) / (high - low), 0, 1))
    at = listing.listing(root).names.index("ill/3.png")
    assert np.array_equal(packs.scaled(Image.fromarray(stretched.astype(np.uint8)), 32), pack.image(at))


def test_what_is_almost_black_is_said(tmp_path):
    root = folder(tmp_path / "mine", {"cat": 6, "dog": 6})
    for i in range(6):
        black = np.random.default_rng(i).integers(0, 20, (40, 40, 3), dtype=np.uint8)
        put(root / f"dog/{i}.png", Image.fromarray(black))
    found = notes(built(root, tmp_path / "pack"))
    assert found["dark"]["what"] == "6 of 12 images are almost black (below 32 of 255 everywhere)."


def test_imbalance_grey_and_tiny(tmp_path):
    root = folder(tmp_path / "mine", {"cat": 40})
    for i in range(4):
        put(root / f"dog/{i}.png", picture(200 + i, side=20, grey=True))
    found = notes(built(root, tmp_path / "pack"))
    # test: 30 % of 40 and of 4 are 12 and 1, so a constant answer is right for 12 of 13
    assert "Class 'cat' has 40 images, class 'dog' 4." in found["imbalance"]["what"]
    assert f"right for {100 * 12 / 13:.0f} % of the test" in found["imbalance"]["done"]
    assert found["grey"]["what"] == "4 of 44 images are grey."
    assert "'dog' 100 % grey, 'cat' 0 %" in found["grey"]["done"]
    assert found["tiny"]["what"] == "4 of 44 images are smaller than 32 pixels."


def copied(root: Path, count: int = 10) -> Path:
    """Two classes of so many images, each saved at four JPEG qualities."""
    for name, start in (("cat", 0), ("dog", 100)):
        for i in range(count):
            for quality in (95, 85, 75, 65):
                put(root / name / f"{i}-{quality}.jpg", picture(start + i), quality=quality)
    return root


def test_a_group_of_copies_counts_once_in_probe_sets(tmp_path, monkeypatch):
    from types import SimpleNamespace

    from benchmark.config.experiment import ProbeSpec
    from benchmark.execution import stages
    from benchmark.scoring import draws
    from benchmark.scoring.draws import draw_seeds
    from benchmark.training import features

    pack = built(copied(tmp_path / "mine"), tmp_path / "pack")
    train, written = pack.indices("train"), {}
    assert len(train) == 56
    alone = pack.distinct(train)
    assert len(alone) == 14
    assert len(set(pack.groups[alone].tolist())) == 14
    store = SimpleNamespace(
        folder=lambda stage, key: tmp_path / key, write=lambda *args: written.update(values=args[3], arrays=args[5])
    )
    record = {"parameters": 1, "retried": False}
    monkeypatch.setattr(
        features, "extract", lambda *args, **how: ({"features": np.zeros((len(args[3]), 2), np.float32)}, record)
    )
    work = {"model": None, "weights": None, "pack": "pack", "probe": ProbeSpec(size=500, draws=3)}
    stages.probe(SimpleNamespace(work=work, key="k", identity={}), store, "cpu")
    assert written["values"]["images"] == [7, 7, 7], "half of them, as of fourteen images"
    assert written["values"]["target_size"] == 56
    assert set(written["arrays"]["image_ids"].tolist()) <= set(alone.tolist())
    plain = alone[draws.draw(pack.labels[alone], 500, draw_seeds(3)[0])]
    assert written["arrays"]["image_ids"][written["arrays"]["draw_0"]].tolist() == plain.tolist()


def test_a_class_of_few_groups_keeps_two_images_in_probe_sets(tmp_path):
    root = folder(tmp_path / "mine", {"dog": 20}, start=100)
    for i in (0, 1):
        for quality in (95, 85, 75):
            put(root / f"cat/{i}-{quality}.jpg", picture(i), quality=quality)
    pack = built(root, tmp_path / "pack")
    train = pack.indices("train")
    assert per_class(pack)["cat"] == (3, 3)
    assert np.bincount(pack.labels[pack.distinct(train)]).tolist() == [2, 14]


def test_validation_holds_out_whole_groups(tmp_path):
    from benchmark.provenance import seed_of
    from benchmark.search.division import parts_of

    pack = built(copied(tmp_path / "mine"), tmp_path / "pack")
    train = pack.indices("train")
    labels, groups = pack.labels[train], pack.groups_of(train)
    rest, held = parts_of(labels, 0.2, groups)
    assert len(held) == len(set(groups[held].tolist())) == 3  # a fifth of 14 groups
    assert not set(groups[held].tolist()) & set(groups[rest].tolist())
    assert len(rest) == 56 - 3 * 4
    assert sorted(np.unique(labels[rest])) == [0, 1]
    plain = splits.stratified_draw(labels, 11, seed_of("validation"))  # a fifth of 56 images, as ever
    rest, held = parts_of(labels, 0.2)
    assert held.tolist() == plain.tolist()
    assert rest.tolist() == sorted(set(range(56)) - set(plain.tolist()))


def test_a_pack_without_copies_holds_no_groups(tmp_path):
    from safetensors.numpy import load_file

    pack = built(folder(tmp_path / "mine", {"cat": 10, "dog": 20}), tmp_path / "pack")
    assert set(load_file(tmp_path / "pack/pack.safetensors")) == {"offsets", "shapes", "labels", "split"}
    train = pack.indices("train")
    assert pack.groups_of(train) is None
    assert pack.distinct(train) is train


def camera(root: Path, counts: dict[str, int]) -> Path:
    """One scene, seen again and again: a mark of a few pixels tells the classes apart."""
    rng, scene = np.random.default_rng(0), np.asarray(picture(7, side=64)).astype(int)
    for k, (name, count) in enumerate(counts.items()):
        for i in range(count):
            seen = (scene + rng.normal(0, 3, scene.shape)).clip(0, 255).astype(np.uint8)
            y, x = rng.integers(0, 60, 2)
            seen[y : y + 2, x : x + 2] = 255 * (k % 2)
            put(root / name / f"{i}.png", Image.fromarray(seen))
    return root


def test_images_of_a_fixed_camera_are_no_copies(tmp_path):
    pack = built(camera(tmp_path / "mine", {"good": 20, "hole": 10}), tmp_path / "pack")
    assert per_class(pack) == {"good": (14, 6), "hole": (7, 3)}
    assert pack.groups is None
    found = notes(pack)
    assert set(found) == {"scene"}
    assert found["scene"]["what"].endswith("nearly equal: 20 of 20 of 'good', 10 of 10 of 'hole'.")
    assert "duplicate_threshold=0.08 decides what is near; null" in found["scene"]["done"]
    off = built(tmp_path / "mine", tmp_path / "off", alike=None)
    assert not notes(off)
    assert (off.split == pack.split).all()


def test_a_fixed_camera_does_not_empty_a_given_training_part(tmp_path):
    camera(tmp_path / "mine/train", {"good": 8, "hole": 8})
    camera(tmp_path / "mine/test", {"good": 4, "hole": 4})
    pack = built(tmp_path / "mine", tmp_path / "pack")
    assert per_class(pack) == {"good": (8, 4), "hole": (8, 4)}
    assert set(notes(pack)) == {"scene"}


def test_copies_are_told_by_the_given_distance(tmp_path):
    root = folder(tmp_path / "mine", {"cat": 4, "dog": 4})
    for name, start in (("cat", 0), ("dog", 4)):
        put(root / f"{name}/again.jpg", picture(start), quality=70)
    assert notes(built(root, tmp_path / "a"))["copies"]["what"].startswith("4 images are near-duplicates")
    assert "copies" not in notes(built(root, tmp_path / "b", alike=1e-4))
    with pytest.raises(DataError, match=r"alike must lie between 0 and 1. Got 2"):
        adapter.images(str(root), alike=2)


def test_a_class_whose_every_image_resembles_another_s_is_not_tested_untrained(tmp_path):
    untrained, root = 0, folder(tmp_path / "mine", {"cat": 10, "dog": 10})
    for i in (0, 1):  # each a near-copy of one of a cat: now and then both go to test
        put(root / f"zebu/{i}.jpg", picture(i), quality=80)
    for seed in range(24):
        pack = built(root, tmp_path / f"pack{seed}", seed=seed)
        assert "zebu" not in pack.class_names or per_class(pack)["zebu"][0]
        if "zebu" not in pack.class_names:
            untrained += 1
            said = [n["what"] for n in pack.meta["notes"]]
            assert "Class 'zebu' has no training image." in said
    assert untrained


def test_a_label_that_is_only_tested_is_named(tmp_path):
    lines = []
    for i in range(20):
        put(tmp_path / f"mine/{i}.png", picture(i))
        lines.append((f"{i}.png", "cat|dog" if i < 15 else "dog|emu", "train" if i < 15 else "test"))
    pack = built(labels_file(tmp_path / "mine", lines, ("image", "label", "split")), tmp_path / "pack")
    said = [n["what"] for n in pack.meta["notes"] if n["kind"] == "single"]
    assert said == ["Label 'emu' has no training image.", "Label 'cat' has no test image."]


# --- what stops it ---------------------------------------------------------------------------------------------------


def test_bad_input_is_named(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=r"must hold <class>/<image> .* Got no image in"):
        listing.listing(tmp_path / "empty")
    with pytest.raises(DataError, match=r"Got nothing at .*nowhere"):
        listing.listing(tmp_path / "nowhere")
    with pytest.raises(DataError, match=r"two classes. Got one, 'cat', in .*/one:\n  one/cat/: 3 images\nAdd another"):
        listing.listing(folder(tmp_path / "one", {"cat": 3}))
    put(tmp_path / "loose/a.png", picture(0))
    with pytest.raises(DataError, match=r"Got 1 images without one in"):
        listing.listing(tmp_path / "loose")


def test_a_labels_file_that_does_not_match_is_refused(tmp_path):
    for i in range(3):
        put(tmp_path / f"mine/{i}.png", picture(i))
    root = tmp_path / "mine"
    with pytest.raises(DataError, match=r"Got 2 of 3 that are not: x.png, y.png"):
        listing.listing(labels_file(root, [("0.png", "a"), ("x.png", "b"), ("y.png", "b")]))
    with pytest.raises(DataError, match=r"several rows for 0.png. Write several labels of one image as a\|b"):
        listing.listing(labels_file(root, [("0.png", "a"), ("0.png", "b")]))
    with pytest.raises(DataError, match=r"must have a column image. Got picture, label"):
        listing.listing(labels_file(root, [("no.png", "a")], ("picture", "label")))
    found = listing.listing(labels_file(root, [("0.png", "a"), ("1.png", "b")]))
    assert found.remarks == ["1 images beside labels.csv are not named in it, and left out."]


# --- the two algorithms ----------------------------------------------------------------------------------------------


def test_near_duplicates_are_those_within_the_stated_distance():
    rng = np.random.default_rng(0)
    base = rng.integers(60, 196, (3, 16, 16, 3)).astype(np.uint8)
    contrast = base[0].astype(float).std()
    near, far = (int(np.floor(ALIKE * contrast * share)) for share in (0.9, 1.5))
    shown = np.stack([*base, base[0] + near, base[1] + far])  # a constant shift: the distance is the shift
    assert 0 < near < ALIKE * contrast < far
    groups = near_duplicates(shown, np.ones(5, bool))
    slow = [[i for i in range(5) if groups[i] == g] for g in sorted(set(groups.tolist()))]
    assert sorted(slow) == [[0, 3], [1], [2], [4]]
    assert len(set(near_duplicates(shown, np.array([True, True, True, False, True])).tolist())) == 5


def test_a_group_is_never_torn_and_every_class_is_on_both_sides():
    rng = np.random.default_rng(1)
    labels = np.repeat(np.arange(5), 30)
    groups = 1000 * labels + rng.integers(0, 9, 150)  # groups lie within classes
    split = grouped_split(labels, groups, [str(i) for i in range(150)], 0.3, seed=0)
    for group in np.unique(groups):
        assert len(set(split[groups == group].tolist())) == 1
    for k in range(5):
        assert set(split[labels == k].tolist()) == {TRAIN, TEST}
        assert (split[labels == k] == TEST).sum() <= 9  # never above the share
