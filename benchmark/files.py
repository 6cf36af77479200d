"""Files that are written whole or not at all, and what is said where they cannot be written."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmark.errors import ConfigError
from benchmark.wording import said

if TYPE_CHECKING:
    import torch

FULL = {
    errno.ENOSPC: "a full disk",
    errno.EDQUOT: "a quota that is used up",
    errno.EFBIG: "a limit on the size of files",
    errno.EROFS: "a file system that is read-only",
}
"""Why nothing more can be written there, whatever it is."""
CLOSED = {errno.EACCES: "no permission", errno.EPERM: "no permission", errno.ENOTDIR: "a file in its path"}
CLOSED |= {errno.EISDIR: "a folder of this name", errno.EEXIST: "a file of this name", errno.EIO: "a failing disk"}

CLOSED |= {errno.ENAMETOOLONG: "a name that is too long"}
"""Why one file cannot be read or written."""


def put(path: Path, content: str | bytes) -> None:
    """Write a file whole or not at all, and onto the disk. It starts beside its place: nobody's `clean` takes it.

    Raises OSError with the file's own path where there is no room; nothing is left of it then. Within `together` it
    is written with the others.
    """
    content = content.encode() if isinstance(content, str) else content
    if _waiting.files is not None:
        _waiting.files[path] = content
        return
    with begun(path) as part:
        part.write_bytes(content)


def put_record(path: Path, facts: Mapping[str, object]) -> None:
    """Facts for a later run as JSON, with a checksum of their own, so that `record` notices any damage."""
    held = json.loads(json.dumps({key: value for key, value in facts.items() if key != CHECKSUM}))
    put(path, json.dumps({**held, CHECKSUM: _checksum(held)}, indent=1, sort_keys=True) + "\n")


def record(path: Path, *keys: str, remedy: str = "Delete it: the same command makes it again.") -> dict[str, Any]:
    """The JSON object that a run left in a file, which must hold `keys`. One without a checksum is taken as it is.

    Raises ConfigError with the remedy where the file is damaged.
    """
    try:
        held = json.loads(path.read_bytes())
        if not isinstance(held, dict):
            raise ValueError("no JSON object")
        found = held.pop(CHECKSUM, None)
        if found is not None and found != _checksum(held):
            raise ValueError("another checksum than its own")
        if lacking := [key for key in keys if key not in held]:
            raise ValueError(f"no {lacking[0]}")
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{path} must be as a run left it. Got a damaged file ({said(error)}). {remedy}") from None
    return held


CHECKSUM = "sha256"


def _checksum(held: Mapping[str, object]) -> str:
    return hashlib.sha256(json.dumps(held, sort_keys=True).encode()).hexdigest()


def put_tensors(path: Path, tensors: Mapping[str, torch.Tensor], metadata: dict[str, str] | None = None) -> None:
    """Tensors as a safetensors file, as `put` writes one."""
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    with begun(path) as part:
        try:
            save_file(dict(tensors), part, metadata=metadata)
            ordinary(part)
        except SafetensorError as error:
            raise as_system_error(error) from error


def ordinary(path: Path) -> None:
    """Give a file the mode of any new one: safetensors makes its files readable for their owner alone."""
    like = _beside(path.with_name(f"{path.name}.mode"))
    like.touch()
    path.chmod(like.stat().st_mode)
    like.unlink()


class _Waiting(threading.local):
    """What this thread has put since its `together` began; None outside one."""

    files: dict[Path, bytes] | None = None


_waiting = _Waiting()


@contextmanager
def together() -> Iterator[None]:
    """Files that belong together: what is put meanwhile is held in memory and written at the end, all of it or none.

    Every file is on the disk under another name before the first takes its place. Where there is no room for one, the
    older files stay as they were and nothing of the new ones is left. Within another one, the outer one writes.
    """
    if _waiting.files is not None:
        yield
        return
    _waiting.files = {}
    try:
        yield
        held = _waiting.files
    finally:
        _waiting.files = None
    _put_all(held)


def _put_all(files: Mapping[Path, bytes]) -> None:
    parts: dict[Path, Path] = {}
    try:
        for path, content in files.items():
            parts[path] = _beside(path)
            with _named(path):
                parts[path].write_bytes(content)
                sync(parts[path])
                if path.is_dir():
                    raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        for path, part in parts.items():
            part.replace(path)
    except BaseException:
        for part in parts.values():
            with suppress(OSError):
                part.unlink(missing_ok=True)
        for folder in {path.parent for path in files}:
            with suppress(OSError):  # what else is in it stays
                folder.rmdir()
        raise
    for folder in {path.parent for path in files}:
        sync(folder)


@contextmanager
def begun(path: Path) -> Iterator[Path]:
    """A name beside `path` to write to; what is there in the end is synced and takes the place of `path`."""
    part = _beside(path)
    try:
        with _named(path):
            yield part
            sync(part)
            part.replace(path)
    except BaseException:
        with suppress(OSError):
            part.unlink(missing_ok=True)
        raise
    sync(path.parent)


def _beside(path: Path) -> Path:
    """The name under which a file begins."""
    return path.with_name(f".{path.name}.{os.getpid()}-{threading.get_ident()}")


@contextmanager
def _named(path: Path) -> Iterator[None]:
    """An OSError of what is done meanwhile names the file that was meant."""
    try:
        yield
    except OSError as error:
        if error.errno is None:
            raise
        raise OSError(error.errno, os.strerror(error.errno), str(path)) from error


def sync(path: Path) -> None:
    """Wait until a file's bytes, or a folder's names, are on the disk: a failing power supply does not undo them."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno != errno.EINVAL:  # a file system that syncs no folders
            raise
    finally:
        os.close(handle)


def as_system_error(error: Exception) -> Exception:
    """The system's error that a library has put into words of its own; the error itself where there is none."""
    for number in FULL:
        if os.strerror(number) in str(error) or f"os error {number})" in str(error):
            return OSError(number, os.strerror(number))
    return error


def no_room(error: BaseException, where: Path | None = None) -> str | None:
    """A sentence for an error of the system that forbids writing (a full disk …) or a way to a file; None for another.

    where  what was being written to, named where the error names no file. With it, an error of another kind than a
           full disk counts only for what lies below
    """
    if not isinstance(error, OSError):
        return None
    named = Path(os.fsdecode(error.filename)) if isinstance(error.filename, str | bytes) else None
    at = f" at '{named or where}'" if named or where else ""
    number = error.errno or 0
    if full := FULL.get(number):
        return f"files must have a place where they can be written. Got {full}{at}. Make room, or give another folder."
    ours = where is None or (named is not None and named.absolute().is_relative_to(where.absolute()))
    if ours and (closed := CLOSED.get(number)):
        return f"files must be where they can be read and written. Got {closed}{at}. Give another path."
    return None


def writable(path: Path, folder: bool, name: str = "out") -> None:
    """ConfigError where a path cannot become a folder (or a file) that is written to; nothing is made."""
    kind, other = ("folder", "file") if folder else ("file", "folder")
    if path.exists() and path.is_dir() != folder:
        raise ConfigError(f"{name} must be a {kind}. Got the {other} '{path}'. Give another path.")
    place = next(p for p in (path.absolute(), *path.absolute().parents) if p.exists())
    if not (place.is_dir() or place == path.absolute()):
        raise ConfigError(f"{name} must lie in a folder. Got '{path}' below the file '{place}'. Give another path.")
    if not os.access(place, os.W_OK):
        raise ConfigError(f"{name} must be where files may be written. Got '{path}'. Give another path.")


def digest(path: Path) -> str:
    """SHA-256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def file_digest(path: Path) -> str:
    """The same of a file from outside, which is read once a process unless its size or time of change differ."""
    facts = path.stat()
    return _digest_once(str(path), facts.st_size, facts.st_mtime_ns)


@cache
def _digest_once(path: str, _size: int, _modified: int) -> str:
    return digest(Path(path))
