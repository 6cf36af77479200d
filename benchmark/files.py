"""Files that are written whole or not at all, and what is said where they cannot be written."""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from benchmark.config import ConfigError

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

    Raises OSError with the file's own path where there is no room; nothing is left of it then.
    """
    with begun(path) as part:
        part.write_bytes(content.encode() if isinstance(content, str) else content)


def put_tensors(path: Path, tensors: Mapping[str, torch.Tensor], metadata: dict[str, str] | None = None) -> None:
    """Tensors as a safetensors file, as `put` writes one."""
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    with begun(path) as part:
        try:
            save_file(dict(tensors), part, metadata=metadata)
        except SafetensorError as error:
            raise as_system_error(error) from error


_new: list[Path] = []
"""Files that `begun` put where there were none, for `together`."""


@contextmanager
def together() -> Iterator[None]:
    """Where there is no room for one of the files that are put meanwhile, those that are new are taken away again."""
    _new.clear()
    try:
        yield
    except OSError:
        for path in _new:
            with suppress(OSError):
                path.unlink()
        for folder in {path.parent for path in _new}:
            with suppress(OSError):  # what else is in it stays
                folder.rmdir()
        raise
    finally:
        _new.clear()


@contextmanager
def begun(path: Path) -> Iterator[Path]:
    """A name beside `path` to write to; what is there in the end is synced and takes the place of `path`."""
    part = path.with_name(f".{path.name}.{os.getpid()}-{threading.get_ident()}")
    try:
        yield part
        sync(part)
        _new.extend([path] * (not path.exists()))
        part.replace(path)
    except BaseException as error:
        with suppress(OSError):
            part.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.errno is not None:
            raise OSError(error.errno, os.strerror(error.errno), str(path)) from error
        raise
    sync(path.parent)


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
    if full := FULL.get(error.errno):
        return f"files must have a place where they can be written. Got {full}{at}. Make room, or give another folder."
    ours = where is None or (named is not None and named.absolute().is_relative_to(where.absolute()))
    if ours and (closed := CLOSED.get(error.errno)):
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
