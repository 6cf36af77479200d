"""What a method is told of a model: the mapping `model`, and names of before that are still understood."""

from __future__ import annotations

from typing import Any

EARLIER = {"params": "parameters"}
"""A key's name of before, and its name."""


class Metadata(dict[str, Any]):
    """Facts of a model by name (docs/method.md); a fact that is not known has no entry.

    A name of before finds the same fact, though it is not among the keys.
    """

    def __missing__(self, key: str) -> Any:
        if key in EARLIER and EARLIER[key] in self:
            return self[EARLIER[key]]
        raise KeyError(key)

    def get(self, key: str, default: Any = None) -> Any:
        return super().get(EARLIER.get(key, key) if key not in self else key, default)
