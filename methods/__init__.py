"""Transferability estimators: plain functions over arrays, each returning a `Score`; higher predicts better.

Every function is here under its own name, so `methods.parc` is the function and not the module.
"""

from methods.linalg import Factorisation, Features, as_features
from methods.score import Score

__all__ = ["Factorisation", "Features", "Score", "as_features"]
