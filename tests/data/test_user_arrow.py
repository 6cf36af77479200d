"""Parquet files and saved data sets as people write them: multi-hot rows, shards of different class orders, paths."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from benchmark.data import packs
from benchmark.data.hub import labelled
from benchmark.data.parquet import parquet, shards
from benchmark.data.user import adapter
from benchmark.data.user.findings import DataError
from tests.data.made_up import counted, encoded, pixels, put, read


def write(file: Path, names: list[str] | None = None, **columns: list) -> Path:
    """A Parquet file; `names` are the classes of its label column in the hub's metadata."""
    file.parent.mkdir(parents=True, exist_ok=True)
    table = pa.table({"image": [encoded(i) for i in range(len(next(iter(columns.values()))))], **columns})
    if names:
        kind = {"names": names, "_type": "ClassLabel"}
        features = {"label": kind, "labels": [kind]}
        metadata = {"huggingface": json.dumps({"info": {"features": features}})}
        table = table.replace_schema_metadata(metadata)
    pq.write_table(table, file)
    return file


HOT = [[1, 0, 0], [0, 1, 1], [0, 0, 1]]


@pytest.mark.parametrize("names", [["x", "y", "z"], None])
def test_rows_of_0_and_1_are_multi_hot(tmp_path, names):
    found = read(write(tmp_path / "mine.parquet", names, labels=HOT * 2))
    assert found.labels.tolist() == HOT * 2
    assert found.class_names == (names or ["0", "1", "2"])
    assert found.remarks == ["mine.parquet, column labels: rows of 3 times 0 or 1 say which of 3 classes an image has."]


def test_rows_of_ids_are_not_multi_hot(tmp_path):
    assert (
        read(write(tmp_path / "a.parquet", labels=[[0], [1], [0, 1]] * 2)).labels.tolist()
        == [[1, 0], [0, 1], [1, 1]] * 2
    )
    found = read(write(tmp_path / "b.parquet", ["x", "y", "z"], labels=[[0, 1], [1, 0], [0, 1]]))
    assert found.labels.tolist() == [[1, 1, 0]] * 3  # two ids of three names
    assert read(write(tmp_path / "c.parquet", labels=[[0, 2], [1, 2]])).labels.tolist() == [[1, 0, 1], [0, 1, 1]]


def test_the_adapters_of_public_packs_and_shards_take_multi_hot_rows_too(tmp_path):
    file = write(tmp_path / "one.parquet", ["x", "y", "z"], labels=HOT * 2, split=["train"] * 3 + ["test"] * 3)
    assert parquet(str(file)).labels.tolist() == HOT * 2
    for part in ("train", "test"):
        write(tmp_path / f"shards/{part}-0.parquet", ["x", "y", "z"], labels=HOT)
    assert shards(str(tmp_path / "shards"), label="labels").labels.tolist() == HOT * 2
    assert labelled(HOT, ["x", "y", "z"], "here")[1].tolist() == HOT


def test_shards_whose_classes_come_in_another_order_are_matched_by_name(tmp_path):
    write(tmp_path / "train-0.parquet", ["a", "b"], label=[0, 0, 0, 1])
    write(tmp_path / "test-0.parquet", ["b", "a"], label=[0, 1, 1])
    found = read(tmp_path)
    assert counted(found) == {"a": (3, 2, 0), "b": (1, 1, 0)}
    assert "matched by name" in found.remarks[0]
    write(tmp_path / "test-0.parquet", ["c", "b", "a"], label=[1, 2, 2])
    assert counted(read(tmp_path)) == {"c": (0, 0, 0), "b": (1, 1, 0), "a": (3, 2, 0)}


def saved(root: Path, names: list[str], labels: list[int]) -> None:
    table = pa.table({"image": [encoded(i) for i in range(len(labels))], "label": labels})
    feature = {"names": names, "_type": "ClassLabel"}
    table = table.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": {"label": feature}}})})
    root.mkdir(parents=True)
    with pa.OSFile(str(root / "data.arrow"), "wb") as sink, pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    (root / "state.json").write_text(json.dumps({"_data_files": [{"filename": "data.arrow"}]}))


def test_parts_of_a_saved_data_set_are_matched_by_name(tmp_path):
    saved(tmp_path / "train", ["a", "b"], [0, 0, 1])
    saved(tmp_path / "test", ["b", "a"], [0, 1])
    (tmp_path / "dataset_dict.json").write_text(json.dumps({"splits": ["train", "test"]}))
    assert counted(read(tmp_path)) == {"a": (2, 1, 0), "b": (1, 1, 0)}


def built(path: Path, out: Path, **given) -> packs.Pack:
    packs.build("mine", adapter.images(str(path), **given), 32, out)
    return packs.load(out)


def test_paths_instead_of_bytes(tmp_path):
    for i in range(20):
        put(tmp_path / f"imgs/{i}.png", pixels(i))
    pq.write_table(
        pa.table({"image": [encoded(i) for i in range(20)], "label": [0, 1] * 10}), tmp_path / "bytes.parquet"
    )
    for name, form in (("paths", "imgs/{}.png"), ("names", "{}"), ("windows", "D:\\x\\{}.png")):
        table = pa.table({"image": [form.format(i) for i in range(20)], "label": [0, 1] * 10})
        pq.write_table(table, tmp_path / f"{name}.parquet")
        pack = built(tmp_path / f"{name}.parquet", tmp_path / f"pack-{name}")
        assert pack.meta["image_sha256"] == built(tmp_path / "bytes.parquet", tmp_path / "b").meta["image_sha256"]
    assert len(adapter.inputs(str(tmp_path / "paths.parquet"))) == 21, "the images' bytes decide the result, too"
    pq.write_table(pa.table({"image": ["imgs/0.png", "no.png"], "label": [0, 1]}), tmp_path / "gone.parquet")
    with pytest.raises(DataError, match=r"column image, must name images that are there. Got 1 of 2 .* no.png"):
        read(tmp_path / "gone.parquet")


def test_structs_of_a_path_without_bytes(tmp_path):
    for i in range(20):
        put(tmp_path / f"imgs/{i}.png", pixels(i))
    cells = [{"bytes": None, "path": f"imgs/{i}.png"} for i in range(20)]
    pq.write_table(pa.table({"image": cells, "label": [0, 1] * 10}), tmp_path / "mine.parquet")
    pack = built(tmp_path / "mine.parquet", tmp_path / "pack")
    assert np.array_equal(pack.image(3), np.asarray(pixels(3)))
    assert len(adapter.inputs(str(tmp_path / "mine.parquet"))) == 21


@pytest.mark.parametrize("shape", [(20, 24, 3), (20, 24), (20, 24, 1), (3, 20, 24)])
@pytest.mark.parametrize("kind", [np.uint8, np.int64])
def test_arrays(tmp_path, shape, kind):
    arrays = [np.random.default_rng(i).integers(0, 256, shape).astype(kind) for i in range(20)]
    table = pa.table({"image": [a.tolist() for a in arrays], "label": [0, 1] * 10})
    pq.write_table(table, tmp_path / "mine.parquet")
    pack = built(tmp_path / "mine.parquet", tmp_path / "pack")
    expected = arrays[3].transpose(1, 2, 0) if shape[0] == 3 else arrays[3].reshape(20, 24, -1)
    assert np.array_equal(pack.image(3), np.broadcast_to(expected, (20, 24, 3)))


@pytest.mark.parametrize(
    "form",
    ["{}/0000.parquet", "default/{}/0000.parquet", "data/{}-00000-of-00001.parquet", "{}.parquet", "x_{}/a.parquet"],
)
def test_files_in_folders_of_parts(tmp_path, form):
    write(tmp_path / form.format("train"), label=["a", "a", "b"])
    write(tmp_path / form.format("validation"), label=["a", "b"])
    assert counted(read(tmp_path)) == {"a": (2, 1, 0), "b": (1, 1, 0)}


def test_a_file_of_another_name_in_a_folder_is_split_here(tmp_path):
    write(tmp_path / "0000.parquet", label=["a", "a", "b"])
    assert counted(read(tmp_path)) == {"a": (0, 0, 2), "b": (0, 0, 1)}
    write(tmp_path / "train-1.parquet", label=["a", "a", "b"])
    with pytest.raises(DataError, match=r"must hold files called train-… and test-… Got 0000.parquet beside them"):
        read(tmp_path)


def test_a_parquet_file_below_class_folders_does_not_hide_them(tmp_path):
    for name in ("cat", "dog"):
        put(tmp_path / name / "0.png")
    write(tmp_path / "cat/meta/features.parquet", label=["a", "b"])
    assert counted(read(tmp_path)) == {"cat": (0, 0, 1), "dog": (0, 0, 1)}


@pytest.mark.parametrize(
    "labels", [[0, 1, None], [0, 1, -1], [0.0, 1.0, float("nan")], ["0", "1", ""], ["0", "1", "nan"]]
)
def test_rows_without_a_label_are_left_out_and_counted(tmp_path, labels):
    found = read(write(tmp_path / "mine.parquet", label=labels * 2))
    assert counted(found) == {"0": (0, 0, 2), "1": (0, 0, 2)}
    assert found.remarks == ["2 rows without a label are left out (row 2, row 5)."]
    assert found.names == ["row 0", "row 1", "row 3", "row 4"]


def test_texts_are_read_as_in_a_table(tmp_path):
    found = read(write(tmp_path / "mine.parquet", label=["cat", "b", "cat,b", "Cat ", "b", "b,cat", "cat"]))
    assert found.class_names == ["b", "cat"]
    assert found.labels.tolist() == [[0, 1], [1, 0], [1, 1], [0, 1], [1, 0], [1, 1], [0, 1]]
    found = read(write(tmp_path / "set.parquet", label=["a", "b"] * 2, set=["training"] * 2 + ["Test"] * 2))
    assert counted(found) == {"a": (1, 1, 0), "b": (1, 1, 0)}
