"""What every specification is: frozen, without unknown keys, and with an identity that decides its cells' keys."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, ClassVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

Share = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0)]
Count = Annotated[int, Field(ge=1)]
Names = Annotated[tuple[str, ...], BeforeValidator(lambda value: (value,) if isinstance(value, str) else value or ())]
"""Several names, of which one alone needs no brackets."""
Sha256 = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


class Spec(BaseModel):
    """Base of all specifications: immutable, and closed to unknown keys."""

    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=(), allow_inf_nan=False)
    later: ClassVar[tuple[str, ...]] = ()
    """Fields added after the first release: left out of keys while they hold their default, so old cells stay."""

    def identity(self, *leave_out: str) -> dict[str, object]:
        """The fields that decide a result, as plain data for a key."""
        full = {k: getattr(self, k) for k in type(self).model_fields if k not in leave_out}
        defaults = {k: type(self).model_fields[k].get_default(call_default_factory=True) for k in self.later}
        return {k: plain_data(v) for k, v in full.items() if k not in defaults or v != defaults[k]}


def plain_data(value: object) -> object:
    """Plain data for a key; what a specification holds leaves out its own `later` fields."""
    if isinstance(value, Spec):
        return value.identity()
    if isinstance(value, Mapping):
        return {k: plain_data(v) for k, v in value.items()}
    return [plain_data(v) for v in value] if isinstance(value, list | tuple) else value


def all_finite(value: object) -> bool:
    """Whether no number in plain data is NaN or infinite: neither has a place in a key."""
    if isinstance(value, Mapping):
        return all(all_finite(v) for v in value.values())
    if isinstance(value, list | tuple):
        return all(all_finite(v) for v in value)
    return not isinstance(value, float) or math.isfinite(value)
