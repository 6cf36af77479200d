"""Rankers of a whole bank as strangers write them; the first is sound, the others have a fault of their own."""

import ctypes

import numpy as np


def widths(bank_features, bank_labels, models, seed) -> list[float]:
    return [features.shape[1] + len(bank_labels) for features in bank_features]


def one_too_few(models) -> list[float]:
    return [1.0] * (len(models) - 1)


def one_number(bank_features) -> float:
    return 1.0


def by_name(models) -> dict[str, float]:
    return {m["name"]: 1.0 for m in models}


def partly(bank_features) -> np.ndarray:
    return np.where(np.arange(len(bank_features)) == 1, np.nan, 2.0)


def writes(bank_features) -> list[float]:
    bank_features[0][:] = 0
    return [1.0] * len(bank_features)


def writes_through_memory(bank_features, models) -> list[float]:
    ctypes.memset(bank_features[-1].ctypes.data, 0, bank_features[-1].nbytes)
    models[0]["parameters"] = 0
    return [1.0] * len(bank_features)


def segfaults(bank_features) -> list[float]:
    return [ctypes.string_at(0)]


def hangs(bank_labels) -> list[float]:
    while True:
        pass
