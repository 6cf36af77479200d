"""What a file is that was taken for a checkpoint and is none: told from its first bytes, in words."""

from __future__ import annotations

import re
import zipfile
from pathlib import Path


def begins(file: Path, count: int) -> bytes:
    """The first bytes of a file."""
    with file.open("rb") as stream:
        return stream.read(count)


_SIGNATURES = (
    (b"version https://git-lfs", "a pointer of git-lfs. Fetch what it points to with `git lfs pull`"),
    (b"\x89HDF\r\n", "an HDF5 file (Keras?). Convert it to a PyTorch state dict"),
    (b"\x93NUMPY", "a NumPy array. Save a PyTorch state dict"),
    (b"\x1f\x8b", "a file compressed with gzip. Unpack it"),
    (b"BZh", "a file compressed with bzip2. Unpack it"),
    (b"\xfd7zXZ", "a file compressed with xz. Unpack it"),
    (b"\x28\xb5\x2f\xfd", "a file compressed with zstd. Unpack it"),
    (b"7z\xbc\xaf", "a 7z archive. Unpack it"),
    (b"Rar!", "a RAR archive. Unpack it"),
    (b"GGUF", "a GGUF file. Take the PyTorch weights of the model"),
    (b"%PDF", "a PDF document. Get the file anew"),
    (b"\x89PNG", "a picture. Get the file anew"),
    (b"\xff\xd8\xff", "a picture. Get the file anew"),
)


def something_else(file: Path, suffix: str | None = None) -> str | None:
    """What a file is that is no checkpoint of the kind that its name promises, and what to do; None where it may be."""
    suffix = suffix or file.suffix
    size, start = file.stat().st_size, begins(file, 512)
    if not size:
        return "an empty file. Get it anew"
    # First: a safetensors file begins with the length of its header, which may look like any other signature.
    safe = size > 8 and start[8:9] == b"{" and int.from_bytes(start[:8], "little") < size
    for signature, is_a in () if safe else _SIGNATURES:
        if start.startswith(signature):
            return is_a
    if start[257:262] == b"ustar":
        return "a tar archive. Unpack it"
    if start[:4] == b"PK\x03\x04":
        return _zipped(file, suffix)
    if suffix == ".safetensors":
        if start[:1] == b"\x80" and not safe:
            return "a pickle, as PyTorch used to save. Name it .pth"
        return None if safe else _text(start) or "something else than a safetensors file, or a part of one. Get it anew"
    if safe:
        return "a safetensors file. Name it .safetensors"
    return (
        None
        if start[:1] == b"\x80"
        else _text(start) or f"a file that begins with the bytes {start[:4].hex(' ')}. Get it anew"
    )


def _zipped(file: Path, suffix: str) -> str | None:
    """What a zip file is that is not PyTorch's: torch.save writes <name>/data.pkl into one."""
    try:
        with zipfile.ZipFile(file) as archive:
            names = archive.namelist()
    except zipfile.BadZipFile:
        return "a zip file or PyTorch file that is cut short. Get it anew"
    if any(name.endswith("/constants.pkl") for name in names):
        return "a TorchScript program. Save the network's state_dict() instead"
    if any(name.endswith("/data.pkl") for name in names):
        return "a PyTorch file. Name it .pth" if suffix == ".safetensors" else None
    shown = ", ".join(names[:3]) + (" …" if len(names) > 3 else "")
    return f"a zip file of {shown or 'nothing'}. Unpack it"


def _text(start: bytes) -> str | None:
    words = start.removeprefix(b"\xef\xbb\xbf").lstrip()
    if re.match(rb"<!doctype html|<html|<head|<body", words, re.IGNORECASE):
        return "an HTML page, perhaps a login or an error. Download the file itself"
    said = words.decode(errors="ignore")
    if len(said.encode()) < len(words) - 3 or not all(c.isprintable() or c in "\n\r\t" for c in said):
        return None  # three bytes: the last character may be cut
    return f"text ({(said.splitlines() or [''])[0][:40]!r}). Get the file itself"
