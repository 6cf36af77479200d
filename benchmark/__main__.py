"""All commands under one name: `benchmark run …` is `python -m benchmark.run …`, from any folder."""

from __future__ import annotations

import importlib
import os
import sys

from benchmark import surroundings
from benchmark.errors import did_you_mean

COMMANDS = {
    "run": "fine-tune what has no ground truth yet, score every model on every target, print how well scores predict",
    "rank": "which pretrained model should be fine-tuned on your images",
    "predict": "what a fine-tuned model says of images",
    "evaluate": "estimators on your own features and accuracies, without PyTorch",
    "lineage": "what a run's table says with each lineage of models left out",
    "correlate": "correlations of anybody's tables of scores and accuracies",
    "check": "whether an estimator behaves, check by check",
    "report": "tables and pictures of a run again",
    "store": "what the cache holds",
    "paper": "the paper's tables beside its printed figures",
    "official": "the paper's released probes, scored",
    "published": "published ground truths and scores, read and compared",
}


def main() -> int:
    """Run the command that the first argument names; returns its exit code, 2 where it names none."""
    surroundings.prepare()
    given = sys.argv[1:]
    if not given or given[0] in ("-h", "--help"):
        print("benchmark <command> [key=value …]     (benchmark <command> --help says what it takes)\n")
        print("\n".join(f"  {name:<12}{what}" for name, what in COMMANDS.items()))
        return 0
    name, *rest = given
    if name not in COMMANDS:
        print(f"error: {name} must be a command. {did_you_mean(name, COMMANDS)}", file=sys.stderr)
        return 2
    sys.argv = [f"benchmark {name}", *rest]
    if os.getcwd() not in sys.path:  # as with `python -m`, estimators of the caller's folder are found; last: none of
        sys.path.append(os.getcwd())  # its files stands in for an installed package
    return importlib.import_module(f"benchmark.{name}").main()


if __name__ == "__main__":
    raise SystemExit(main())
