"""The package timm, imported without what it takes along: `from benchmark.models.timm_alone import timm`.

It imports wandb where that is installed, and torch's compiler; both make folders where TMPDIR points and leave them
there, in every worker. Nothing here needs either: the first counts as not installed meanwhile, the other's folder goes.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import cast
from unittest import mock

COMPILER = "TORCHINDUCTOR_CACHE_DIR"


@contextmanager
def _leaving_nothing() -> Iterator[None]:
    modules = cast("dict[str, ModuleType | None]", sys.modules)  # None: importing it fails
    without = {} if "wandb" in modules else {"wandb": None}
    with tempfile.TemporaryDirectory() as place, mock.patch.dict(os.environ, {COMPILER: place}):
        modules |= without
        try:
            yield
        finally:
            for name in without:
                del modules[name]


with _leaving_nothing():
    import timm

__all__ = ["timm"]
