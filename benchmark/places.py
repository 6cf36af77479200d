"""Where what comes with the project is found: `conf/` and the parts of `results/` that commands read.

In a checkout they lie beside the code; setup.py puts a copy of them into a wheel, in benchmark/shipped. Every other
relative path, given or default, is relative to the folder from which a command is called: cache, outputs and data too.
"""

from __future__ import annotations

from pathlib import Path

PACKAGE = Path(__file__).resolve().parent
INSTALLED = PACKAGE / "shipped"
ROOT = INSTALLED if INSTALLED.is_dir() else PACKAGE.parent


def shipped(path: str) -> Path:
    """The place of a file or folder of the project, for instance conf; it need not exist in a broken installation."""
    return ROOT / path
