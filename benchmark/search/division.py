"""Which training images a search trains on and which judge: the same for every model, whole groups of near-duplicates.

Trials are judged on the recipe's validation part. The final training and the head leave out fewer images, all of
them of that part, so that a trial's weights can go on without having seen what judges them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from benchmark.search import calibration
from benchmark.search.arithmetic import held_out
from benchmark.training.judging import parts

if TYPE_CHECKING:
    from benchmark.data.packs import Pack


def parts_of(labels: np.ndarray, validation: float, groups: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Positions of the training images that a trial trains on and of those that judge it, the same for every trial.

    groups  (n,) near-duplicates share a number: see benchmark.training.judging.parts
    """
    return parts(labels, lambda n: held_out(n, validation), groups)


def aside(pack: Pack, validation: float, calibrate: bool) -> tuple[np.ndarray, np.ndarray]:
    """Images that a final model trains on, and those kept aside, which judge it and calibrate its probabilities.

    Of few images the share `validation` is kept aside, since a tenth would say nothing; without `calibrate` none are.
    """
    train = pack.indices("train")
    if not calibrate:
        return train, train[:0]
    rest, held = parts(
        pack.labels[train], lambda n: calibration.aside(n) or held_out(n, validation), pack.groups_of(train)
    )
    return train[rest], train[held]
