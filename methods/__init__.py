"""Transferability estimators: plain functions over arrays, each returning a `Score`; higher predicts better.

Every function is here under its own name, so `methods.parc` is the function and not the module.
"""

from methods.baselines import heuristic, layers, parameters, random, source_accuracy
from methods.cka import cka
from methods.concept_variance import concept_variance
from methods.dds import dds
from methods.effective_rank import effective_rank, stable_rank
from methods.emms import emms
from methods.etran import energy, etran, least_squares
from methods.fusion import rank_fusion, z_fusion
from methods.gbc import gbc
from methods.hscore import hscore, shrunk_hscore
from methods.interclass import interclass
from methods.knn import knn
from methods.layered import layered
from methods.lda import lda
from methods.leep import leep
from methods.lfc import lfc
from methods.logistic import logistic
from methods.logme import logme
from methods.look import look
from methods.lp import lp
from methods.ncc import ncc
from methods.nce import nce
from methods.ncti import ncti
from methods.nleep import nleep
from methods.otce import f_otce, jc_otce
from methods.pactran import pactran_dirichlet, pactran_gauss
from methods.pactran_gamma import pactran_gamma
from methods.parc import parc
from methods.parc_cka import parc_cka
from methods.ped import ped
from methods.ridge import ridge
from methods.rsa import rsa
from methods.sa import sa
from methods.sfda import sfda
from methods.shared.capabilities import Capabilities, capabilities, estimator, estimators
from methods.shared.decomposition import Factorisation
from methods.shared.linalg import Features, as_features
from methods.shared.score import Score
from methods.silhouette import silhouette
from methods.tmi import tmi
from methods.transrate import transrate
from methods.vci import vci

__all__ = [
    "Capabilities",
    "Factorisation",
    "Features",
    "Score",
    "as_features",
    "capabilities",
    "cka",
    "concept_variance",
    "dds",
    "effective_rank",
    "emms",
    "energy",
    "estimator",
    "estimators",
    "etran",
    "f_otce",
    "gbc",
    "heuristic",
    "hscore",
    "interclass",
    "jc_otce",
    "knn",
    "layered",
    "layers",
    "lda",
    "least_squares",
    "leep",
    "lfc",
    "logistic",
    "logme",
    "look",
    "lp",
    "ncc",
    "nce",
    "ncti",
    "nleep",
    "pactran_dirichlet",
    "pactran_gamma",
    "pactran_gauss",
    "parameters",
    "parc",
    "parc_cka",
    "ped",
    "random",
    "rank_fusion",
    "ridge",
    "rsa",
    "sa",
    "sfda",
    "shrunk_hscore",
    "silhouette",
    "source_accuracy",
    "stable_rank",
    "tmi",
    "transrate",
    "vci",
    "z_fusion",
]
