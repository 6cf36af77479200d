"""Estimators as strangers write them, each with a fault of its own; `sound` has none."""

import ctypes
import os
import signal
import sys
import time

import numpy as np


def sound(features, labels) -> float:
    return float(features.mean() + len(labels))


def writes(features) -> float:
    features -= features.mean()
    return 1.0


def writes_through_a_tensor(features) -> float:
    import torch

    torch.from_numpy(features).zero_()
    return 1.0


def writes_through_memory(features, source_probs) -> float:
    """As a tensor does, without the seconds that importing one takes."""
    for array in (features, source_probs):
        ctypes.memset(array.ctypes.data, 0, array.nbytes)
    return 1.0


def lifts_the_ban(labels) -> float:
    labels.setflags(write=True)
    labels[0] = 99
    return 1.0


def changes_metadata(model) -> float:
    model["parameters"] = 0
    return 1.0


def segfaults(features) -> float:
    return ctypes.string_at(0)


def exits(features) -> float:
    sys.exit(3)


def ends(features) -> float:
    os._exit(4)


def ends_with_a_child_left(features) -> float:
    """As `ends`, where a process that it started lives on for a while, with all that was open."""
    if not os.fork():
        time.sleep(3)
        os._exit(0)
    os._exit(4)


def killed(features) -> float:
    os.kill(os.getpid(), signal.SIGKILL)
    return 1.0


def hangs(features) -> float:
    while True:
        time.sleep(60)


def hangs_in_c(features) -> float:
    """Holds Python's lock for ever: no other thread of the process runs."""
    ctypes.PyDLL(None).sleep(3600)
    return 1.0


def wants_memory(features) -> float:
    return float(np.empty(10**15).sum())


def colourful(features, labels, weight: float = 1.0) -> float:
    raise ValueError("\x1b[31mred\x1b[0m\nand \x07 two lines \u202e")


def sometimes(features, seed) -> float:
    if seed == 1010:
        raise ValueError("not on the first draw")
    return 1.0
