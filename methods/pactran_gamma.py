"""PACTran with Gamma prior and posterior: a bound on how well source classes, weighted freely, explain the labels."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from methods.shared.capabilities import estimator
from methods.shared.checks import choice, probabilities, whole
from methods.shared.classes import read_classes
from methods.shared.linalg import class_sums
from methods.shared.score import Score

FLOOR = 1e-10  # of priors and of probabilities within a logarithm, as published


@estimator(
    labels=("single",),
    cost="O(steps · n z)",
    source="Ding et al., ECCV 2022, arXiv 2203.05126",
)
def pactran_gamma(
    source_probs: ArrayLike, labels: ArrayLike, alpha: float = 1.0, steps: int = 10, compat: str | None = None
) -> Score:
    """The variational bound with Gamma prior and posterior, of labels explained by source classes.

    source_probs  (n, z) softmax outputs P of the source head
    labels        class ids (n,); multi-label is not applicable
    alpha         weight of the prior's shapes, which have the shares of the target's classes; above 0
    steps         of variational inference, as published; every one raises the bound
    compat        "pactran": the posterior's rates B stay at 1, where the bound is not at its best, and the
                  counts A from before the last update of q enter it; 1/c - 1 is added, as released
    returns       -loss/(n c), in nats; higher predicts better

    An image is of class y with probability sum_z P_z v_yz / sum_z P_z sum_k v_kz, v_yz ~ Gamma(a_y, 1) with
    a_y = alpha pi_y + 1e-10 for every z (a rate other than 1 changes nothing). The logarithm of the
    denominator is at most its value over l_i, plus ln l_i - 1. From q = P, each step takes
    ln q_iz = ln(P_iz + 1e-10) + psi(A_{y_i z}) - ln B_z, normalised over z, then at once A_yz = a_y + sum over
    class y of q_iz and B_z = 1 + sum_i P_iz / l_i, all B times their best common factor, and
    l_i = sum_z P_iz sum_y A_yz / B_z;
    loss = sum_yz [lnGamma(a_y) - lnGamma(A_yz) + A_yz (ln B_z + 1/B_z - 1)]
    + sum_iz q_iz (ln q_iz - ln(P_iz + 1e-10)) + sum_i ln l_i.
    Cost O(n z) a step. Deterministic. Needs two classes.
    Source: Ding et al., ECCV 2022, arXiv 2203.05126, whose code returns the cost.
    """
    choice("compat", compat, (None, "pactran"))
    if not alpha > 0:
        raise ValueError(f"alpha must be above 0. Got {alpha!r}.")
    probs = probabilities(source_probs)
    classes = read_classes("pactran_gamma", labels, len(probs))
    if isinstance(classes, Score):
        return classes
    model = Model(probs, classes.codes, (alpha * classes.priors + FLOOR)[:, None])
    released = compat == "pactran"
    shapes, rates = model.shapes(probs), np.ones(probs.shape[1])
    if not released:
        rates = model.scaled(shapes, rates)
    held, divergence = shapes, 0.0
    for _ in range(whole("steps", steps)):
        held = shapes
        q, divergence = model.assigned(shapes, rates)
        best = rates if released else 1.0 + (1.0 / model.totals(shapes, rates)) @ probs
        shapes = model.shapes(q)
        rates = rates if released else model.scaled(shapes, best)
    if released:
        return Score(-((model.loss(held, rates, divergence) - classes.n) / (classes.n * classes.c) + 1.0))
    return Score(-model.loss(shapes, rates, divergence) / (classes.n * classes.c))


@dataclass(frozen=True)
class Model:
    """Images' source probabilities (n, z), class codes (n,) and prior shapes (c, 1), and the steps on them."""

    probs: np.ndarray
    codes: np.ndarray
    prior: np.ndarray

    @cached_property
    def logs(self) -> np.ndarray:
        return np.log(self.probs + FLOOR)

    def shapes(self, q: np.ndarray) -> np.ndarray:
        """Posterior shapes A (c, z) for the images' shares q (n, z) of source classes."""
        return self.prior + class_sums(q, self.codes, len(self.prior))

    def assigned(self, shapes: np.ndarray, rates: np.ndarray) -> tuple[np.ndarray, float]:
        """Shares q (n, z), and their divergence from the source probabilities."""
        log_q = self.logs + special.digamma(shapes)[self.codes] - np.log(rates)
        log_q -= special.logsumexp(log_q, axis=1)[:, None]
        q = np.exp(log_q)
        return q, float(np.vdot(q, log_q - self.logs))

    def totals(self, shapes: np.ndarray, rates: np.ndarray) -> np.ndarray:
        """Expected sum over target classes of each image's weights, the best l (n,)."""
        return self.probs @ (shapes.sum(axis=0) / rates)

    def scaled(self, shapes: np.ndarray, rates: np.ndarray) -> np.ndarray:
        """The rates (z,) times their best common factor, which steps alone would take about n of to reach."""
        weights = shapes.sum(axis=0)
        return rates * (weights / rates).sum() / (self.prior.sum() * len(weights))

    def loss(self, shapes: np.ndarray, rates: np.ndarray, divergence: float) -> float:
        """The bound on the summed loss, l at its best."""
        gammas = len(rates) * special.gammaln(self.prior).sum() - special.gammaln(shapes).sum()
        scales = shapes.sum(axis=0) @ (np.log(rates) + 1.0 / rates - 1.0)
        return float(gammas + scales + divergence + np.log(self.totals(shapes, rates)).sum())
