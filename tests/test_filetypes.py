"""Files that were taken for checkpoints: what they are is said, whatever they are called."""

from __future__ import annotations

import gzip
import io
import random
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save

from benchmark import filetypes
from benchmark.models import layouts

STATE = {"fc.weight": torch.ones(2, 2)}


def saved(**more: bool) -> bytes:
    held = io.BytesIO()
    torch.save(STATE, held, **more)
    return held.getvalue()


def zipped(**members: bytes) -> bytes:
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return held.getvalue()


def array() -> bytes:
    held = io.BytesIO()
    np.save(held, np.ones(3))
    return held.getvalue()


LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 3\n"
OTHERS = {
    "empty": (b"", "an empty file"),
    "HTML": (b"\n<!DOCTYPE html><html><body>Sign in</body></html>", "an HTML page"),
    "html": (b"<html lang='de'>\xc3\xa4", "an HTML page"),
    "git-lfs": (LFS, "a pointer of git-lfs"),
    "JSON": (b'{"error": "not found"}', r"text \('\{\"error\": \"not found\"\}'\)"),
    "text": ("Größe\n".encode() * 200, r"text \('Größe'\)"),
    "zip": (zipped(a=b"1", b=b"2"), r"a zip file of a, b\."),
    "gzip": (gzip.compress(b"x"), "a file compressed with gzip"),
    "NumPy": (array(), "a NumPy array"),
    "HDF5": (b"\x89HDF\r\n\x1a\n" + bytes(90), "an HDF5 file"),
    "picture": (b"\x89PNG\r\n\x1a\n" + bytes(90), "a picture"),
    "TorchScript": (zipped(**{"m/data.pkl": b"", "m/constants.pkl": b""}), "a TorchScript program"),
    "zeros": (bytes(4096), "a file that begins with the bytes 00 00 00 00|something else than a safetensors file"),
    "cut short": (saved()[:-200], "a zip file or PyTorch file that is cut short"),
}


@pytest.mark.parametrize("suffix", [".pth", ".safetensors", ".pkl"])
@pytest.mark.parametrize("kind", OTHERS)
def test_what_a_file_is_instead_is_said(kind: str, suffix: str, tmp_path: Path) -> None:
    content, said = OTHERS[kind]
    (tmp_path / f"w{suffix}").write_bytes(content)
    with pytest.raises(layouts.Misfit, match=rf"w\{suffix} must be a checkpoint\. Got ({said})"):
        layouts.state_dict(tmp_path / f"w{suffix}")


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("w.pth", save(STATE), r"a safetensors file\. Name it \.safetensors"),
        ("w.safetensors", saved(), r"a PyTorch file\. Name it \.pth"),
        ("w.safetensors", saved(_use_new_zipfile_serialization=False), r"a pickle, .* Name it \.pth"),
        ("w.safetensors", save(STATE)[:20], "something else than a safetensors file, or a part of one"),
        ("w.safetensors", save(STATE)[:-1], r"a damaged or foreign file \(SafetensorError"),
    ],
)
def test_a_checkpoint_under_another_name_or_cut_short(name: str, content: bytes, said: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(layouts.Misfit, match=said):
        layouts.state_dict(tmp_path / name)


@pytest.mark.parametrize("old", [True, False], ids=["pickle", "zip"])
def test_a_damaged_checkpoint_is_refused_in_a_sentence_or_read(old: bool, tmp_path: Path) -> None:
    """Bytes changed, left out and doubled at random: a Misfit each time, or a state dict; never another error."""
    whole, rng, file, refused = saved(_use_new_zipfile_serialization=not old), random.Random(0), tmp_path / "w.pth", 0
    for _ in range(150):
        content = bytearray(whole)
        for _ in range(rng.randint(1, 6)):
            at = rng.randrange(len(content))
            content[at : at + rng.choice((0, 1, 1, 9))] = rng.randbytes(rng.choice((0, 1, 1, 3)))
        file.write_bytes(content)
        try:
            layouts.state_dict(file)
        except layouts.Misfit:  # any other error ends the test
            refused += 1
    assert refused > 50


@pytest.mark.parametrize("length", [0x80, 0x8B1F, 0x180], ids=["a pickle's", "gzip's", "a pickle's again"])
def test_a_header_whose_length_looks_like_a_signature_is_a_safetensors_file(length: int, tmp_path: Path) -> None:
    """A safetensors file begins with the length of its header, lowest byte first: any signature may stand there."""
    whole = save(STATE)
    short = int.from_bytes(whole[:8], "little")
    padded = whole[8 : 8 + short] + b" " * (length - short) + whole[8 + short :]
    (tmp_path / "weights.safetensors").write_bytes(length.to_bytes(8, "little") + padded)
    assert filetypes.something_else(tmp_path / "weights.safetensors") is None
