"""Estimators over stacks of models as PyTorch formulas: values, and for which models they hold."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from torch import Tensor

EPS = float(np.finfo(np.float64).eps)
TIES = 4  # pairs whose order is rounding: so few move a rank correlation by less than 1e-9


@dataclass(frozen=True)
class Stack:
    """Tensors of one stack in float64 on a device; `hot` (n, c) and `counts` (c,) of the classes present.

    given  by name, what there is of features and source_probs
    """

    codes: Tensor
    hot: Tensor
    counts: Tensor
    given: Mapping[str, Tensor]

    @property
    def features(self) -> Tensor:
        return self.given["features"]

    @property
    def probs(self) -> Tensor:
        return self.given["source_probs"]

    @cached_property
    def centred(self) -> Tensor:
        """Features less their mean (m, n, d)."""
        first = self.features[:, :1]
        return self.features - first - (self.features - first).mean(dim=1, keepdim=True)

    @cached_property
    def gram(self) -> Tensor:
        """Inner products of the centred rows (m, n, n)."""
        return self.centred @ self.centred.mT

    @cached_property
    def sd(self) -> Tensor:
        """Deviation of each column (m, d), ddof = 0."""
        return self.centred.square().mean(dim=1).sqrt()

    @cached_property
    def varies(self) -> Tensor:
        """Which models' features are not constant (m,)."""
        return (self.sd > 8 * EPS * self.features.abs().amax(dim=1)).any(dim=1)


Result = tuple[np.ndarray, np.ndarray]
"""Values (m,) and for which models they hold."""


def _result(values: Tensor, plain: Tensor) -> Result:
    found = values.cpu().numpy()
    return found, plain.cpu().numpy() & np.isfinite(found)


def _parc(s: Stack) -> Result:
    import torch

    n = s.features.shape[1]
    defined = s.sd > 8 * EPS * s.features.abs().amax(dim=1)
    z = s.centred / torch.where(defined, s.sd, 1.0)[:, None] * defined[:, None]
    own = z.square().sum(dim=2)
    z = z - z.mean(dim=2, keepdim=True)
    norms = z.square().sum(dim=2)
    plain = s.varies & (norms > 64 * EPS * own).all(dim=1)
    z = z / norms.clamp_min(1e-300).sqrt()[:, :, None]
    i, j = torch.triu_indices(n, n, 1, device=z.device)
    ordered, order = (-(z @ z.mT))[:, i, j].sort(dim=1)
    plain &= (ordered.diff(dim=1) <= 1e-12).sum(dim=1) <= TIES
    different = (s.codes[i] != s.codes[j])[order].to(torch.float64)
    pairs = len(i)
    unlike = different[0].sum()
    ranks = torch.arange(1, pairs + 1, dtype=torch.float64, device=z.device)
    gap = different @ ranks / unlike - (pairs + 1) / 2
    sd = ((pairs**2 - 1) / 12) ** 0.5
    return _result(100.0 * gap / sd * (unlike / (pairs - unlike)).sqrt(), plain)


def _knn(s: Stack) -> Result:
    norms = s.gram.diagonal(dim1=1, dim2=2)
    distances = norms[:, :, None] + norms[:, None] - 2.0 * s.gram
    distances.diagonal(dim1=1, dim2=2).fill_(float("inf"))
    if distances.shape[1] < 3:
        return _result(norms.sum(dim=1), norms.sum(dim=1) < 0)
    two, nearest = distances.topk(2, dim=2, largest=False)
    clear = two[:, :, 1] - two[:, :, 0] > 1e-11 * (norms + norms.amax(dim=1, keepdim=True))
    right = (s.codes[nearest[:, :, 0]] == s.codes).double().mean(dim=1)
    return _result(100.0 * right, s.varies & clear.all(dim=1))


def _hscore(s: Stack) -> Result:
    import torch

    m, n, d = s.features.shape
    if n <= d + 1:
        return np.zeros(m), np.zeros(m, dtype=bool)
    q, r = torch.linalg.qr(s.centred)
    scale = r.diagonal(dim1=1, dim2=2).abs()
    sums = s.hot.mT @ q
    return _result((sums.square().sum(dim=2) / s.counts).sum(dim=1), scale.amin(dim=1) > 1e-8 * scale.amax(dim=1))


def _shrunk_hscore(s: Stack) -> Result:
    import torch

    _, n, d = s.features.shape
    diagonal = s.gram.diagonal(dim1=1, dim2=2)
    trace, squares = diagonal.sum(dim=1) / n, s.gram.square().sum(dim=(1, 2)) / n**2
    distance = squares / d - (trace / d) ** 2
    noise = (diagonal.square().sum(dim=1) / n - squares) / (n * d)
    a = (noise / distance).clamp(0.0, 1.0)
    plain = s.varies & (distance > 1e-12 * squares / d) & (a < 1.0) & (a > 1e-9)
    a = torch.where(plain, a, 0.5)
    # X (αS + βI)⁻¹ Xᵀ = (αG/n + βI)⁻¹ G: one n × n Cholesky factor, no spectrum.
    ridge = torch.where(plain, a * trace / d, 1.0)[:, None] * torch.ones(n, dtype=a.dtype, device=a.device)
    factor = torch.linalg.cholesky(((1 - a) / n)[:, None, None] * s.gram + torch.diag_embed(ridge))
    inner = s.hot * torch.cholesky_solve(s.gram @ s.hot, factor)
    value = (inner.sum(dim=1) / s.counts).sum(dim=1) * (1 - a) / (n - 1)
    return _result(value, plain)


def _cka(s: Stack) -> Result:
    t = s.hot - s.hot.mean(dim=0)
    kernel = t @ t.T
    value = (s.gram * kernel).sum(dim=(1, 2)) / (s.gram.square().sum(dim=(1, 2)).sqrt() * kernel.square().sum().sqrt())
    return _result(value, s.varies if len(t) > 2 else s.varies & False)


def _lfc(s: Stack) -> Result:
    kernel = s.features @ s.features.mT
    kernel = kernel - kernel.mean(dim=(1, 2), keepdim=True)
    agree = 2.0 * (s.hot @ s.hot.T) - 1.0
    agree = agree - agree.mean()
    value = (kernel * agree).sum(dim=(1, 2)) / (kernel.square().sum(dim=(1, 2)).sqrt() * agree.square().sum().sqrt())
    return _result(value, s.varies)


def _logme(s: Stack) -> Result:
    import torch

    m, n, d = s.features.shape
    if n <= d:
        values, u = torch.linalg.eigh(s.features @ s.features.mT)
        plain = values[:, 0] > values[:, -1] * max(n, d) * EPS
    else:
        u, singular, _ = torch.linalg.svd(s.features, full_matrices=False)
        values = singular.square()
        plain = singular[:, -1] > singular[:, 0] * n * EPS
    values = torch.where(plain[:, None], values, 1.0)
    z = u.mT @ s.hot
    if n <= d:
        rest = torch.zeros(m, len(s.counts), dtype=z.dtype, device=z.device)
    else:
        rest = (s.hot - u @ z).square().sum(dim=1)
        plain &= (rest > 1e-10 * s.counts).all(dim=1)
    z2 = z.square()
    evidence = _maximised(values, z2, rest, n)
    return _result(evidence.mean(dim=1), plain & s.varies)


def _maximised(squares: Tensor, z2: Tensor, rest: Tensor, n: int) -> Tensor:
    """Evidence per image (m, c) at the best q: a grid in ln q, then golden sections, all columns at once."""
    import torch

    low, high = squares.amin(dim=1).log() - 35.0, squares.amax(dim=1).log() + 35.0
    steps = 2 + int((high - low).max())
    at = low[:, None] + (high - low)[:, None] * torch.linspace(0, 1, steps, dtype=low.dtype, device=low.device)

    def losses(t: Tensor) -> Tensor:  # t (m, g), the same points for all columns -> (m, c, g)
        shrunk = 1.0 / (1.0 + squares[:, :, None] / t.exp()[:, None])
        return (z2.mT @ shrunk + rest[:, :, None]).log() - shrunk.log().sum(dim=1)[:, None] / n

    def loss(t: Tensor) -> Tensor:  # t (m, c), a point a column -> (m, c)
        shrunk = 1.0 / (1.0 + squares[:, :, None] / t.exp()[:, None])
        return ((z2 * shrunk).sum(dim=1) + rest).log() - shrunk.log().sum(dim=1) / n

    best = losses(at).argmin(dim=2)
    a, b = at.gather(1, (best - 1).clamp_min(0)), at.gather(1, (best + 1).clamp_max(steps - 1))
    ratio = (5**0.5 - 1) / 2
    # Forty sections of an interval of 2: flat to rounding, since the slope at the best is 0.
    left, right = b - ratio * (b - a), a + ratio * (b - a)
    f, g = loss(left), loss(right)
    for _ in range(40):
        lower = f < g
        a, b = torch.where(lower, a, left), torch.where(lower, right, b)
        fresh = torch.where(lower, b - ratio * (b - a), a + ratio * (b - a))
        value = loss(fresh)
        left, right = torch.where(lower, fresh, right), torch.where(lower, left, fresh)
        f, g = torch.where(lower, value, g), torch.where(lower, f, value)
    least = torch.minimum(torch.minimum(f, g), torch.minimum(loss(at.gather(1, best)), loss((a + b) / 2)))
    return -0.5 * (np.log(2 * np.pi) + 1.0 - np.log(n) + least)


def _checked(probs: Tensor) -> Tensor:
    """Which models' rows are probabilities (m,); the estimator itself complains of the others."""
    return (probs >= 0).flatten(1).all(dim=1) & ((probs.sum(dim=2) - 1).abs() <= 0.01).all(dim=1)


def _leep(s: Stack) -> Result:
    conditional = s.hot.mT @ s.probs
    mass = conditional.sum(dim=1, keepdim=True)
    conditional = conditional / mass.where(mass > 0, mass.new_ones(()))
    expected = (s.probs * conditional[:, s.codes]).sum(dim=2)
    return _result(expected.log().mean(dim=1), _checked(s.probs))


def _nce(s: Stack) -> Result:
    import torch

    _, n, z = s.probs.shape
    decided = torch.nn.functional.one_hot(s.probs.argmax(dim=2), z).to(torch.float64)
    joint = s.hot.mT @ decided
    value = (torch.xlogy(joint, joint) - torch.xlogy(joint, joint.sum(dim=1, keepdim=True))).sum(dim=(1, 2)) / n
    return _result(value, _checked(s.probs))


STACKED: dict[str, Callable[[Stack], Result]] = {
    "parc": _parc,
    "knn": _knn,
    "hscore": _hscore,
    "shrunk_hscore": _shrunk_hscore,
    "cka": _cka,
    "lfc": _lfc,
    "logme": _logme,
    "leep": _leep,
    "nce": _nce,
}
