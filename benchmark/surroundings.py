"""The process that a command runs in: which encoding its streams have, how many threads numerical libraries take."""

from __future__ import annotations

import logging
import sys
from typing import TextIO

THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS")
"""What tells numerical libraries how many threads to use; each reads it once, when it is loaded."""


def prepare() -> None:
    """Called once by every command."""
    for stream in (sys.stdout, sys.stderr):
        legible(stream)
    logging.getLogger("matplotlib").setLevel(logging.ERROR)  # a home that cannot be written to is three lines to it


def legible(stream: TextIO) -> None:
    """Any character can be printed: as UTF-8 where ASCII was all, as Python does in C's locale; else `?` for some."""
    encoding = (getattr(stream, "encoding", None) or "utf-8").lower()
    if not encoding.startswith("utf") and hasattr(stream, "reconfigure"):
        plain = encoding in ("ascii", "us-ascii", "ansi_x3.4-1968", "646")
        stream.reconfigure(encoding="utf-8" if plain else None, errors="replace")
