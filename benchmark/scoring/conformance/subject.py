"""An estimator under examination: run on arrays, its outcome compared with that of another run."""

from __future__ import annotations

import dataclasses
import inspect
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal, SupportsFloat

import numpy as np

from benchmark.config.functions import ARRAYS, TRAINEE
from benchmark.scoring.conformance.trainees import made_up
from benchmark.scoring.score import classes_of
from benchmark.wording import one_line
from methods.shared.capabilities import Capabilities, capabilities
from methods.shared.linalg import Features
from methods.shared.score import STATUSES

Verdict = Literal["ok", "deviates", "fails"]
Arrays = dict[str, Any]
"""A probe by the names of `benchmark.config.functions.ARRAYS`: arrays, and a model's facts as a mapping."""
SAME = 1e-6  # relative difference that counts as rounding: eigenvectors and line searches amplify the last bit
NEAR = 1e-3  # up to here an iteration that stops early explains it
KNOWN = {f"target {t}": {name: 60.0 + 5 * t + i for i, name in enumerate(("checked", "other"))} for t in range(3)}
"""Made-up accuracies on other targets, for methods that learn from such: of the probes' model and another."""
SEEDS = 5  # of a method that draws: the range of its values is what a permutation may move


@dataclass(frozen=True)
class Finding:
    """One check: `deviates` is worth knowing and explained in `text`; `fails` makes the numbers untrustworthy.

    What an estimator declares to deviate in (`methods.shared.capabilities`), with the reason, is `expected`.
    """

    check: str
    verdict: Verdict
    figure: str = ""
    text: str = ""
    expected: bool = False


@dataclass(frozen=True)
class Outcome:
    """What one call returned: a value with its status, or the exception; and which inputs it wrote to."""

    value: float = float("nan")
    status: str = "ok"
    reason: str = ""
    error: BaseException | None = None
    changed: tuple[str, ...] = ()

    @property
    def complaint(self) -> str:
        """Why this is no usable answer; empty for a finite score and for a named status."""
        if self.error is not None:
            return f"raises {one_line(f'{type(self.error).__name__}: {self.error}', 120)}"
        if self.status not in STATUSES:
            return f"status {self.status!r} is unknown"
        if self.status == "ok" and not np.isfinite(self.value):
            return f"{self.value} without a status"
        return ""

    def __str__(self) -> str:
        shown = f"{self.value:.6g}"
        return shown if self.status == "ok" else f"{self.status} ({shown})"


@dataclass(frozen=True)
class Subject:
    """An estimator under examination, with its parameters fixed."""

    name: str
    function: Callable[..., SupportsFloat]
    parameters: Mapping[str, object] = field(default_factory=dict)

    @cached_property
    def needs(self) -> tuple[str, ...]:
        """Arrays that the function takes, by name."""
        names = inspect.signature(self.function).parameters
        return tuple(a for a in ARRAYS if a in names and a not in self.parameters)

    @property
    def declared(self) -> Capabilities | None:
        return capabilities(self.function)

    @property
    def of_images(self) -> bool:
        """Whether it looks at the target's images at all."""
        return bool({"features", "source_probs", "source_logits", "network", "images"} & set(self.needs))

    @property
    def sees_features(self) -> bool:
        """Whether it looks at the probe's features, or at images that show them (`trainees`)."""
        return bool({"features", "images"} & set(self.needs))

    @property
    def of_classes(self) -> bool:
        """Whether its labels are classes; else they are real numbers, whose values matter."""
        return self.declared is None or self.declared.labels != ("regression",)

    def run(self, arrays: Arrays, shared: Features | None = None, **changed: object) -> Outcome:
        """One call on copies of the arrays, so that writing to them shows and does no harm."""
        own = {**{k: _copy(arrays[k]) for k in self.needs if k in arrays}, "seed": 0, **changed}
        if "known" in self.needs:
            own.setdefault("known", {k: dict(v) for k, v in KNOWN.items()})
        if not TRAINEE.isdisjoint(self.needs):
            own |= made_up(arrays["features"], classes_of(arrays["labels"]))
        labels = own.get("labels")
        own["n_classes"] = classes_of(labels) if isinstance(labels, np.ndarray) else None
        before = {k: _copy(v) for k, v in own.items()}
        given = own | ({"features": shared} if shared is not None else {})
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            try:
                result = self.function(**{k: given[k] for k in self.needs}, **self.parameters)
                value = float(result)
            except (Exception, SystemExit) as error:  # a crash is a finding
                return Outcome(error=error, changed=_differing(own, before))
        status, reason = getattr(result, "status", "ok"), getattr(result, "reason", "") or ""
        return Outcome(value, str(status), str(reason), changed=_differing(own, before))


def as_declared(subject: Subject, finding: Finding) -> Finding:
    """The finding, marked as expected where the estimator declares that it deviates there, and why."""
    known = subject.declared.deviates.get(finding.check, "") if subject.declared else ""
    if finding.verdict != "deviates" or not known:
        return finding
    return dataclasses.replace(finding, text=f"{finding.text}; as declared: {known}", expected=True)


def overall(findings: list[Finding]) -> Verdict:
    """The worst verdict."""
    verdicts = {f.verdict for f in findings}
    return "fails" if "fails" in verdicts else "deviates" if "deviates" in verdicts else "ok"


def withstands(subject: Subject, name: str, arrays: Arrays) -> Finding:
    outcome = subject.run(arrays)
    text = outcome.complaint or (outcome.reason if outcome.status != "ok" else "")
    return Finding(name, "fails" if outcome.complaint else "ok", str(outcome) if not outcome.error else "", text)


def compare_runs(subject: Subject, check: str, a: Arrays, b: Arrays, text: str = "", slack: float = 0.0) -> Finding:
    return judge(check, subject.run(a), subject.run(b), text, slack)


def judge(check: str, a: Outcome, b: Outcome, text: str, slack: float) -> Finding:
    """Whether two outcomes are the same; slack is the relative range that the seed alone moves the value by."""
    if a.complaint or b.complaint:
        return Finding(check, "fails", "", a.complaint or b.complaint)
    if a.status != b.status:
        return Finding(check, "fails", f"{a} / {b}", f"status {a.status} becomes {b.status}")
    gap = relative_difference(a.value, b.value)
    verdict: Verdict = "ok" if gap <= max(SAME, 2 * slack) else "deviates" if gap <= NEAR else "fails"
    return Finding(check, verdict, f"{gap:.1e}", text if verdict == "ok" else f"{a} becomes {b}")


def compared(subject: Subject, check: str, runs: list[dict[str, Outcome]], text: str) -> Finding:
    """Whether runs of one estimator on the same probes came to the same outcomes: the worst of the probes."""
    drawn = subject.declared is not None and not subject.declared.deterministic
    found = []
    for name in runs[0]:
        here = [run[name] for run in runs]
        if any(outcome.complaint for outcome in here) or len({outcome.status for outcome in here}) > 1:
            odd = next((o for o in here if o.complaint or o.status != here[0].status), here[0])
            found.append(dataclasses.replace(judge(check, here[0], odd, text, 0.0), text=f"{name}: {here[0]} / {odd}"))
            continue
        low, high = min(here, key=lambda o: o.value), max(here, key=lambda o: o.value)
        judged = judge(check, low, high, text, 0.0)
        known = drawn or (subject.declared is not None and check in subject.declared.deviates)
        verdict: Verdict = "deviates" if known and judged.verdict == "fails" else judged.verdict
        found.append(
            dataclasses.replace(judged, verdict=verdict, text=text if verdict == "ok" else f"{name}: {judged.text}")
        )
    return as_declared(subject, worst_of(found))


def explained(finding: Finding) -> bool:
    return bool(finding.figure) and "/" not in finding.figure


def worst_of(findings: list[Finding]) -> Finding:
    order = ("ok", "deviates", "fails")
    return max(findings, key=lambda f: (order.index(f.verdict), _number(f.figure)))


def _number(figure: str) -> float:
    try:
        return float(figure)
    except ValueError:
        return 0.0


def relative_difference(a: float, b: float) -> float:
    if repr(a) == repr(b) or (np.isnan(a) and np.isnan(b)):
        return 0.0
    return abs(a - b) / max(abs(a), abs(b), 1e-9)


def spread_over_seeds(subject: Subject, arrays: Arrays) -> float:
    """Relative range of the value over seeds; 0 for what takes no seed."""
    if "seed" not in subject.needs:
        return 0.0
    values = [subject.run(arrays, seed=seed).value for seed in range(SEEDS)]
    return float(np.ptp(values) / max(np.abs(values).max(), 1e-9)) if np.isfinite(values).all() else 0.0


def _copy(value: object) -> object:
    return value.copy() if isinstance(value, np.ndarray | dict) else value


def _differing(a: Mapping[str, object], b: Mapping[str, object]) -> tuple[str, ...]:
    return tuple(k for k, v in a.items() if not _equal(v, b[k]))


def _equal(one: object, other: object) -> bool:
    if isinstance(one, np.ndarray) and isinstance(other, np.ndarray):
        return np.array_equal(one, other, equal_nan=one.dtype.kind == "f")
    return one == other
