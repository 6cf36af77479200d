"""What an estimator returns: a float that says how far it can be trusted.

Every estimator of this package is maximised: a higher score predicts a higher accuracy after fine-tuning.
"""

from collections.abc import Mapping
from types import MappingProxyType

STATUSES = ("ok", "degenerate", "insufficient", "not_applicable")
_NO_PARTS: Mapping[str, float] = MappingProxyType({})


class Score(float):
    """A float with a status, a reason, and the parts that a score over a whole bank combines later.

    status  ok              the number means what the method's definition says
            degenerate      computed, but vacuous or undefined on these inputs (the same for every model, 0/0, ...)
            insufficient    too few images or classes; the value is NaN
            not_applicable  the method does not take such labels or lacks an input; the value is NaN
    reason  one clause for people; may stand beside `ok` as a remark
    parts   named components in their native scale, for example of NCTI; empty for most methods

    Arithmetic gives plain floats. Raises ValueError for an unknown status and for NaN or infinity called ok.
    """

    __slots__ = ("parts", "reason", "status")

    status: str
    reason: str
    parts: Mapping[str, float]

    def __new__(
        cls, value: float, status: str = "ok", reason: str = "", parts: Mapping[str, float] | None = None
    ) -> "Score":
        if status not in STATUSES:
            raise ValueError(f"status must be one of {', '.join(STATUSES)}. Got {status!r}.")
        if status == "ok" and not abs(float(value)) < float("inf"):
            raise ValueError(f"value must be finite where status is ok. Got {float(value)}. Name the status.")
        self = super().__new__(cls, value)
        self.status = status
        self.reason = reason
        self.parts = _NO_PARTS if parts is None else MappingProxyType(dict(parts))
        return self

    @property
    def ok(self) -> bool:
        """Whether the number means what the definition says."""
        return self.status == "ok"

    def __repr__(self) -> str:
        if self.ok and not self.reason:
            return f"Score({float(self)!r})"
        return f"Score({float(self)!r}, {self.status!r}, {self.reason!r})"

    def __str__(self) -> str:
        return float.__repr__(self)

    def __reduce__(self) -> tuple[type["Score"], tuple[float, str, str, dict[str, float]]]:
        return Score, (float(self), self.status, self.reason, dict(self.parts))


def degenerate(reason: str, value: float = float("nan")) -> Score:
    """A score that exists but says nothing about the model; `value` where the definition gives one."""
    return Score(value, "degenerate", reason)


def insufficient(reason: str) -> Score:
    """NaN: there are too few images or classes for this method."""
    return Score(float("nan"), "insufficient", reason)


def not_applicable(reason: str) -> Score:
    """NaN: the method does not take such labels, or lacks an input that it needs."""
    return Score(float("nan"), "not_applicable", reason)
