"""What estimators raised, told once a method: how often, on what, and the first traceback."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from benchmark.cells.plan import Plan
from benchmark.cells.store import Store

if TYPE_CHECKING:
    from benchmark.tables.gather import Tables


@dataclass
class Failures:
    """One method's over all transfers and draws.

    tried    scores that it was asked for, without those that it says it does not apply to
    first    the first failure: where, the reason, what the method was given, the traceback, and the file that keeps it
    """

    method: str
    tried: int = 0
    failed: int = 0
    first: Mapping[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        """A sentence; the traceback as well where every score failed."""
        first = self.first
        lead = f"{self.method} failed in {self.failed} of {self.tried} scores, first on {first['where']}"
        given = f"It was given {first['given']}." if first["given"] else ""
        if self.failed < self.tried:
            kept = f"The traceback is in {first['file']}." if first["traceback"] and first["file"] else ""
            return " ".join(part for part in (f"{lead}: {first['reason'].rstrip('.')}.", given, kept) if part)
        return f"{lead}. {given}".rstrip() + f"\n{first['traceback'] or first['reason']}".rstrip()


def failures(
    made: Plan, store: Store, failed: Mapping[str, str], columns: Sequence[Mapping[str, str]], tables: Tables
) -> list[Failures]:
    """The methods that raised an exception, by their columns, in the order of the plan.

    failed   cells of which nothing is stored: they are told elsewhere
    columns  each transfer's names of its methods, as for `benchmark.tables.gather.gather`, which made the tables
    """
    found: dict[str, Failures] = {}
    rows = tables.status.query("Stage == 'score' and Status == 'failed'")
    raising = set(rows["Method"])  # of the others, no cell is read again
    for transfer, names in zip(made.transfers, columns, strict=True):
        for method, key in transfer.scores.items():
            if key in failed or names[method] not in raising:
                continue
            entry, one = store.read("score", key), found.setdefault(names[method], Failures(names[method]))
            status = entry.values["status"]
            one.tried += len(status) - status.count("not_applicable")
            one.failed += status.count("failed")
            if "failed" in status and not one.first:
                number = status.index("failed")
                kept, file = entry.record.get("failure", {}), entry.files["record.json"]  # older ones have no failure
                one.first = {
                    "where": f"{transfer.model.name} → {transfer.target.name}, probe draw {number}",
                    "reason": entry.values["reasons"][number],
                    "given": kept.get("given", ""),
                    "traceback": kept.get("traceback", ""),
                    "file": "" if isinstance(file, bytes) else str(file),
                }
    return [one for one in found.values() if one.failed]
