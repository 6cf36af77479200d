"""Dotted paths that adapters and networks once had: configurations may go on saying them, and keys of cells hold them.

A cell is found under the hash of what made it. If that held where code lies today, moving a module would orphan all
that was computed with it, so what a configuration names has one name for ever: its first one.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache

FIRST_NAMES = {
    "benchmark.data.embedded": "benchmark.embedded",
    "benchmark.data.parquet.parquet": "benchmark.packs.parquet",
    "benchmark.data.parquet.shards": "benchmark.hub.shards",
    "benchmark.data.folder.image_folder": "benchmark.packs.image_folder",
    "benchmark.data.datasets": "benchmark.datasets",
    "benchmark.data.hub.huggingface": "benchmark.hub.huggingface",
    "benchmark.data.user.adapter.images": "benchmark.userdata.images",
    "benchmark.models.networks": "benchmark.networks",
}
"""Where a function, or a module's, lies now: the name under which its results are kept."""


def first_name(path: str) -> str:
    """The name that stands in keys for a dotted path of today; that of anybody else's code is its path."""
    return _renamed(path, FIRST_NAMES.items())


@cache
def current(path: str) -> str:
    """The dotted path of today for one that a configuration was once written with."""
    return _renamed(path, ((old, new) for new, old in FIRST_NAMES.items()))


def _renamed(path: str, pairs: Iterable[tuple[str, str]]) -> str:
    for one, other in pairs:
        if path == one or path.startswith(f"{one}."):
            return other + path[len(one) :]
    return path
