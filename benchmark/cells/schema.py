"""Of which version a cache's cells are: a small file says it, so that an older program does not misread them."""

from __future__ import annotations

import json
from pathlib import Path

from benchmark.cells.contents import MALFORMED, SCHEMA
from benchmark.errors import ConfigError
from benchmark.files import put


def check_schema(cache: Path) -> None:
    """ConfigError for a cache of a newer version, and for one that does not say of which it is."""
    marker = cache / "schema.json"
    try:
        schema = json.loads(marker.read_text(encoding="utf-8"))["schema"]
        if type(schema) is not int:
            raise ValueError(f"schema is {schema!r}")
    except (FileNotFoundError, NotADirectoryError):  # a new cache, or no folder, which is said on writing
        return
    except MALFORMED as error:
        said = str(error) or type(error).__name__
        raise ConfigError(
            f'{marker} must be {{"schema": <number>}}. Got a damaged file ({said}). Delete it: every cell says of '
            "which schema it is. Or take another folder as paths.cache."
        ) from None
    if schema > SCHEMA:
        raise ConfigError(
            f"paths.cache must be of schema {SCHEMA} or older. Got a newer one. Update, or take another folder."
        )


def mark_schema(cache: Path) -> None:
    """Note in a cache that is new of which version it is."""
    marker = cache / "schema.json"
    if not marker.exists():
        put(marker, json.dumps({"schema": SCHEMA}))
