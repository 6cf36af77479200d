"""PNG files that carry a digest of what they show, so that an unchanged picture is not drawn again."""

from __future__ import annotations

import hashlib
import io
import json
import zlib
from pathlib import Path
from typing import Any

from benchmark.files import put

VERSION = 2  # raised by hand when the same numbers are drawn differently
MARKS = "osD^vPX*<>ph"


def digest_of(shown: Any) -> str:
    """SHA-256 of what a picture shows: anything that JSON can hold."""
    return hashlib.sha256(json.dumps(shown).encode()).hexdigest()


def shows(path: Path, digest: str) -> bool:
    """Whether an intact picture of the same numbers is there already."""
    return path.is_file() and _digest(path) == digest


def save(figure: Any, path: Path, digest: str) -> None:
    """A matplotlib figure as PNG that holds its digest and neither date nor version."""
    picture = io.BytesIO()
    figure.savefig(picture, format="png", metadata={"Software": None, "Digest": digest})
    put(path, picture.getvalue())


def _digest(path: Path) -> str | None:
    """The text that `draw` left in a PNG under the keyword Digest; None for any other or a damaged file."""
    data = path.read_bytes()
    at = 8
    while at + 12 <= len(data):
        size = int.from_bytes(data[at : at + 4])
        kind, body = data[at + 4 : at + 8], data[at + 8 : at + 8 + size]
        if kind == b"tEXt" and body.startswith(b"Digest\0"):
            return body[7:].decode("latin-1") if _sound(data) else None
        at += 12 + size
    return None


def _sound(data: bytes) -> bool:
    """Whether every chunk's checksum holds and the last one is there."""
    at, kind = 8, b""
    while at + 12 <= len(data):
        size = int.from_bytes(data[at : at + 4])
        kind = data[at + 4 : at + 8]
        if zlib.crc32(data[at + 4 : at + 8 + size]) != int.from_bytes(data[at + 8 + size : at + 12 + size]):
            return False
        at += 12 + size
    return kind == b"IEND"
