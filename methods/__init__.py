"""Transferability estimators: plain functions over arrays, each returning a `Score`; higher predicts better.

Every function is here under its own name, so `methods.parc` is the function and not the module.
"""

from methods.baselines import heuristic, layers, parameters, random, source_accuracy
from methods.dds import dds
from methods.hscore import hscore, shrunk_hscore
from methods.knn import knn
from methods.leep import leep
from methods.linalg import Factorisation, Features, as_features
from methods.logistic import logistic
from methods.logme import logme
from methods.nce import nce
from methods.parc import parc
from methods.rsa import rsa
from methods.score import Score

__all__ = [
    "Factorisation",
    "Features",
    "Score",
    "as_features",
    "dds",
    "heuristic",
    "hscore",
    "knn",
    "layers",
    "leep",
    "logistic",
    "logme",
    "nce",
    "parameters",
    "parc",
    "random",
    "rsa",
    "shrunk_hscore",
    "source_accuracy",
]
