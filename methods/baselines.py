"""Yardsticks: scores that never look at the target's images. A method has to beat them to be worth running.

`model` is a mapping that the runner fills: name, arch, layers, parameters, source, source_size, target_size,
source_accuracy; an entry may be missing or null, and the yardstick that needs it is then not applicable.
"""

import hashlib
from collections.abc import Mapping
from typing import SupportsFloat

import numpy as np

from methods.shared.capabilities import estimator
from methods.shared.checks import choice
from methods.shared.score import Score, not_applicable


@estimator(labels=(), deterministic=False, min_samples=0, min_classes=0, cost="O(1)")
def random(model: Mapping[str, object], seed: int = 0) -> Score:
    """A number in [0, 1) drawn for this model, target and seed: the null distribution of any table.

    model    its name, and target or target_size, enter the draw, so that no two models share a number
    seed     one for every draw of the probe
    """
    entries = (model.get(key) for key in ("name", "arch", "source", "target", "target_size"))
    digest = hashlib.sha256("\n".join(map(str, (*entries, seed))).encode()).digest()
    return Score(np.random.default_rng(int.from_bytes(digest[:16], "big")).random())


@estimator(labels=(), min_samples=0, min_classes=0, cost="O(1)")
def layers(model: Mapping[str, object]) -> Score:
    """Number of weight layers of the architecture; deeper networks transfer better, on the whole."""
    return _entry(model, "layers")


@estimator(labels=(), min_samples=0, min_classes=0, cost="O(1)")
def parameters(model: Mapping[str, object]) -> Score:
    """Number of parameters without the head."""
    return _entry(model, "parameters" if "parameters" in model else "params")  # as it was called before


@estimator(labels=(), min_samples=0, min_classes=0, cost="O(1)")
def source_accuracy(model: Mapping[str, object]) -> Score:
    """Accuracy on the source data set, in percent, as published or measured."""
    return _entry(model, "source_accuracy")


@estimator(labels=(), min_samples=0, min_classes=0, cost="O(1)", source="Bolya et al., NeurIPS 2021, arXiv 2111.06977")
def heuristic(model: Mapping[str, object], compat: str | None = None) -> Score:
    """Depth and data: layers + ln(source_size + target_size), sizes in images.

    compat   "parc": layers + ln(source_size) - ln(target_size), as the release has it; the paper's table
             is reproduced by the sum
    Source: Bolya et al., NeurIPS 2021, Eq. 4.
    """
    choice("compat", compat, (None, "parc"))
    scores = [_entry(model, key) for key in ("layers", "source_size", "target_size")]
    for score in scores:
        if not score.ok:
            return score
    depth, source, target = map(float, scores)
    if source <= 0 or target <= 0:
        return not_applicable("source_size and target_size must be above 0")
    if compat:
        return Score(depth + np.log(source) - np.log(target))
    return Score(depth + np.log(source + target))


def _entry(model: Mapping[str, object], key: str) -> Score:
    value = model.get(key)
    if value is None or value != value:
        return not_applicable(f"the model's {key} is not known")
    if not isinstance(value, SupportsFloat):
        raise ValueError(f"the model's {key} must be a number. Got {value!r}.")
    return Score(float(value))
