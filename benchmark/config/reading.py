"""How a user's folder or table is to be read, where it cannot be seen."""

from __future__ import annotations

from benchmark.config.spec import Spec

Names = str | int | tuple[str | int, ...] | None


class SplitSpec(Spec):
    """Which folders, or which values of a table's column, are for training and which for testing.

    Where only one of both is named, the rest is the other.
    """

    train: Names = None
    test: Names = None
    column: str | None = None

    @property
    def given(self) -> dict[str, str | int | list[str | int]]:
        """What is given, as plain data."""
        held = {name: getattr(self, name) for name in type(self).model_fields}
        return {k: list(v) if isinstance(v, tuple) else v for k, v in held.items() if v is not None}
