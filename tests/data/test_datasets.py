"""Adapters of well-known data sets: tiny fixtures in the true formats, read as torchvision reads them; golden sizes of
the real ones where they are on disk (marked `data`; the folder is BENCHMARK_DATA)."""

from __future__ import annotations

import hashlib
import io
import json
import os
import pickle
import re
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import scipy.io
from PIL import Image

from benchmark.config.functions import DataSpec
from benchmark.data import datasets, hub, packs, parquet
from benchmark.data.datasets import reading
from benchmark.data.datasets.array_files import SVHN
from benchmark.data.datasets.listed_files import VOC_CLASSES
from benchmark.data.images import UnreadableImageError
from benchmark.errors import ConfigError
from scripts import pack as packing

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data"
REAL = Path(os.environ.get("BENCHMARK_DATA", "data"))


def picture(seed: int, height: int = 12, width: int = 10) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def encoded(seed: int, form: str = "PNG") -> bytes:
    out = io.BytesIO()
    Image.fromarray(picture(seed)).save(out, form)
    return out.getvalue()


def put(file: Path, content: bytes | str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content.encode() if isinstance(content, str) else content)


def put_images(folder: Path, names: list[str]) -> None:
    """PNG content under the data sets' own names (decoders look at the bytes): lossless, one picture per position."""
    for seed, name in enumerate(names):
        put(folder / name, encoded(seed))


def text(rows: list[str]) -> str:
    return "\n".join(rows) + "\n"


# --- fixtures in the true formats --------------------------------------------------------------------------------


def make_pets(root: Path) -> None:
    folder = root / "oxford-iiit-pet"
    put(folder / "annotations/trainval.txt", text(["Abyssinian_2 1 1 1", "great_pyrenees_1 3 2 1", "Bombay_7 2 1 2"]))
    put(folder / "annotations/test.txt", text(["Bombay_1 2 1 2", "Abyssinian_1 1 1 1", "great_pyrenees_4 3 2 1"]))
    names = ("Abyssinian_2", "great_pyrenees_1", "Bombay_7", "Bombay_1", "Abyssinian_1", "great_pyrenees_4")
    put_images(folder / "images", [f"{n}.jpg" for n in names])


def make_dtd(root: Path) -> None:
    folder = root / "dtd/dtd"
    parts = {"train": ["banded/banded_01.jpg", "dotted/dotted_01.jpg"], "val": ["dotted/dotted_02.jpg",
             "banded/banded_02.jpg"], "test": ["banded/banded_03.jpg", "dotted/dotted_03.jpg"]}  # fmt: skip
    for part, names in parts.items():
        put(folder / f"labels/{part}1.txt", text(names))
        put(folder / f"labels/{part}2.txt", text(names[::-1]))
    put_images(folder / "images", [n for names in parts.values() for n in names])


def make_flowers(root: Path) -> None:
    folder = root / "flowers-102"
    scipy.io.savemat(put_folder(folder) / "imagelabels.mat", {"labels": np.array([[3, 1, 2, 3, 2, 1]], np.uint8)})
    sets = {"trnid": np.array([[2, 4]], np.uint16), "valid": np.array([[3, 1]], np.uint16)}
    scipy.io.savemat(folder / "setid.mat", sets | {"tstid": np.array([[6, 5]], np.uint16)})
    put_images(folder / "jpg", [f"image_{k:05d}.jpg" for k in range(1, 7)])


def put_folder(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def make_gtsrb(root: Path) -> None:
    folder = root / "gtsrb"
    put_images(folder / "GTSRB/Training", [f"{k:05d}/00000_{i:05d}.ppm" for k in range(3) for i in range(2)])
    put(folder / "GTSRB/Training/00000/GT-00000.csv", "Filename;Width\n")
    put_images(folder / "GTSRB/Final_Test/Images", [f"{i:05d}.ppm" for i in range(3)])
    rows = ["Filename;Width;Height;Roi.X1;Roi.Y1;Roi.X2;Roi.Y2;ClassId"]
    rows += [f"{i:05d}.ppm;10;12;1;1;9;11;{k}" for i, k in enumerate((2, 0, 1))]
    put(folder / "GT-final_test.csv", text(rows))


def make_aircraft(root: Path) -> None:
    data = root / "fgvc-aircraft-2013b/data"
    put(data / "variants.txt", text(["707-320", "A310", "Boeing 717"]))
    put(data / "families.txt", text(["A310", "Boeing 7x7"]))
    put(data / "images_variant_trainval.txt", text(["0000002 Boeing 717", "0000001 A310", "0000003 707-320"]))
    put(data / "images_variant_test.txt", text(["0000004 Boeing 717", "0000005 A310", "0000006 707-320"]))
    put(data / "images_family_trainval.txt", text(["0000002 Boeing 7x7", "0000001 A310", "0000003 Boeing 7x7"]))
    put(data / "images_family_test.txt", text(["0000004 Boeing 7x7", "0000005 A310", "0000006 Boeing 7x7"]))
    put_images(data / "images", [f"{k:07d}.jpg" for k in range(1, 7)])


def make_food(root: Path) -> None:
    folder = root / "food-101"
    train = {"sushi": ["sushi/11", "sushi/12"], "apple_pie": ["apple_pie/21"]}
    test = {"apple_pie": ["apple_pie/22"], "sushi": ["sushi/13"]}
    put(folder / "meta/train.json", json.dumps(train))
    put(folder / "meta/test.json", json.dumps(test))
    put_images(folder / "images", [f"{n}.jpg" for part in (train, test) for names in part.values() for n in names])


def make_sun(root: Path) -> None:
    folder = root / "SUN397"
    put(folder / "ClassName.txt", text(["/a/abbey", "/c/chapel/indoor", "/z/zoo"]))
    train = ["/z/zoo/sun_1.jpg", "/a/abbey/sun_1.jpg", "/c/chapel/indoor/sun_1.jpg"]
    put(folder / "Training_01.txt", text(train))
    put(folder / "Testing_01.txt", text([n.replace("sun_1", "sun_2") for n in train]))
    put_images(folder, [n[1:].replace("sun_1", s) for s in ("sun_1", "sun_2") for n in train])


def make_caltech(root: Path) -> None:
    folder = root / "caltech101/101_ObjectCategories"
    sizes = {"BACKGROUND_Google": 2, "Faces": 10, "ant": 20}
    put_images(folder, [f"{c}/image_{i:04d}.jpg" for c, n in sizes.items() for i in range(1, n + 1)])


def make_eurosat(root: Path) -> None:
    put_images(root / "eurosat/2750", [f"{c}/{c}_{i}.jpg" for c in ("Forest", "River") for i in range(1, 11)])


def make_voc(root: Path) -> None:
    folder = root / "VOCdevkit/VOC2007"
    positives = {  # class: {image: flag}
        "train": {"cat": {"000012": 1, "000017": 0}, "person": {"000012": 1, "000023": 1}},
        "test": {"cat": {"000001": 1}, "dog": {"000002": 1}},
    }
    images = {"train": ["000012", "000017", "000023"], "test": ["000001", "000002"]}
    for part, names in images.items():
        put(folder / f"ImageSets/Main/{part}.txt", text(names))
        for c in VOC_CLASSES:  # "%s %2d", as the devkit writes them
            flags = positives[part].get(c, {})
            put(folder / f"ImageSets/Main/{c}_{part}.txt", text([f"{n} {flags.get(n, -1):2d}" for n in names]))
    put_images(folder / "JPEGImages", [f"{n}.jpg" for names in images.values() for n in names])


def make_birds(folder: Path, ids: list[str], classes: dict[str, str], labels: list[str]) -> None:
    """The files of CUB and NABirds: every image's path, class and flag (1 = training), by image id."""
    images = [f"{label:0>4}/{key}.jpg" for key, label in zip(ids, labels, strict=True)]
    put(folder / "images.txt", text([f"{key} {image}" for key, image in zip(ids, images, strict=True)]))
    put(folder / "image_class_labels.txt", text([f"{key} {k}" for key, k in zip(ids, labels, strict=True)]))
    put(folder / "train_test_split.txt", text([f"{key} {int(i % 3 != 2)}" for i, key in enumerate(ids)]))
    put(folder / "classes.txt", text([f"{k} {name}" for k, name in classes.items()]))
    put_images(folder / "images", images)


def make_cub(root: Path) -> None:
    classes = {"1": "001.Black_footed_Albatross", "2": "002.Laysan_Albatross"}
    make_birds(root / "CUB_200_2011", [str(k) for k in range(1, 7)], classes, ["1", "2", "1", "2", "1", "2"])


def make_nabirds(root: Path) -> None:
    folder = root / "nabirds"
    classes = {"0": "Birds", "2": "Hawks", "295": "Sharp-shinned Hawk (Adult)", "1010": "Oak Titmouse", "313": "Merlin"}
    ids = [f"0000139e-21dc-4d0c-bfe1-4cae3c85{k:04x}" for k in range(6)]
    make_birds(folder, ids, classes, ["1010", "295", "295", "295", "1010", "1010"])
    put(folder / "hierarchy.txt", text(["2 0", "295 2", "313 2", "1010 0"]))


def make_dogs(root: Path) -> None:
    folder = put_folder(root / "stanford_dogs")
    breeds = ("n02085620-Chihuahua", "n02085782-Japanese_spaniel", "n02106550-Rottweiler")
    for part, shots in (("train", (1, 2)), ("test", (3,))):
        names = [f"{b}/{b.partition('-')[0]}_{i}.jpg" for b in breeds for i in shots]
        cells = np.empty((len(names), 1), object)
        cells[:, 0] = names
        labels = np.repeat([1.0, 2.0, 3.0], len(shots))[:, None]
        scipy.io.savemat(folder / f"{part}_list.mat", {"file_list": cells, "labels": labels, "annotation_list": cells})
        put_images(folder / "Images", names)


def make_cifar(root: Path, name: str) -> dict[str, str]:
    """Batches as pickled by Python 2's protocol; returns their checksums."""
    folder, label = root / {"cifar10": "cifar-10-batches-py", "cifar100": "cifar-100-python"}[name], "labels"
    files = {"cifar10": [*(f"data_batch_{k}" for k in range(1, 6)), "test_batch"], "cifar100": ["train", "test"]}[name]
    meta = ("batches.meta", {"label_names": ["aeroplane", "cat"]})
    if name == "cifar100":
        label, meta = "fine_labels", ("meta", {"fine_label_names": ["apple", "orange"], "coarse_label_names": ["x"]})
    put(folder / meta[0], pickle.dumps(meta[1], 2))
    for k, file in enumerate(files):
        rows = np.stack([picture(10 * k + i, 32, 32).transpose(2, 0, 1).reshape(-1) for i in range(2)])
        put(folder / file, pickle.dumps({"data": rows, label: [1, 0], "coarse_labels": [0, 0]}, 2))
    return {f.name: hashlib.md5(f.read_bytes()).hexdigest() for f in folder.iterdir()}


def make_svhn(root: Path) -> None:
    for part, labels in (("train", [1, 10, 3]), ("test", [10, 9])):
        x = np.stack([picture(i, 32, 32) for i in range(len(labels))], axis=-1)
        y = np.array(labels, np.uint8)[:, None]
        scipy.io.savemat(put_folder(root / "svhn") / f"{part}_32x32.mat", {"X": x, "y": y})


def make_stl(root: Path) -> None:
    folder = root / "stl10_binary"
    put(folder / "class_names.txt", text(["airplane", "bird", "car"]))
    for part, labels in (("train", [3, 1, 2]), ("test", [1, 2])):
        columns_first = np.stack([picture(i, 96, 96).transpose(2, 1, 0) for i in range(len(labels))])
        put(folder / f"{part}_X.bin", columns_first.tobytes())
        put(folder / f"{part}_y.bin", bytes(labels))


# name: (fixture, labels in the order that the adapter gives them, number of training images, class names)
FILES = {
    "oxford_pets": (make_pets, [0, 2, 1, 1, 0, 2], 3, ["Abyssinian", "Bombay", "great_pyrenees"]),
    "dtd": (make_dtd, [0, 1, 1, 0, 0, 1], 4, ["banded", "dotted"]),
    "flowers102": (make_flowers, [0, 2, 1, 2, 0, 1], 4, ["1", "2", "3"]),
    "gtsrb": (make_gtsrb, [0, 0, 1, 1, 2, 2, 2, 0, 1], 6, ["0", "1", "2"]),
    "aircraft": (make_aircraft, [2, 1, 0, 2, 1, 0], 3, ["707-320", "A310", "Boeing 717"]),
    "food101": (make_food, [1, 1, 0, 0, 1], 3, ["apple_pie", "sushi"]),
    "sun397": (make_sun, [2, 0, 1, 2, 0, 1], 3, ["abbey", "chapel/indoor", "zoo"]),
    "cub200": (make_cub, [0, 1, 1, 0, 0, 1], 4, ["001.Black_footed_Albatross", "002.Laysan_Albatross"]),
    "nabirds": (make_nabirds, [1, 0, 0, 1, 0, 1], 4, ["Sharp-shinned Hawk (Adult)", "Oak Titmouse"]),
    "stanford_dogs": (
        make_dogs,
        [0, 0, 1, 1, 2, 2, 0, 1, 2],
        6,
        ["Chihuahua", "Japanese_spaniel", "Rottweiler"],
    ),
    "svhn": (make_svhn, [1, 0, 3, 0, 9], 3, [str(k) for k in range(10)]),
    "stl10": (make_stl, [2, 0, 1, 0, 1], 3, ["airplane", "bird", "car"]),
}


@pytest.mark.parametrize("name", FILES)
def test_labels_and_split_are_those_of_the_official_files(name, tmp_path):
    make, labels, train, class_names = FILES[name]
    make(tmp_path)
    found = getattr(datasets, name)(path=str(tmp_path))
    assert found.labels.tolist() == labels
    assert found.split.tolist() == [0] * train + [1] * (len(labels) - train)
    assert found.class_names == class_names
    assert len(found.images) == len(labels)


TORCHVISION = {  # name: (class, settings of the training parts, of the test part)
    "oxford_pets": ("OxfordIIITPet", [{"split": "trainval"}], {"split": "test"}),
    "dtd": ("DTD", [{"split": "train"}, {"split": "val"}], {"split": "test"}),
    "flowers102": ("Flowers102", [{"split": "train"}, {"split": "val"}], {"split": "test"}),
    "gtsrb": ("GTSRB", [{"split": "train"}], {"split": "test"}),
    "aircraft": ("FGVCAircraft", [{"split": "trainval"}], {"split": "test"}),
    "food101": ("Food101", [{"split": "train"}], {"split": "test"}),
    "svhn": ("SVHN", [{"split": "train"}], {"split": "test"}),
    "stl10": ("STL10", [{"split": "train"}], {"split": "test"}),
}


def checksum_free(monkeypatch, *modules: str) -> None:
    """torchvision without its checksums, which no fixture can have."""
    import torchvision.datasets

    for module in modules:
        monkeypatch.setattr(getattr(torchvision.datasets, module), "check_integrity", lambda *_: True)


@pytest.mark.parametrize("name", TORCHVISION)
def test_images_and_labels_are_torchvisions(name, tmp_path, monkeypatch):
    from torchvision import datasets as theirs

    FILES[name][0](tmp_path)
    checksum_free(monkeypatch, "flowers102", "svhn", "stl10")
    cls, train, test = TORCHVISION[name]
    root = tmp_path / "svhn" if name == "svhn" else tmp_path
    expected = [item for settings in (*train, test) for item in getattr(theirs, cls)(root, **settings)]
    found = getattr(datasets, name)(path=str(tmp_path))
    assert [label for _, label in expected] == found.labels.tolist()
    for (image, _), mine in zip(expected, found.images, strict=True):
        np.testing.assert_array_equal(np.asarray(image), np.asarray(mine))


@pytest.mark.parametrize("name", ["cifar10", "cifar100"])
def test_cifar_is_read_by_torchvision_with_its_checksums(name, tmp_path, monkeypatch):
    from torchvision import datasets as theirs

    sums = make_cifar(tmp_path, name)
    cls = getattr(theirs, name.upper())
    with pytest.raises(ValueError, match=r"official files of CIFAR.*\. Got other checksums"):
        getattr(datasets, name)(path=str(tmp_path))
    for files in ("train_list", "test_list"):
        monkeypatch.setattr(cls, files, [[file, sums[file]] for file, _ in getattr(cls, files)])
    monkeypatch.setattr(cls, "meta", cls.meta | {"md5": sums[cls.meta["filename"]]})
    found = getattr(datasets, name)(path=str(tmp_path))
    batches = 5 if name == "cifar10" else 1
    assert found.labels.tolist() == [1, 0] * (batches + 1)
    assert found.split.tolist() == [0] * 2 * batches + [1, 1]
    np.testing.assert_array_equal(found.images[2 * batches], picture(10 * batches, 32, 32))  # the first of the test
    assert sorted(f.name for f in getattr(datasets, name).inputs(path=str(tmp_path))) == sorted(sums)


def test_the_dtd_partition_and_the_aircraft_level_choose_other_lists(tmp_path):
    make_dtd(tmp_path)
    make_aircraft(tmp_path)
    assert datasets.dtd(path=str(tmp_path), partition=2).labels.tolist() == [1, 0, 0, 1, 1, 0]
    family = datasets.aircraft(path=str(tmp_path), level="family")
    assert (family.labels.tolist(), family.class_names) == ([1, 0, 1, 1, 0, 1], ["A310", "Boeing 7x7"])
    with pytest.raises(ValueError, match="level must be one of variant, family, manufacturer"):
        datasets.aircraft(path=str(tmp_path), level="wing")


def test_voc_is_multi_label_and_difficult_objects_are_no_positives(tmp_path):
    make_voc(tmp_path)
    found = datasets.voc2007(path=str(tmp_path))
    assert found.multilabel
    assert found.split.tolist() == [0, 0, 0, 1, 1]
    cat, person, dog = (VOC_CLASSES.index(c) for c in ("cat", "person", "dog"))
    hot = [{(0, cat), (0, person), (2, person), (3, cat), (4, dog)}]
    assert {tuple(at) for at in np.argwhere(found.labels).tolist()} == hot[0]  # image 1 has its only cat as difficult
    assert list(found.class_names) == sorted(found.class_names)
    assert len(found.class_names) == 20
    assert len(datasets.voc2007.inputs(path=str(tmp_path))) == 40


def test_sets_without_an_official_split_get_a_stratified_one(tmp_path):
    make_caltech(tmp_path)
    make_eurosat(tmp_path)
    caltech = datasets.caltech101(path=str(tmp_path))
    assert caltech.class_names == ["Faces", "ant"]  # without the background
    assert np.bincount(caltech.labels[caltech.split == 1]).tolist() == [3, 6]  # 30 % of 10 and 20
    assert [f.as_posix() for f in caltech.images.items] == [
        f.as_posix() for f in datasets.caltech101(path=str(tmp_path)).images.items
    ]
    by_hash = sorted(
        (f"ant/image_{i:04d}.jpg" for i in range(1, 21)), key=lambda n: hashlib.sha256(f"0|{n}".encode()).digest()
    )
    folder = tmp_path / "caltech101/101_ObjectCategories"
    test = {f.relative_to(folder).as_posix() for f in caltech.images.items[-9:]}
    assert {n for n in test if n.startswith("ant")} == set(by_hash[:6])
    eurosat = datasets.eurosat(path=str(tmp_path), test_share=0.2)
    assert np.bincount(eurosat.labels[eurosat.split == 1]).tolist() == [2, 2]
    assert (eurosat.upright, eurosat.flip) == (False, True)


def test_flips_that_change_the_label_are_not_allowed(tmp_path):
    make_svhn(tmp_path)
    make_gtsrb(tmp_path)
    assert not datasets.svhn(path=str(tmp_path)).flip
    assert not datasets.gtsrb(path=str(tmp_path)).flip


@pytest.mark.parametrize("name", [*FILES, "caltech101", "eurosat", "voc2007", "cifar10", "cifar100"])
def test_missing_files_are_named_with_where_to_get_them(name, tmp_path):
    with pytest.raises(FileNotFoundError, match=rf"{tmp_path}/.* must hold .* Got no .* Fetch it from https?://"):
        getattr(datasets, name).inputs(path=str(tmp_path))
    if name in FILES:
        FILES[name][0](tmp_path)
        found = getattr(datasets, name).inputs(path=str(tmp_path))
        assert all(file.is_file() for file in found)
        found[-1].unlink()
        if name != "gtsrb":  # its last file is just an image
            with pytest.raises(FileNotFoundError, match=f"Got no .*{found[-1].name}"):
                getattr(datasets, name)(path=str(tmp_path))


def test_torchvision_fetches_what_is_missing_where_that_is_wanted(tmp_path, monkeypatch):
    from torchvision import datasets as theirs

    asked = []

    def fetch(root, download, **settings):
        asked.append((root, download, settings))
        make_svhn(root.parent)

    monkeypatch.setattr(theirs, "SVHN", fetch)
    with pytest.raises(FileNotFoundError, match="or set download=true"):
        datasets.svhn.inputs(path=str(tmp_path))
    for _ in range(2):  # once is enough
        assert len(datasets.svhn.inputs(path=str(tmp_path), download=True)) == 2
    assert asked == [(tmp_path / "svhn", True, {"split": part}) for part in ("train", "test")]

    def broken(root, download):
        raise RuntimeError("File not found or corrupted.")

    monkeypatch.setattr(theirs, "DTD", broken)
    with pytest.raises(OSError, match=r"DTD must be downloadable\. Got File not found or corrupted\."):
        datasets.dtd.inputs(path=str(tmp_path), download=True)


def test_an_image_that_is_listed_and_not_there_is_named(tmp_path):
    make_cub(tmp_path)
    found = datasets.cub200(path=str(tmp_path))
    found.images.items[1].unlink()
    with pytest.raises(UnreadableImageError, match=f"Got 1 .*{found.images.items[1].name} .No such file"):
        packs.build("cub200", found, 8, tmp_path / "pack")


def test_where_the_data_lie_and_who_fetched_them_is_not_in_the_key():
    def identity(**parameters):
        spec = {
            "name": "x",
            "_target_": "benchmark.data.datasets.dtd",
            "task": "x",
            "size": 8,
            "parameters": parameters,
        }
        return DataSpec(**spec).identity()

    assert identity(path="/a", partition=1) == identity(path="/b", partition=1, download=True)
    assert identity(path="/a", partition=1) != identity(path="/a", partition=2)


def test_images_are_decoded_one_at_a_time(tmp_path, monkeypatch):
    make_cub(tmp_path)
    asked = []
    monkeypatch.setattr(reading, "decode", lambda data, where: asked.append(where) or Image.new("RGB", (8, 8)))
    found = datasets.cub200(path=str(tmp_path))
    assert asked == []
    found.images[3]
    assert len(asked) == 1


# --- Hugging Face --------------------------------------------------------------------------------------------------

TRAIN_LABELS, TEST_LABELS = [0, 1, 2, 1, 0], [2, 0]


def write_shards(folder: Path, test: str = "test", column: str = "label", cells: str = "struct") -> None:
    """Five training rows in two shards with row groups of two, two test rows; pictures 0 to 6."""
    feature = {"_type": "ClassLabel", "names": ["a", "b", "c"]}
    kind = [feature] if column == "labels" else feature
    metadata = {"huggingface": json.dumps({"info": {"features": {column: kind, "image": {"_type": "Image"}}}})}
    put_folder(folder)
    names = [("train", 0, 2), ("train", 1, 2), (test, 0, 1)]
    labels, seed = [TRAIN_LABELS[:3], TRAIN_LABELS[3:], TEST_LABELS], 0
    for (part, k, n), own in zip(names, labels, strict=True):
        data = [encoded(seed + i) for i in range(len(own))]
        seed += len(own)
        images = pa.array(data) if cells == "binary" else pa.array([{"bytes": d, "path": None} for d in data])
        given = [[v] for v in own] if column == "labels" else own
        table = pa.table({"image": images, column: given}).replace_schema_metadata(metadata)
        pq.write_table(table, folder / f"{part}-{k:05d}-of-{n:05d}.parquet", row_group_size=2)


@pytest.mark.parametrize(("test", "below", "cells"), [("test", "", "struct"), ("validation", "data", "binary")])
def test_a_folder_of_shards_is_one_data_set(test, below, cells, tmp_path):
    write_shards(tmp_path / below, test, cells=cells)
    found = parquet.shards(path=str(tmp_path))
    assert found.labels.tolist() == TRAIN_LABELS + TEST_LABELS
    assert found.split.tolist() == [0] * 5 + [1] * 2
    assert found.class_names == ["a", "b", "c"]
    for i in (6, 0, 4, 2, 3):  # across row groups and shards, in any order
        np.testing.assert_array_equal(np.asarray(found.images[i]), picture(i))
    assert len(parquet.shards.inputs(path=str(tmp_path))) == 3


def test_shards_with_lists_of_labels_are_multi_label(tmp_path):
    write_shards(tmp_path, column="labels")
    found = parquet.shards(path=str(tmp_path), label="labels")
    assert found.multilabel
    np.testing.assert_array_equal(found.labels, np.eye(3)[TRAIN_LABELS + TEST_LABELS])
    with pytest.raises(
        ValueError, match=r"must have the columns image and label\. Got \['image', 'labels'\]\. Set label"
    ):
        parquet.shards(path=str(tmp_path))


def test_shards_of_one_split_are_refused(tmp_path):
    write_shards(tmp_path)
    next(tmp_path.glob("test-*")).unlink()
    with pytest.raises(FileNotFoundError, match=r"must hold train-\*\.parquet and test-\*\.parquet"):
        parquet.shards(path=str(tmp_path))


def test_the_hubs_library_is_asked_for_by_name(monkeypatch):
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(ModuleNotFoundError, match="package datasets must be installed"):
        hub.huggingface(dataset="someone/some", revision="main")


@pytest.mark.parametrize("column", ["label", "labels"])
def test_a_data_set_by_name(column, tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_HOME", str(tmp_path / "cache"))
    pytest.importorskip("datasets", reason="the optional package datasets is not installed")
    write_shards(tmp_path / "set", column=column)
    found = hub.huggingface(dataset=str(tmp_path / "set"), revision="x", label=column)
    assert found.class_names == ["a", "b", "c"]
    assert found.split.tolist() == [0] * 5 + [1] * 2
    labels = found.labels.argmax(axis=1) if column == "labels" else found.labels
    assert labels.tolist() == TRAIN_LABELS + TEST_LABELS
    for i in range(7):
        np.testing.assert_array_equal(np.asarray(found.images[i]), picture(i))
    with pytest.raises(ValueError, match="must have the columns image and species"):
        hub.huggingface(dataset=str(tmp_path / "set"), revision="x", label="species")


# --- writing Parquet packs -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["gtsrb", "oxford_pets", "voc2007"])
def test_a_written_pack_reads_back_identically(name, tmp_path):
    (make_voc if name == "voc2007" else FILES[name][0])(tmp_path)
    given = getattr(datasets, name)(path=str(tmp_path))
    direct = packs.build(name, given, 8, tmp_path / "direct")
    packing.write(name, given, 8, None, tmp_path / "x.parquet")
    again = parquet.parquet(path=str(tmp_path / "x.parquet"))
    assert packs.build(name, again, 8, tmp_path / "again")["fingerprint"] == direct["fingerprint"]
    assert pq.read_schema(tmp_path / "x.parquet").metadata[b"source"].decode() == given.origin


def test_a_written_pack_as_jpeg_keeps_labels_and_scales_down(tmp_path):
    make_pets(tmp_path)
    given = datasets.oxford_pets(path=str(tmp_path))
    for out in ("x.parquet", "y.parquet"):
        assert packing.write("pets", given, 8, 90, tmp_path / out) == 6
    assert (tmp_path / "x.parquet").read_bytes() == (tmp_path / "y.parquet").read_bytes()
    again = parquet.parquet(path=str(tmp_path / "x.parquet"))
    assert (again.labels.tolist(), again.class_names) == (given.labels.tolist(), given.class_names)
    assert {im.size for im in again.images} == {(8, 10)}  # 10×12 with the short side at 8: 9.6 rounded
    table = pq.read_table(tmp_path / "x.parquet")
    assert table.column_names == ["image", "label", "split"]
    assert table["split"].to_pylist() == ["train"] * 3 + ["test"] * 3
    assert {Image.open(io.BytesIO(cell["bytes"])).format for cell in table["image"].to_pylist()} == {"JPEG"}


def test_facts_of_a_file_are_kept_and_can_be_set(tmp_path):
    make_svhn(tmp_path)
    packing.write("svhn", datasets.svhn(path=str(tmp_path)), 32, None, tmp_path / "x.parquet")
    told = parquet.parquet(path=str(tmp_path / "x.parquet"))
    assert (told.flip, told.upright, told.licence) == (False, True, f"as stated at {SVHN}")
    said = parquet.parquet(path=str(tmp_path / "x.parquet"), flip=True, upright=False)
    assert (said.flip, said.upright) == (True, False)


def test_an_unreadable_image_leaves_no_pack_behind(tmp_path):
    make_pets(tmp_path)
    given = datasets.oxford_pets(path=str(tmp_path))
    given.images.items[4].write_bytes(b"no image")
    with pytest.raises(UnreadableImageError, match=f"Got 1 .*{given.images.items[4].name}"):
        packing.write("pets", given, 8, 90, tmp_path / "x.parquet")
    assert list(tmp_path.glob("x.parquet*")) == []


def test_the_pack_command(tmp_path, capsys):
    make_dtd(tmp_path / "data")
    make_cub(tmp_path / "data")
    given = [f"paths.data={tmp_path}/data", "target=[dtd,cub200]", "target.dtd.partition=2", "size=6", "quality=null"]
    assert packing.main([*given, f"out={tmp_path}/packs"]) == 0
    assert parquet.parquet(path=str(tmp_path / "packs/dtd.parquet")).labels.tolist() == [1, 0, 0, 1, 1, 0]
    assert "6 images, 2 classes" in capsys.readouterr().out
    for bad, said in {
        "size=0": "size must be greater than or equal to 1. Got '0'.",
        "quality=101": "quality must be less than or equal to 100",
        f"out={tmp_path}/x.parquet": "out must be a folder for several targets",
        f"paths.data={tmp_path}/nowhere": f"target.dtd: {tmp_path}/nowhere/dtd/dtd must hold",
        "target=dtdd": "target must be one of its options. Got 'dtdd'. Did you mean 'dtd'?",
    }.items():
        key = bad.partition("=")[0]
        assert packing.main([*(g for g in given if not g.startswith(f"{key}=")), bad]) == 2
        assert said in capsys.readouterr().err
    assert packing.main(["size=6"]) == 2
    assert "target must be given" in capsys.readouterr().err


def test_several_targets_do_not_fit_one_file(tmp_path):
    spec = DataSpec(name="x", _target_="benchmark.data.datasets.dtd", task="x", size=8)
    assert packing.place(None, spec, False) == Path("outputs/packs/x.parquet")
    assert packing.place("a/b.parquet", spec, False) == Path("a/b.parquet")
    with pytest.raises(ConfigError, match="must be a folder"):
        packing.place("a/b.parquet", spec, True)


# --- the packs and the experiment of real images -------------------------------------------------------------------


def composed(*overrides: str):
    from benchmark.config.compose import compose
    from benchmark.config.validation import experiment

    return experiment(compose(list(overrides)))


CONF = Path(__file__).resolve().parents[2] / "conf/target"
PACKS = sorted(f.stem for f in CONF.glob("*.yaml") if "# A pack of real images" in f.read_text())


def test_every_pack_has_its_file_and_its_checksum():
    assert len(PACKS) == 23
    for name in PACKS:
        about = (CONF / f"{name}.yaml").read_text()
        train, test = re.search(r"classes, (\d+) / (\d+) images", about).groups()
        assert f"\n  images: [{train}, {test}]\n" in about  # what a dry run counts with
    if not SHARED.is_dir():
        pytest.skip("no ../shared/data: real data sets are not part of the project")
    for name, spec in composed(f"target=[{','.join(PACKS)}]", f"paths.data={SHARED}").target.items():
        (file,) = spec.function.inputs(**spec.parameters)
        said = (CONF / f"{name}.yaml").read_text().partition("# SHA-256 ")[2].split()[0]
        assert hashlib.sha256(file.read_bytes()).hexdigest() == said
        counts = pq.read_table(file, columns=["split"])["split"].value_counts().to_pylist()
        counts = {c["values"]: c["counts"] for c in counts}
        names = json.loads(pq.read_schema(file).metadata[b"class_names"])
        assert spec.images == (counts["train"], counts["test"])
        said = (CONF / f"{name}.yaml").read_text().splitlines()[0]
        assert f"{len(names)} classes, {counts['train']} / {counts['test']} images" in said


def test_a_missing_pack_says_where_it_is_looked_for(tmp_path, capsys):
    from benchmark import run
    from benchmark.config.cli import experiments

    code = experiments(run.run, "", ["target=[dtd10,trashnet]", f"paths.data={tmp_path}"])
    said = capsys.readouterr().err
    assert code == 2
    assert f"target.dtd10: Parquet file must exist. Got {tmp_path}/dtd10.parquet." in said
    assert "paths.data" in said


def test_the_small_experiment_is_in_the_papers_shape():
    small = composed("experiment=small", "bank=small_controlled", "exclude_models=[]", f"paths.data={SHARED}")
    sources = {m.source_data for m in small.bank.values()}
    archs = {m.arch for m in small.bank.values()}
    assert (len(small.bank), len(archs), len(sources), len(small.target)) == (32, 4, 8, 8)
    transfers = [
        (m.name, t.name) for m in small.bank.values() for t in small.target.values() if small.task_of(m) != t.task
    ]
    assert len(transfers) == 32 * 8 - 32  # every model but for its own source: at least the paper's 168
    assert {m.input_size for m in small.bank.values()} == {64}
    for model in small.bank.values():  # those with ImageNet weights start from them
        assert (model.init is not None) == model.arch.startswith("tf_efficientnet_lite")
    diverse = composed("experiment=small", f"paths.data={SHARED}")
    assert len(diverse.bank) >= 40
    assert len({(m.arch, m.source_name) for m in diverse.bank.values()}) == len(diverse.bank)  # no row twice
    assert small.bank.items() <= diverse.bank.items()
    assert diverse.source == {k: diverse.target[k] for k in diverse.source}  # a data set means one thing


def test_the_small_experiments_packs_can_be_carried():
    if not SHARED.is_dir():
        pytest.skip("no ../shared/data: real data sets are not part of the project")
    small = composed("experiment=small", f"paths.data={SHARED}")
    data = small.source | small.target
    files = {f for d in data.values() for f in d.function.inputs(**d.parameters)}
    assert sum(f.stat().st_size for f in files) <= 40e6
    loaded = {name: d.function(**d.parameters) for name, d in data.items()}
    assert [name for name, e in loaded.items() if e.multilabel] == ["voc5_multilabel"]
    assert all((e.split == 0).sum() > 800 for e in loaded.values())
    rotated = {m.source_data for m in small.bank.values() if m.objective == "rotation"}
    assert all(loaded[name].upright for name in rotated)


# --- the real data sets --------------------------------------------------------------------------------------------

# The sizes that the data sets' authors state. Caltech-101 and EuroSAT have no official split: images in all.
SIZES = {
    "cifar10": (50000, 10000, 10),
    "cifar100": (50000, 10000, 100),
    "svhn": (73257, 26032, 10),
    "stl10": (5000, 8000, 10),
    "oxford_pets": (3680, 3669, 37),
    "voc2007": (2501, 4952, 20),
    "dtd": (3760, 1880, 47),
    "flowers102": (2040, 6149, 102),
    "gtsrb": (26640, 12630, 43),
    "aircraft": (6667, 3333, 100),
    "food101": (75750, 25250, 101),
    "sun397": (19850, 19850, 397),
    "cub200": (5994, 5794, 200),
    "nabirds": (23929, 24633, 555),
    "stanford_dogs": (12000, 8580, 120),
    "caltech101": (8677, 101),
    "eurosat": (27000, 10),
}


@pytest.mark.data
@pytest.mark.parametrize("name", SIZES)
def test_real_data_sets_have_their_published_sizes(name):
    function = getattr(datasets, name)
    try:
        function.inputs(path=str(REAL))
    except FileNotFoundError as error:
        pytest.skip(f"{name} is not in {REAL} (set BENCHMARK_DATA): {error}")
    found = function(path=str(REAL))
    parts = [int((found.split == part).sum()) for part in (0, 1)]
    assert (*(parts if len(SIZES[name]) == 3 else [sum(parts)]), len(found.class_names)) == SIZES[name]
    assert np.asarray(found.images[0]).dtype == np.uint8
