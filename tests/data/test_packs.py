"""Packs as files, and the adapters for a user's own images."""

import hashlib
import io
import json
import os
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from benchmark.data import packs, parquet, splits
from benchmark.data.examples import Examples, Lazy
from benchmark.data.folder import image_folder
from benchmark.data.images import UnreadableImageError, decode
from benchmark.data.labels import SPARSE, encode, name_classes

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data"
SIZES = [(40, 60), (60, 40), (32, 32), (20, 50), (97, 33), (8, 8)]


def picture(height: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def ragged() -> Examples:
    return Examples(
        images=[picture(h, w, seed) for seed, (h, w) in enumerate(SIZES)],
        labels=np.array([0, 1, 2, 0, 1, 2]),
        split=np.array([0, 0, 0, 1, 1, 1]),
        class_names=["a", "b", "c"],
        licence="none",
        flip=False,
    )


def encoded(pixels: np.ndarray, form: str = "PNG") -> bytes:
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, form)
    return out.getvalue()


def folder_sha256(folder: Path) -> dict[str, str]:
    return {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in sorted(folder.iterdir())}


# --- packs ---------------------------------------------------------------------------------------------------


def test_short_side_is_scaled_down_to_size_and_never_up(tmp_path):
    packs.build("ragged", ragged(), 32, tmp_path)
    shapes = [tuple(shape) for shape in packs.load(tmp_path).shapes]
    # 40x60 -> 32x48, 97x33 -> 94x32 (97·32/33 = 94.06); 20x50 and 8x8 are smaller already
    assert shapes == [(32, 48), (48, 32), (32, 32), (20, 50), (94, 32), (8, 8)]


def test_images_that_are_not_scaled_are_stored_as_they_are(tmp_path):
    packs.build("ragged", ragged(), 1000, tmp_path)
    pack = packs.load(tmp_path)
    for i, (height, width) in enumerate(SIZES):
        np.testing.assert_array_equal(pack.image(i), picture(height, width, i))


def test_metadata_says_what_the_files_hold(tmp_path):
    meta = packs.build("ragged", ragged(), 32, tmp_path)
    pack = packs.load(tmp_path)
    assert (meta["train"], meta["test"], pack.n_classes, len(pack)) == (3, 3, 3, 6)
    assert meta["image_sha256"] == hashlib.sha256((tmp_path / "images.bin").read_bytes()).hexdigest()
    assert pack.meta == meta == json.loads((tmp_path / "pack.json").read_text())
    assert (meta["flip"], meta["upright"], meta["licence"]) == (False, True, "none")
    assert pack.indices("test").tolist() == [3, 4, 5]
    assert pack.labels.dtype == np.int64


def test_the_same_examples_give_the_same_bytes(tmp_path):
    first = packs.build("ragged", ragged(), 32, tmp_path / "1")
    second = packs.build("ragged", ragged(), 32, tmp_path / "2")
    assert first["fingerprint"] == second["fingerprint"]
    assert folder_sha256(tmp_path / "1") == folder_sha256(tmp_path / "2")


def test_the_fingerprint_depends_on_pixels_labels_and_split(tmp_path):
    plain = ragged()
    changes = {
        "images": [*plain.images[:-1], picture(8, 8, 99)],
        "labels": np.array([0, 1, 2, 0, 1, 1]),
        "split": np.array([0, 0, 0, 0, 1, 1]),
    }
    prints = {packs.build("x", plain, 32, tmp_path / "plain")["fingerprint"]}
    for key, value in changes.items():
        changed = Examples(**{**vars(plain), key: value})
        prints.add(packs.build("x", changed, 32, tmp_path / key)["fingerprint"])
    assert len(prints) == 4


def test_stack_is_the_identity_at_the_stored_size(tmp_path):
    square = Examples(
        np.stack([picture(32, 32, k) for k in range(4)]), np.array([0, 1] * 2), np.array([0, 0, 1, 1]), ["a", "b"]
    )
    packs.build("square", square, 32, tmp_path)
    np.testing.assert_array_equal(packs.load(tmp_path).stack([3, 0, 0], 32), square.images[[3, 0, 0]])


def test_stack_scales_the_short_side_and_cuts_the_centre(tmp_path):
    packs.build("ragged", ragged(), 32, tmp_path)
    pack = packs.load(tmp_path)
    # 32x48: no scaling; columns (48 - 32) / 2 = 8 to 40
    np.testing.assert_array_equal(pack.stack([0], 32)[0], pack.image(0)[:, 8:40])
    # 32x48 at 16: Pillow's bicubic to 16x24, then columns 4 to 20
    half = np.asarray(Image.fromarray(pack.image(0)).resize((24, 16), Image.Resampling.BICUBIC))
    np.testing.assert_array_equal(pack.stack([0], 16)[0], half[:, 4:20])
    assert pack.stack(range(6), 24).shape == (6, 24, 24, 3)


@settings(max_examples=20, deadline=None)
@given(grey=st.integers(0, 255), size=st.integers(1, 70))
def test_stack_keeps_a_plain_colour_plain(grey, size, tmp_path_factory):
    folder = tmp_path_factory.mktemp("plain")
    images = np.full((4, 30, 47, 3), grey, np.uint8)
    plain = Examples(images, np.array([0, 1, 0, 1]), np.array([0, 0, 1, 1]), ["a", "b"])
    packs.build("plain", plain, 30, folder)
    assert (packs.load(folder).stack([0, 3], size) == grey).all()


def test_pixels_are_mapped_and_read_only(tmp_path):
    packs.build("ragged", ragged(), 32, tmp_path)
    pack = packs.load(tmp_path)
    assert isinstance(pack.images, np.memmap)
    with pytest.raises(ValueError, match="read-only"):
        pack.image(0)[0, 0, 0] = 1


def test_images_are_asked_for_once_and_in_order(tmp_path):
    asked = []

    def read(seed: int) -> Image.Image:
        asked.append(seed)
        return Image.fromarray(picture(50, 50, seed))

    lazy = Examples(Lazy(range(10), read), np.arange(10) % 2, np.arange(10) // 5, ["a", "b"])
    packs.build("lazy", lazy, 32, tmp_path)
    assert asked == list(range(10))


def test_a_shortened_pixel_file_is_noticed(tmp_path):
    packs.build("ragged", ragged(), 32, tmp_path)
    data = (tmp_path / "images.bin").read_bytes()
    (tmp_path / "images.bin").write_bytes(data[:-1])
    with pytest.raises(ValueError, match=rf"must have {len(data)} bytes\. Got {len(data) - 1}\."):
        packs.load(tmp_path)


def test_multi_label_packs_hold_multi_hot_rows(tmp_path):
    hot = np.array([[1, 0, 1], [0, 1, 0], [0, 0, 0], [1, 1, 1]])
    packs.build(
        "multi",
        Examples([picture(8, 8, k) for k in range(4)], hot, np.array([0, 0, 1, 1]), ["a", "b", "c"], multilabel=True),
        8,
        tmp_path,
    )
    pack = packs.load(tmp_path)
    assert pack.multilabel
    assert pack.labels.dtype == np.uint8
    np.testing.assert_array_equal(pack.labels, hot)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"labels": np.array([0, 1, 3, 0, 1, 2])}, r"labels must lie in 0\.\.2\. Got 0\.\.3"),
        ({"labels": np.array([0, 1])}, r"labels must have shape \(6,\)\. Got \(2,\)"),
        ({"split": np.zeros(6, int)}, r"the test split must have images\. Got none"),
        ({"labels": np.array([1, 1, 1, 0, 1, 2])}, r"at least two classes\. Got \['b'\]"),
        ({"images": [np.zeros((4, 4), np.uint8)] * 6}, r"an image must be \(h, w, 3\) uint8\. Got \(4, 4\)"),
        ({"images": [picture(4, 4)] * 5}, r"as many\. Got 5 images and 6 labels"),
    ],
)
def test_malformed_examples_are_refused(change, said, tmp_path):
    with pytest.raises(ValueError, match=said):
        packs.build("bad", Examples(**{**vars(ragged()), **change}), 32, tmp_path)


def test_sixteen_bit_grey_keeps_its_levels():
    ramp = (np.arange(256, dtype=np.uint16) * 257).reshape(16, 16)
    out = io.BytesIO()
    Image.fromarray(ramp).save(out, "PNG")
    decoded = np.asarray(decode(out.getvalue(), "ramp"))
    np.testing.assert_array_equal(decoded[..., 0].reshape(-1), np.arange(256))


def test_photographs_are_turned_as_their_exif_says():
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by 90 degrees clockwise to see it upright
    out = io.BytesIO()
    Image.fromarray(picture(20, 30)).save(out, "JPEG", exif=exif)
    assert decode(out.getvalue(), "photo").size == (20, 30)


# --- choosing examples ---------------------------------------------------------------------------------------


def test_quotas_are_proportional_by_largest_remainders():
    # 10 over (5, 4, 3): 4.17, 3.33, 2.50; the spare one goes to the remainder of a half
    assert splits.quotas(np.array([5, 4, 3]), 10).tolist() == [4, 3, 3]
    assert splits.quotas(np.array([98, 1, 1]), 3).tolist() == [1, 1, 1]  # a rare class is kept
    assert splits.quotas(np.array([2, 2]), 9).tolist() == [2, 2]


@settings(max_examples=100, deadline=None)
@given(counts=st.lists(st.integers(1, 60), min_size=1, max_size=12), total=st.integers(1, 300))
def test_quotas_add_up_and_never_exceed_the_class(counts, total):
    counts = np.array(counts)
    quota = splits.quotas(counts, total)
    assert quota.sum() == min(total, counts.sum())
    assert (quota <= counts).all()
    assert (quota >= (1 if total >= len(counts) else 0)).all()


def test_stratified_choice_follows_the_hash_and_not_the_order_of_rows():
    labels, names = np.repeat([0, 1, 2], [60, 30, 10]), [f"image {k}" for k in range(100)]
    chosen = splits.stratified(labels, names, 20)
    assert np.bincount(labels[chosen]).tolist() == [12, 6, 2]
    shuffled = np.random.default_rng(1).permutation(100)
    again = splits.stratified(labels[shuffled], [names[k] for k in shuffled], 20)
    assert set(shuffled[again]) == set(chosen)


def test_hash_order_is_sha256_of_seed_and_name():
    names = ["b", "a", "c"]
    digests = [hashlib.sha256(f"7|{name}".encode()).hexdigest() for name in names]
    assert splits.hash_order(names, 7).tolist() == sorted(range(3), key=digests.__getitem__)


def test_hash_order_takes_names_that_are_not_utf_8():
    names = ["a", os.fsdecode(b"caf\xe9"), "é"]
    expected = sorted(range(3), key=lambda i: hashlib.sha256(b"7|" + os.fsencode(names[i])).digest())
    assert splits.hash_order(names, 7).tolist() == expected


def test_numbers_name_classes_from_zero_unless_they_are_far_apart():
    assert name_classes({0, 3}) == ["0", "1", "2", "3"]
    assert len(name_classes({0, SPARSE - 1})) == SPARSE
    assert name_classes({7, SPARSE}) == ["7", str(SPARSE)]
    assert len(name_classes(set(range(0, 2 * SPARSE, 2)))) == 2 * SPARSE - 1
    kept = np.arange(3)
    assert encode([0, 2, 2 * 10**9], kept, ["0", "2", str(2 * 10**9)], False, "x").tolist() == [0, 1, 2]
    assert encode([0, 2, 1], kept, ["2", "1", "0"], False, "x").tolist() == [0, 2, 1]  # ids, not names


# --- a folder of images --------------------------------------------------------------------------------------


def write_classes(root: Path, counts: dict[str, int], offset: int = 0) -> None:
    for label, (name, n) in enumerate(counts.items()):
        (root / name).mkdir(parents=True)
        for k in range(n):
            Image.fromarray(picture(12, 10, offset + 100 * label + k)).save(root / name / f"{k}.png")


def test_a_folder_with_train_and_test_keeps_its_split(tmp_path):
    write_classes(tmp_path / "train", {"cat": 3, "dog": 2})
    write_classes(tmp_path / "val", {"cat": 1, "dog": 2}, offset=1000)
    examples = image_folder(path=str(tmp_path))
    assert examples.class_names == ["cat", "dog"]
    assert np.asarray(examples.labels).tolist() == [0, 0, 0, 1, 1, 0, 1, 1]
    assert np.asarray(examples.split).tolist() == [0] * 5 + [1] * 3
    np.testing.assert_array_equal(np.asarray(examples.images[5]), picture(12, 10, 1000))


def test_a_folder_of_classes_is_split_in_proportion_and_always_the_same(tmp_path):
    write_classes(tmp_path / "here", {"cat": 10, "dog": 20, "rare": 2})
    write_classes(tmp_path / "there" / "deeper", {"cat": 10, "dog": 20, "rare": 2})
    first = image_folder(path=str(tmp_path / "here"))
    second = image_folder(path=str(tmp_path / "there" / "deeper"))
    # 30 % of 10, 20 and 2: 3, 6 and round(0.6) = 1
    assert np.bincount(first.labels[first.split == 1]).tolist() == [3, 6, 1]
    assert [p.name for p in first.images.items] == [p.name for p in second.images.items]
    other = image_folder(path=str(tmp_path / "here"), seed=1)
    assert [p.name for p in first.images.items] != [p.name for p in other.images.items]


def test_a_class_may_be_called_train(tmp_path):
    write_classes(tmp_path, {"bus": 4, "train": 4})
    assert image_folder(path=str(tmp_path)).class_names == ["bus", "train"]


def test_every_file_of_a_folder_enters_the_key(tmp_path):
    write_classes(tmp_path, {"cat": 2, "dog": 2})
    (tmp_path / "cat" / "notes.txt").write_text("not an image")
    (tmp_path / "cat" / ".hidden.png").write_bytes(b"")
    found = image_folder.inputs(path=str(tmp_path), test_share=0.5)
    assert [p.relative_to(tmp_path).as_posix() for p in found] == ["cat/0.png", "cat/1.png", "dog/0.png", "dog/1.png"]


def test_all_unreadable_files_are_named(tmp_path):
    write_classes(tmp_path, {"cat": 4, "dog": 4})
    good = (tmp_path / "cat" / "1.png").read_bytes()
    (tmp_path / "cat" / "1.png").write_bytes(good[: len(good) // 2])
    (tmp_path / "dog" / "2.png").write_bytes(b"not a picture")
    with pytest.raises(UnreadableImageError, match="Got 2 that are not") as caught:
        packs.build("mine", image_folder(path=str(tmp_path)), 32, tmp_path / "pack")
    assert str(tmp_path / "cat" / "1.png") in str(caught.value)
    assert f"{tmp_path / 'dog' / '2.png'} (no kind of image that Pillow reads)" in str(caught.value)
    assert "BytesIO" not in str(caught.value)


@pytest.mark.parametrize(
    ("counts", "said"),
    [
        ({}, "Got no class folders"),
        ({"cat": 3}, r"at least two classes\. Got \['cat'\]"),
        ({"cat": 3, "dog": 0}, r"Got none in \['dog'\]"),
        ({"cat": 3, "dog": 1}, r"at least two images to be split\. Got one in \['dog'\]"),
    ],
)
def test_folders_that_make_no_data_set_are_refused(counts, said, tmp_path):
    write_classes(tmp_path, counts)
    with pytest.raises(ValueError, match=said):
        image_folder(path=str(tmp_path))


def test_a_test_class_without_training_images_is_refused(tmp_path):
    write_classes(tmp_path / "train", {"cat": 2, "dog": 2})
    write_classes(tmp_path / "test", {"cat": 2, "dog": 2, "emu": 2})
    with pytest.raises(ValueError, match=r"must have train images\. Got none for \['emu'\]"):
        image_folder(path=str(tmp_path))


def test_train_without_test_is_refused(tmp_path):
    write_classes(tmp_path / "train", {"cat": 2, "dog": 2})
    with pytest.raises(ValueError, match="must have test/ beside train/"):
        image_folder(path=str(tmp_path))
    with pytest.raises(FileNotFoundError, match="must be a folder"):
        image_folder(path=str(tmp_path / "nowhere"))


# --- a Parquet file ------------------------------------------------------------------------------------------


def write_parquet(
    file: Path, n: int = 12, *, column: str = "label", labels=None, drop: str = "", **metadata: bytes
) -> None:
    labels = [k % 3 for k in range(n)] if labels is None else labels
    columns = {
        "image": [{"bytes": encoded(picture(20, 14 + k, k)), "path": f"x/{k}.png"} for k in range(n)],
        column: labels,
        "split": ["test" if k % 4 == 3 else "train" for k in range(n)],
    }
    columns.pop(drop, None)
    pq.write_table(pa.table(columns).replace_schema_metadata(metadata), file, row_group_size=5)


def test_parquet_round_trip(tmp_path):
    write_parquet(tmp_path / "x.parquet", class_names=b'["a", "b", "c"]', source=b"somewhere@1")
    examples = parquet.parquet(path=str(tmp_path / "x.parquet"))
    packs.build("x", examples, 1000, tmp_path / "pack")
    pack = packs.load(tmp_path / "pack")
    rows = [k for k in range(12) if k % 4 != 3] + [3, 7, 11]  # train in the order of rows, then test
    assert pack.labels.tolist() == [k % 3 for k in rows]
    assert pack.split.tolist() == [0] * 9 + [1] * 3
    for i, k in enumerate(rows):
        np.testing.assert_array_equal(pack.image(i), picture(20, 14 + k, k))
    assert (pack.class_names, pack.meta["origin"]) == (["a", "b", "c"], "somewhere@1")


@pytest.mark.parametrize(
    ("column", "feature"),
    [
        ("label", {"names": ["a", "b", "c"], "_type": "ClassLabel"}),
        ("labels", {"feature": {"names": ["a", "b", "c"], "_type": "ClassLabel"}, "_type": "Sequence"}),
        ("labels", [{"names": ["a", "b", "c"], "_type": "ClassLabel"}]),
    ],
)
def test_class_names_of_hugging_face_features(column, feature, tmp_path):
    info = json.dumps({"info": {"features": {column: feature}}}).encode()
    labels = [[k % 3] for k in range(12)] if column == "labels" else None
    write_parquet(tmp_path / "x.parquet", column=column, labels=labels, huggingface=info)
    assert parquet.parquet(path=str(tmp_path / "x.parquet")).class_names == ["a", "b", "c"]


def test_text_labels_name_their_classes(tmp_path):
    write_parquet(tmp_path / "x.parquet", labels=[["wolf", "ant", "cow"][k % 3] for k in range(12)])
    examples = parquet.parquet(path=str(tmp_path / "x.parquet"))
    assert examples.class_names == ["ant", "cow", "wolf"]
    assert examples.labels[:3].tolist() == [2, 0, 1]


def test_lists_of_labels_are_multi_label(tmp_path):
    labels = [[], [0], [0, 2], [1, 2]] * 3
    write_parquet(tmp_path / "x.parquet", column="labels", labels=labels, class_names=b'["a", "b", "c"]')
    examples = parquet.parquet(path=str(tmp_path / "x.parquet"))
    assert examples.multilabel
    assert examples.labels[:3].tolist() == [[0, 0, 0], [1, 0, 0], [1, 0, 1]]
    assert examples.labels[9:].tolist() == [[0, 1, 1]] * 3  # the test rows


def test_caps_are_stratified_and_repeatable(tmp_path):
    write_parquet(tmp_path / "x.parquet", n=48)
    runs = [parquet.parquet(path=str(tmp_path / "x.parquet"), max_train=9, max_test=6) for _ in range(2)]
    assert np.bincount(runs[0].labels[runs[0].split == 0]).tolist() == [3, 3, 3]
    assert np.bincount(runs[0].labels[runs[0].split == 1]).tolist() == [2, 2, 2]
    assert runs[0].images.items.tolist() == runs[1].images.items.tolist()


def test_a_corrupt_row_is_named_with_its_path(tmp_path):
    write_parquet(tmp_path / "x.parquet")
    table = pq.read_table(tmp_path / "x.parquet")
    images = table["image"].to_pylist()
    images[5]["bytes"] = images[5]["bytes"][:40]
    images[6]["bytes"] = None
    pq.write_table(table.set_column(0, "image", pa.array(images)), tmp_path / "y.parquet")
    with pytest.raises(UnreadableImageError, match=r"Got 2 .*row 5, x/5\.png.*row 6, x/6\.png"):
        packs.build("y", parquet.parquet(path=str(tmp_path / "y.parquet")), 32, tmp_path / "pack")


@pytest.mark.parametrize("drop", ["image", "label", "split"])
def test_a_missing_column_is_named(drop, tmp_path):
    write_parquet(tmp_path / "x.parquet", drop=drop)
    with pytest.raises(ValueError, match=f"must have the columns image, label .* Add {drop}"):
        parquet.parquet(path=str(tmp_path / "x.parquet"))


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        ([None, *[1, 2] * 5, 0], r"every row must have a label\. Got none in rows \[0\]"),
        ([0, 1, -1, *[0] * 9], r"every row must have a label\. Got none in rows \[2\]"),
        ([0, 1, 5, *[0] * 9], r"among the 3 classes\. Got 5 in row 2"),
    ],
)
def test_labels_that_are_no_class_are_named(labels, said, tmp_path):
    write_parquet(tmp_path / "x.parquet", labels=labels, class_names=b'["a", "b", "c"]')
    with pytest.raises(ValueError, match=said):
        parquet.parquet(path=str(tmp_path / "x.parquet"))


# --- real files ----------------------------------------------------------------------------------------------


# Counts from the table that comes with the files.
@pytest.mark.parametrize(
    ("name", "train", "test", "classes", "multilabel"),
    [
        ("pets37_mini", 259, 111, 37, False),
        ("rice_leaf", 178, 77, 3, False),
        ("voc5_multilabel", 1183, 505, 5, True),
    ],
)
def test_real_files_have_their_published_counts(name, train, test, classes, multilabel, tmp_path):
    file = SHARED / f"{name}.parquet"
    if not file.is_file():
        pytest.skip(f"{file.name} is not there: real data sets are not part of the project")
    examples = parquet.parquet(path=str(file))
    assert ((examples.split == 0).sum(), (examples.split == 1).sum()) == (train, test)
    assert (len(examples.class_names), examples.multilabel) == (classes, multilabel)
    if name == "voc5_multilabel":  # 200 to 876 images a class
        counts = examples.labels.sum(axis=0)
        assert (counts.min(), counts.max()) == (200, 876)
    few = parquet.parquet(path=str(file), max_train=40, max_test=40)
    packs.build(name, few, 48, tmp_path)
    pack = packs.load(tmp_path)
    assert len(pack) == 80
    assert (pack.shapes.min(axis=1) <= 48).all()
    assert pack.stack(pack.indices("test"), 48).shape == (40, 48, 48, 3)


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_what_is_transparent_is_white(mode):
    """Icons often have one colour and their shape in the alpha channel; opaque pixels stay as they are."""
    given = np.zeros((8, 8, 4), np.uint8)
    given[2:5, 2:5] = [0, 0, 0, 255]
    given[5, 5] = [10, 10, 10, 128]
    image, held = Image.fromarray(given).convert(mode if mode != "P" else "RGBA"), io.BytesIO()
    if mode == "P":
        image = Image.fromarray((given[..., 3] < 128).astype(np.uint8)).convert("P")
        image.putpalette([0, 0, 0, 7, 7, 7])
        image.info["transparency"] = 1
    image.save(held, "PNG")
    found = np.asarray(decode(held.getvalue(), "icon"))
    assert (found[0, 0] == 255).all()
    assert (found[3, 3] == 0).all()
    if mode != "P":
        assert 130 <= found[5, 5].min() <= found[5, 5].max() <= 134, "half of 10, half of white"
