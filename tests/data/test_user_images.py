"""One look at each image: deep ones, large ones, what files say beside pixels, and messages that never vary."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmark.data import packs
from benchmark.data.depth import eight_bits, levels_of, range_in, range_of
from benchmark.data.user import adapter
from benchmark.data.user.findings import shift
from benchmark.data.user.shortcuts import facts_of, shortcuts
from tests.data.made_up import pixels, put

BEFORE = {"plain": "64154c93e3b1d3c7", "split": "4ab332c73ee1b595", "deep": "a8820075ec05c062"}
"""Fingerprints of packs before this project told shortcuts, depths and odd layouts: what was read well stays."""


def build(root: Path, out: Path, **given) -> dict:
    return packs.build("mine", adapter.images(str(root), **given), 32, out)


def notes(meta: dict) -> dict[str, dict]:
    return {n["kind"]: n for n in meta.get("notes", [])}


def test_what_was_read_well_keeps_its_fingerprint(tmp_path):
    for k, name in enumerate(("cat", "dog")):
        for i in range(10):
            image = pixels(100 * k + i)
            put(tmp_path / f"plain/{name}/{i}.png", image)
            put(tmp_path / f"split/{'train' if i < 7 else 'test'}/{name}/{i}.png", image)
            deep = np.asarray(image.convert("L")).astype(np.uint16) * 257
            put(tmp_path / f"deep/{name}/{i}.png", Image.fromarray(deep))
    found = {name: build(tmp_path / name, tmp_path / f"pack-{name}")["fingerprint"][:16] for name in BEFORE}
    assert found == BEFORE


@pytest.mark.parametrize(("kind", "suffix"), [(np.float32, "tif"), (np.int32, "tif"), (np.uint16, "png")])
def test_deep_images_are_scaled_by_the_range_of_the_data_set(tmp_path, kind, suffix):
    ramp = np.linspace(0, 1000, 30 * 30).reshape(30, 30)
    for k, name in enumerate(("cat", "dog")):
        for i in range(4):
            values = np.roll(ramp, 97 * i + 31 * k).astype(kind)
            put(tmp_path / f"mine/{name}/{i}.{suffix}", Image.fromarray(values))
    meta = build(tmp_path / "mine", tmp_path / "pack", alike=None)
    pack = packs.load(tmp_path / "pack")
    assert notes(meta)["deep"]["what"].startswith("8 of 8 images ")
    assert (pack.image(0).min(), pack.image(0).max()) == (0, 255)
    middle = np.abs(np.roll(ramp, 0) - 500).argmin()
    assert abs(int(pack.image(0).reshape(-1, 3)[middle, 0]) - 127.5) <= 1.5


def test_a_range_that_fills_its_bits_is_left_alone():
    assert levels_of([("whole", 0, 65535), ("float", 0, 255)]) == {}
    assert levels_of([("whole", 5, 4080), ("whole", 0, 100), ("float", 0, 1)]) == {"whole": (0, 4080), "float": (0, 1)}
    values = np.array([[0, 2040, 4080, 9000]], np.uint16)
    assert np.asarray(eight_bits(values, {"whole": (0, 4080)}))[0].tolist() == [0, 128, 255, 255]


def test_shortcuts_are_said_by_the_class_s_name(tmp_path):
    exif = Image.Exif()
    exif[271], exif[272] = "Acme", "One"
    for i in range(12):
        put(tmp_path / f"ill/{i}.jpg", pixels(i, (40, 40, 3)), quality=60, exif=exif)
        put(tmp_path / f"sound/{i}.jpg", pixels(100 + i, (40, 60, 3)), quality=90)
    said = [n["what"] for n in build(tmp_path, tmp_path / "pack")["notes"] if n["kind"] == "shortcut"]
    assert said == [
        "Told apart by size alone: 'ill' (100 % 40×40 pixels, of the others 0 %).",
        "Told apart by compression alone: 'ill' (100 % JPEG at quality 60, of the others 0 %).",
        "Told apart by camera alone: 'ill' (100 % Acme One, of the others 0 %).",
    ]


def test_alike_classes_have_no_shortcut(tmp_path):
    for i in range(12):
        for k, name in enumerate(("ill", "sound")):
            put(tmp_path / f"{name}/{i}.png", pixels(100 * k + i, (40 + i, 40, 3)))
    assert "shortcut" not in notes(build(tmp_path, tmp_path / "pack"))


def test_shares_that_differ_between_the_parts_are_said():
    labels, split = np.repeat([0, 1, 0, 1, 2], [50, 50, 20, 20, 10]), np.repeat([0, 1], [100, 50])
    (found,) = shift(labels, split, ["cat", "dog", "emu"])
    assert found.what.endswith("class 'emu' is 0 % of the training images, 20 % of the test images.")
    assert shift(np.tile([0, 1], 75), split, ["cat", "dog"]) == []


def test_messages_hold_no_addresses_and_no_places(tmp_path):
    for place in ("a", "b/c"):
        for k, name in enumerate(("cat", "dog")):
            for i in range(10):
                put(tmp_path / place / name / f"{i}.png", pixels(100 * k + i))
        (tmp_path / place / "cat/0.png").write_bytes(b"no picture")
        (tmp_path / place / "cat/1.tif").write_bytes(b"II*\0\x08\0\0\0\0\0")
    a, b = (build(tmp_path / p, tmp_path / f"pack{i}") for i, p in enumerate(("a", "b/c")))
    assert a["notes"] == b["notes"]
    assert "0x" not in json.dumps(a["notes"])
    assert str(tmp_path) not in json.dumps(a["notes"])


MEASURED = """
import resource, sys
from pathlib import Path
import numpy, PIL.Image, scipy.sparse.csgraph, safetensors.numpy
from benchmark.data import packs
from benchmark.data.user import adapter
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
packs.build("x", adapter.images(sys.argv[1]), 64, Path(sys.argv[2]))
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="memory is counted in other units elsewhere")
@pytest.mark.parametrize(("mode", "held"), [("RGB", 4), ("RGBA", 4), ("I;16", 2)])
def test_large_photographs_are_few_in_memory(tmp_path, mode, held):
    """One decoded image a worker, `held` bytes a pixel in Pillow, and one more while it is turned into RGB."""
    import os

    for i in range(6):
        small = pixels(i, (4, 6, 3))
        if mode == "RGBA":
            small.putalpha(128)
        elif mode == "I;16":
            small = Image.fromarray(np.asarray(small.convert("L")).astype(np.uint16) * 16)
        put(tmp_path / f"mine/{'ab'[i % 2]}/{i}.png", small.resize((3000, 2000), 0), compress_level=1)
    call = [sys.executable, "-c", MEASURED, str(tmp_path / "mine"), str(tmp_path / "pack")]
    added = float(subprocess.run(call, capture_output=True, text=True, check=True).stdout)
    workers, one = len(os.sched_getaffinity(0)), 3000 * 2000 * held / 2**20
    assert added < 60 + (workers + (mode == "RGBA")) * one


@pytest.mark.parametrize("order", ["<u2", ">u2"])
def test_the_range_of_sixteen_bits_is_counted_as_it_is_ordered(order):
    """Counting gives the numbers that sorting gives, dead pixels left out, for images of several strips."""
    rng = np.random.default_rng(0)
    values = rng.integers(200, 4000, (700, 30)).astype(np.uint16)
    values[0, :5], values[1, :5] = 0, 65535  # five of 21,000 are fewer than a thousandth
    modes = {"<u2": "I;16", ">u2": "I;16B"}
    image = Image.frombytes(modes[order], (30, 700), values.astype(order).tobytes())
    assert range_in(image, "whole") == range_of(values, "whole")
    assert 200 <= range_in(image, "whole")[1] < 210
    levels = {"whole": (200.0, 4000.0)}
    assert np.array_equal(np.asarray(eight_bits(image, levels)), np.asarray(eight_bits(values, levels)))


def test_a_grey_image_is_scaled_as_its_three_equal_channels_are():
    from benchmark.data.images import scaled

    grey = Image.fromarray(np.random.default_rng(0).integers(0, 256, (90, 70), dtype=np.uint8))
    assert np.array_equal(scaled(grey, 32), scaled(grey.convert("RGB"), 32))


@pytest.mark.parametrize(
    ("own", "others", "said"),
    [
        (
            ("RGB", (60, 40)),
            ("RGB", (40, 60)),
            "aspect alone: 'ill' (100 % at least 1.39 times as wide as high, of the",
        ),
        (("RGBA", (40, 40)), ("RGB", (40, 40)), "colour mode alone: 'ill' (100 % transparency, of the others 0 %)"),
        (("P", (40, 40)), ("RGB", (40, 40)), "colour mode alone: 'ill' (100 % a palette, of the others 0 %)"),
    ],
)
def test_shape_and_colour_mode_are_shortcuts_too(own, others, said):
    def facts(mode: str, size: tuple[int, int], i: int) -> object:
        out = io.BytesIO()
        Image.new(mode, (size[0] + i, size[1] + i)).save(out, "PNG")
        return facts_of(out.getvalue())

    held = [facts(*(own if k else others), i) for i in range(12) for k in (0, 1)]
    (found,) = shortcuts(held, np.tile([1, 0], 12), np.zeros(24, int), ["ill", "sound"])
    assert found.what.startswith(f"Told apart by {said}")
