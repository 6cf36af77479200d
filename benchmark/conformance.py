"""What an estimator must withstand before its numbers are believed, tried on small made-up probes.

`examine` takes any function that takes arrays by the names of `benchmark.config.ARRAYS` and returns one finding a
check. A function with declared capabilities (`methods.capabilities.estimator`) is held to what it declares; a
stranger's plain function of features and labels to what any table needs. Nothing is printed here.
"""

from __future__ import annotations

import dataclasses
import inspect
import time
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

import numpy as np
from scipy import special

from benchmark.config import ARRAYS
from benchmark.score import classes_of, shares
from benchmark.wording import one_line
from methods.capabilities import INVARIANCES, Capabilities, capabilities
from methods.linalg import Features
from methods.score import STATUSES

Verdict = Literal["ok", "deviates", "fails"]
Arrays = dict[str, Any]

SAME = 1e-6  # relative difference that counts as rounding: eigenvectors and line searches amplify the last bit
NEAR = 1e-3  # up to here an iteration that stops early explains it
SEEDS = 5  # of a method that draws: the range of its values is what a permutation may move
SLOW = 100.0  # shared factorisations that a score may take before its cost is remarked upon


@dataclass(frozen=True)
class Finding:
    """One check: `deviates` is worth knowing and explained in `text`; `fails` makes the numbers untrustworthy.

    What an estimator declares to deviate in (`methods.capabilities`), with the reason, is `expected`.
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
    function: Callable[..., Any]
    parameters: Mapping[str, Any] = field(default_factory=dict)

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
        return bool({"features", "source_probs", "source_logits"} & set(self.needs))

    @property
    def of_classes(self) -> bool:
        """Whether its labels are classes; else they are real numbers, whose values matter."""
        return self.declared is None or self.declared.labels != ("regression",)

    def run(self, arrays: Arrays, shared: Features | None = None, **changed: Any) -> Outcome:
        """One call on copies of the arrays, so that writing to them shows and does no harm."""
        own = {k: _copy(arrays[k]) for k in self.needs if k in arrays} | {"seed": 0} | changed
        own |= {"n_classes": None if own.get("labels") is None else classes_of(own["labels"])}
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


def examine(
    function: Callable[..., Any], name: str = "", parameters: Mapping[str, Any] | None = None, timed: bool = True
) -> list[Finding]:
    """All checks that apply to the function, in order; `timed` adds what it costs.

    Raises ValueError where it takes no array by a known name.
    """
    subject = Subject(name or getattr(function, "__name__", "score"), function, parameters or {})
    if not set(subject.needs) - {"seed", "n_classes"}:
        raise ValueError(
            f"{subject.name} must take its inputs by name: {', '.join(ARRAYS)}. "
            f"Got parameters {', '.join(inspect.signature(function).parameters) or 'none'}."
        )
    found = []
    for check in CHECKS if timed else CHECKS[:-1]:
        result = check(subject)
        found += result if isinstance(result, list) else [result] if result else []
    return [as_declared(subject, finding) for finding in found]


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


# --- probes -----------------------------------------------------------------------------------------------------------


def probe(n: int = 96, d: int = 16, c: int = 4, separation: float = 0.5, seed: int = 0, z: int = 12) -> Arrays:
    """A made-up probe: Gaussian classes in columns of different scale, off the origin, classes dealt out in rounds.

    separation  of the class means, in standard deviations of the noise
    """
    rng = np.random.default_rng([seed, n, d, c])
    labels = np.arange(n) % c
    scales = np.exp(rng.normal(scale=0.5, size=d))
    features = (rng.normal(size=(n, d)) + separation * rng.normal(size=(c, d))[labels]) * scales + 1.0
    logits = rng.normal(size=(n, z)) + 1.5 * separation * rng.normal(size=(c, z))[labels]
    return {
        "features": features,
        "labels": labels,
        "source_logits": logits,
        "source_probs": special.softmax(logits, axis=1),
        "reference_features": 0.5 * rng.normal(size=(n, d + 3)) + 2.0 * rng.normal(size=(c, d + 3))[labels],
        "model": {
            "name": "checked", "arch": "resnet18", "layers": 18, "params": 11_000_000, "source": "made-up",
            "source_size": 5000, "source_accuracy": 70.0, "target": "probe", "target_size": n, "feature_dim": d,
        },
    }  # fmt: skip


def rows(arrays: Arrays, index: np.ndarray) -> Arrays:
    """The same probe with these images, in this order."""
    return {k: v[index] if isinstance(v, np.ndarray) else v for k, v in arrays.items()}


def ordinary() -> dict[str, Arrays]:
    """One probe with more images than features, one with fewer."""
    return {"n > d": probe(), "n < d": probe(n=48, d=120, seed=1)}


def repeated() -> dict[str, Arrays]:
    """Probes whose first, middle and last images occur again beside themselves and at the other end.

    Exactly, or nearly: features off by 1e-9 of themselves. With the label of the image, or that of another class.
    """
    found = {}
    for name, arrays in ordinary().items():
        n = len(arrays["labels"])
        middle, last = n // 2, n - 1
        order = np.r_[last, 0, 0, 1 : middle + 1, middle, middle + 1 : n, last, 0]
        copies = np.array([0, 2, middle + 3, n + 2, n + 3])
        for close, by in (("exact", 0.0), ("near", 1e-9)):
            for same in (True, False):
                probe = rows(arrays, order)
                noise = 1.0 + by * np.random.default_rng(7).normal(size=(len(copies), probe["features"].shape[1]))
                probe["features"][copies] *= noise
                if not same:
                    probe["labels"][copies] = (probe["labels"][copies] + 1) % 4
                label = "same class" if same else "another class"
                found[f"{close} duplicates, {label}, {name}"] = probe
    return found


def twins() -> dict[str, Arrays]:
    """Probes of which two classes hold the same images, so that nothing can tell them apart."""
    found = {}
    for name, arrays in ordinary().items():
        n = len(arrays["labels"])
        found[f"twin classes, {name}"] = rows(arrays, np.arange(n) - (np.arange(n) % 4 == 1)) | {
            "labels": arrays["labels"]
        }
    return found


# --- checks: each returns a finding, several, or None where it does not apply -----------------------------------------


def defined(subject: Subject) -> list[Finding]:
    """A number where there are many images, a number or a named status where there are fewer than dimensions."""
    found = []
    for name, arrays in ordinary().items():
        outcome = subject.run(arrays)
        verdict: Verdict = "fails" if outcome.complaint else "ok"
        if name == "n > d" and not outcome.complaint and outcome.status != "ok":
            verdict = "fails"
        found.append(Finding(name, verdict, str(outcome), outcome.complaint or outcome.reason))
    return found


def unchanged(subject: Subject) -> Finding:
    """Inputs keep their bytes."""
    changed = {k for arrays in ordinary().values() for k in subject.run(arrays).changed}
    return Finding("inputs unchanged", "fails" if changed else "ok", "", _list("writes to", changed))


def deterministic(subject: Subject) -> list[Finding]:
    """Equal inputs, and an equal seed, give equal bits."""
    outcomes = [subject.run(probe()) for _ in range(2)]
    same = repr(outcomes[0].value) == repr(outcomes[1].value)
    gap = f"{_relative(outcomes[0].value, outcomes[1].value):.1e}"
    found = [Finding("determinism", "ok" if same else "fails", "" if same else gap, "" if same else "two calls differ")]
    spread = _spread(subject, probe())
    if spread:
        noisy = subject.declared is None or not subject.declared.deterministic
        text = "range over seeds / value" if noisy else "declared deterministic, yet the seed matters"
        found.append(Finding("seeds", "ok" if noisy else "fails", f"{spread:.1e}", text))
    return found


def row_order(subject: Subject) -> Finding | None:
    """The order of the images is no information, unless the method's split is declared to go by it."""
    if not subject.of_images:
        return None
    found = []
    for arrays in ordinary().values():
        order = np.random.default_rng(3).permutation(len(arrays["labels"]))
        found.append(_compare(subject, "row order", arrays, rows(arrays, order), slack=_spread(subject, arrays)))
    worst = _worst(found)
    if worst.verdict != "ok" and subject.declared is not None and subject.declared.ordered:
        return dataclasses.replace(worst, verdict="ok", text="goes by the order of the images, as declared")
    return worst


def duplicates(subject: Subject) -> list[Finding]:
    """Images that occur twice, exactly or nearly, wherever they stand: a score, and the same one in any order."""
    if not subject.of_images:
        return []
    ordered = subject.declared is not None and subject.declared.ordered
    several = subject.declared is not None and "multi" in subject.declared.labels
    worst: dict[str, list[Finding]] = {"exact duplicates": [], "near duplicates": []}
    for name, arrays in repeated().items():
        check = f"{name.split()[0]} duplicates"
        cases = [arrays]
        if several and subject.of_classes:
            hot = np.eye(4, dtype=np.int64)[arrays["labels"]]
            hot[::3, 0] = 1
            cases.append(arrays | {"labels": hot})
        for case in cases:
            before = subject.run(case)
            if ordered or before.complaint:
                worst[check].append(_judged(check, before, before, name, 0.0))
                continue
            after = subject.run(rows(case, np.random.default_rng(3).permutation(len(case["labels"]))))
            worst[check].append(_judged(check, before, after, "", _spread(subject, case)))
    return [_worst(found) for found in worst.values()]


def relabelling(subject: Subject) -> list[Finding] | None:
    """Class ids are names: other ids, gaps between them and text give the same score."""
    if "labels" not in subject.needs or not subject.of_classes:
        return None
    arrays = probe()
    names = np.array([2, 0, 3, 1])
    slack = _spread(subject, arrays)
    swapped = _compare(
        subject, "relabelling", arrays, arrays | {"labels": names[arrays["labels"]]}, "class ids permuted", slack
    )
    gaps = _compare(
        subject, "gaps in ids", arrays, arrays | {"labels": 7 * arrays["labels"] + 3}, "ids 3, 10, 17, 24", slack
    )
    if gaps.verdict == "fails" and subject.declared is None:
        gaps = dataclasses.replace(gaps, verdict="deviates", text=f"needs ids 0..c-1; {gaps.text}")
    return [swapped, gaps]


def float32(subject: Subject) -> Finding | None:
    """Features in single precision are computed with in double."""
    if "features" not in subject.needs:
        return None
    single = probe()
    single["features"] = single["features"].astype(np.float32)
    double = single | {"features": single["features"].astype(np.float64)}
    found = _compare(subject, "float32", double, single, "the same values in single precision")
    return dataclasses.replace(found, verdict="deviates") if found.verdict == "fails" and _explained(found) else found


def awkward(subject: Subject) -> list[Finding]:
    """Images that any real probe may hold: a number or a named status, never an exception or a bare NaN."""
    if not subject.of_images:
        return []
    ordinary, few = probe(), probe(n=48, d=120, seed=1)
    twice = np.r_[np.arange(96), np.arange(20)]
    alone = np.flatnonzero((ordinary["labels"] > 0) | (np.arange(96) == 0))
    cases = {"twenty images twice": rows(ordinary, twice), "one image in a class": rows(ordinary, alone)}
    if "features" in subject.needs:
        for name, arrays in (("constant columns", ordinary), ("constant columns, n < d", few)):
            n = len(arrays["labels"])
            constant = np.c_[arrays["features"], np.zeros((n, 2)), np.full((n, 2), 3.7)]
            cases[name] = arrays | {"features": constant}
        sparse = np.maximum(ordinary["features"] - 2.5, 0.0)
        cases["mostly zeros"] = ordinary | {"features": sparse}
        for scale in (1e-20, 1e20):
            cases[f"scale {scale:.0e}"] = ordinary | {"features": scale * ordinary["features"]}
    if "source_probs" in subject.needs:
        certain = np.eye(12)[ordinary["source_probs"].argmax(axis=1)]
        cases["certain source head"] = ordinary | {"source_probs": certain, "source_logits": 1000.0 * certain}
    return [_withstands(subject, name, arrays) for name, arrays in cases.items()]


def extreme(subject: Subject) -> list[Finding]:
    """Images that say nothing. What declares its capabilities must name the status; a stranger's NaN is remarked."""
    if not subject.of_images:
        return []
    ordinary = probe()
    cases = {f"{n} images": rows(ordinary, np.arange(n)) for n in (1, 2, 3)}
    if "labels" in subject.needs:
        cases["one class"] = ordinary | {"labels": np.zeros(96, dtype=np.int64)}
        cases["a class an image"] = ordinary | {"labels": np.arange(96)}
    if "features" in subject.needs:
        cases["constant features"] = ordinary | {"features": np.full((96, 16), 0.1)}
        cases["zero features"] = ordinary | {"features": np.zeros((96, 16))}
    found = [_withstands(subject, name, arrays) for name, arrays in cases.items()]
    if subject.declared is None:
        return [dataclasses.replace(f, verdict="deviates") if f.verdict == "fails" else f for f in found]
    silent = "the same for every model, yet called ok"
    vacuous = {"constant features", "zero features"} | ({"one class"} if subject.of_classes else set())
    if "labels" not in subject.needs and "reference_features" not in subject.needs:
        vacuous = set()  # a rank of one is an answer
    return [
        dataclasses.replace(f, verdict="deviates", text=silent)
        if f.check in vacuous and f.verdict == "ok" and "(" not in f.figure
        else f
        for f in found
    ]


def malformed(subject: Subject) -> list[Finding]:
    """ValueError for input that is wrong, not merely poor."""
    arrays = probe()
    cases = {}
    if "features" in subject.needs:
        holed = arrays["features"].copy()
        holed[3, 2] = np.nan
        cases["NaN in features"] = arrays | {"features": holed}
    if "labels" in subject.needs and subject.of_images:
        cases["too few labels"] = arrays | {"labels": arrays["labels"][:-1]}
    if "source_probs" in subject.needs:
        cases["logits for probabilities"] = arrays | {"source_probs": arrays["source_logits"]}
    found = []
    for name, case in cases.items():
        outcome = subject.run(case)
        if isinstance(outcome.error, ValueError):
            found.append(Finding(name, "ok", "ValueError"))
            continue
        verdict: Verdict = "fails" if subject.declared is not None else "deviates"
        figure = type(outcome.error).__name__ if outcome.error else str(outcome)
        found.append(Finding(name, verdict, figure, "must raise ValueError"))
    return found


def multi_hot(subject: Subject) -> Finding | None:
    """Multi-hot labels are scored where declared, declined by name where not; a stranger may do as it likes."""
    if subject.declared is None or "labels" not in subject.needs or not subject.of_classes:
        return None
    arrays = probe()
    hot = np.eye(4, dtype=np.int64)[arrays["labels"]]
    hot[::3, 0] = 1
    outcome = subject.run(arrays | {"labels": hot})
    takes = "multi" in subject.declared.labels
    right = not outcome.complaint and (outcome.status == "ok" if takes else outcome.status == "not_applicable")
    expected = "declared to take them" if takes else "must be not_applicable"
    return Finding("multi-hot labels", "ok" if right else "fails", str(outcome), outcome.complaint or expected)


def invariances(subject: Subject) -> list[Finding]:
    """Declared changes of the features leave the value alone; of the others it is said what they do."""
    if "features" not in subject.needs:
        return []
    arrays, few = probe(), probe(n=48, d=120, seed=1)
    found = []
    for kind in INVARIANCES:
        tried = [arrays] if kind == "linear" else [arrays, few]
        declared = subject.declared is not None and kind in subject.declared.invariant
        compared = [
            _compare(subject, kind, a, a | {"features": _transformed(a["features"], kind)}, slack=_spread(subject, a))
            for a in tried
        ]
        worst = _worst(compared)
        if declared:
            found.append(dataclasses.replace(worst, text=worst.text or "invariant, as declared"))
        elif all(f.verdict == "ok" for f in compared):
            found.append(dataclasses.replace(worst, text="invariant"))
        else:
            broken = any(f.figure == "" for f in compared)  # no number came out: not a matter of invariance
            found.append(
                Finding(kind, "deviates" if broken else "ok", worst.figure, worst.text if broken else "varies")
            )
    return found


def monotone(subject: Subject) -> Finding | None:
    """Classes further apart score higher, on the mean of three probes."""
    if not subject.of_images or not {"labels", "reference_features"} & set(subject.needs):
        return None
    levels = (0.0, 0.25, 0.5, 1.0, 2.0)
    outcomes = [[subject.run(probe(separation=s, seed=seed)) for s in levels] for seed in range(3)]
    values = np.array([[o.value for o in line] for line in outcomes])
    if not np.isfinite(values).all():
        return Finding("monotone", "fails", "", next(o.complaint or o.reason for line in outcomes for o in line))
    mean = values.mean(axis=0)
    rises = int((np.diff(mean) > 0).sum())
    figure = f"{mean[0]:.4g} to {mean[-1]:.4g}"
    noise = SAME * float(np.abs(mean).max())
    if mean[-1] < mean[0] - noise:
        return Finding("monotone", "fails", figure, "classes further apart score lower")
    if mean[-1] <= mean[0] + noise:
        return Finding("monotone", "deviates", figure, "does not respond to classes further apart")
    if rises < len(levels) - 1:
        return Finding("monotone", "deviates", figure, f"rises in {rises} of {len(levels) - 1} steps")
    return Finding("monotone", "ok", figure, "classes further apart score higher")


def shared_factorisation(subject: Subject) -> Finding | None:
    """The value on `Features` that other methods have used already is the value on the plain array."""
    if "features" not in subject.needs or not shares(subject.function):
        return None
    found = []
    for arrays in ordinary().values():
        used = Features(arrays["features"])
        for name in ("centred", "uncentred", "gram", "standardised_gram", "correlation_ranks"):
            getattr(used, name)
        plain, after = subject.run(arrays), subject.run(arrays, shared=used)
        found.append(_judged("shared factorisation", plain, after, "", 0.0))
    return _worst(found)


def cost(subject: Subject) -> Finding | None:
    """Time on 500 × 1024 features, over that of one factorisation of them."""
    if not subject.of_images:
        return None
    arrays = probe(n=500, d=1024, c=20, z=100)
    arrays["features"] = arrays["features"].astype(np.float32)
    unit = min(_seconds(lambda: Features(arrays["features"]).centred) for _ in range(2))
    shared = Features(arrays["features"]) if "features" in subject.needs and shares(subject.function) else None
    cold = _seconds(lambda: subject.run(arrays, shared=shared))
    warm = min([_seconds(lambda: subject.run(arrays, shared=shared)) for _ in range(2)] if cold < 5 else [cold])
    verdict: Verdict = "ok" if warm <= SLOW * unit else "deviates"
    text = f"factorisations of 500 × 1024 ({1000 * warm:.1f} ms)"
    return Finding(
        "time", verdict, f"{warm / unit:.2g}", text if shared is None else text + f", {cold / unit:.2g} at first"
    )


def unknown_metadata(subject: Subject) -> Finding | None:
    """A model of which nothing is known gives a named status, not an exception."""
    if "model" not in subject.needs:
        return None
    return _withstands(subject, "unknown model", probe() | {"model": {"name": "unknown"}})


CHECKS: tuple[Callable[[Subject], Any], ...] = (
    defined,
    deterministic,
    unchanged,
    row_order,
    duplicates,
    relabelling,
    float32,
    shared_factorisation,
    awkward,
    extreme,
    unknown_metadata,
    malformed,
    multi_hot,
    invariances,
    monotone,
    cost,
)


# --- comparing --------------------------------------------------------------------------------------------------------


def _withstands(subject: Subject, name: str, arrays: Arrays) -> Finding:
    outcome = subject.run(arrays)
    text = outcome.complaint or (outcome.reason if outcome.status != "ok" else "")
    return Finding(name, "fails" if outcome.complaint else "ok", str(outcome) if not outcome.error else "", text)


def _compare(subject: Subject, check: str, a: Arrays, b: Arrays, text: str = "", slack: float = 0.0) -> Finding:
    return _judged(check, subject.run(a), subject.run(b), text, slack)


def _judged(check: str, a: Outcome, b: Outcome, text: str, slack: float) -> Finding:
    """Whether two outcomes are the same; slack is the relative range that the seed alone moves the value by."""
    if a.complaint or b.complaint:
        return Finding(check, "fails", "", a.complaint or b.complaint)
    if a.status != b.status:
        return Finding(check, "fails", f"{a} / {b}", f"status {a.status} becomes {b.status}")
    gap = _relative(a.value, b.value)
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
            found.append(
                dataclasses.replace(_judged(check, here[0], odd, text, 0.0), text=f"{name}: {here[0]} / {odd}")
            )
            continue
        low, high = min(here, key=lambda o: o.value), max(here, key=lambda o: o.value)
        judged = _judged(check, low, high, text, 0.0)
        known = drawn or (subject.declared is not None and check in subject.declared.deviates)
        verdict: Verdict = "deviates" if known and judged.verdict == "fails" else judged.verdict
        found.append(
            dataclasses.replace(judged, verdict=verdict, text=text if verdict == "ok" else f"{name}: {judged.text}")
        )
    return as_declared(subject, _worst(found))


def _explained(finding: Finding) -> bool:
    return bool(finding.figure) and "/" not in finding.figure


def _worst(findings: list[Finding]) -> Finding:
    order = ("ok", "deviates", "fails")
    return max(findings, key=lambda f: (order.index(f.verdict), _number(f.figure)))


def _number(figure: str) -> float:
    try:
        return float(figure)
    except ValueError:
        return 0.0


def _relative(a: float, b: float) -> float:
    if repr(a) == repr(b) or (np.isnan(a) and np.isnan(b)):
        return 0.0
    return abs(a - b) / max(abs(a), abs(b), 1e-9)


def _spread(subject: Subject, arrays: Arrays) -> float:
    """Relative range of the value over seeds; 0 for what takes no seed."""
    if "seed" not in subject.needs:
        return 0.0
    values = [subject.run(arrays, seed=seed).value for seed in range(SEEDS)]
    return float(np.ptp(values) / max(np.abs(values).max(), 1e-9)) if np.isfinite(values).all() else 0.0


def _transformed(x: np.ndarray, kind: str) -> np.ndarray:
    rng = np.random.default_rng(5)
    d = x.shape[1]
    orthogonal, _ = np.linalg.qr(rng.normal(size=(d, d)))
    scales = rng.uniform(0.5, 2.0, size=d)
    return {
        "rotation": lambda: x @ orthogonal,
        "scale": lambda: 3.7 * x,
        "translation": lambda: x + rng.normal(size=d),
        "linear": lambda: (x * scales) @ orthogonal * scales,
        "columns": lambda: x * scales,
    }[kind]()


def _seconds(call: Callable[[], Any]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def _copy(value: Any) -> Any:
    return value.copy() if isinstance(value, np.ndarray | dict) else value


def _differing(a: Mapping[str, Any], b: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(
        k for k, v in a.items()
        if not (np.array_equal(v, b[k], equal_nan=v.dtype.kind == "f") if isinstance(v, np.ndarray) else v == b[k])
    )  # fmt: skip


def _list(lead: str, names: set[str]) -> str:
    return f"{lead} {', '.join(sorted(names))}" if names else ""
