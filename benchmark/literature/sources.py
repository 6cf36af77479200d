"""Which published tables are read: where each comes from, its checksum, its licence, and its names on common terms."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pandas as pd

from benchmark.files import put
from benchmark.literature import further_banks
from benchmark.literature.published_tables import Source
from benchmark.tables import reading

_PARC = "https://raw.githubusercontent.com/dbolya/parc/ddfca43a84d35328897d107d6f86e860b11801ce/oracles/"

SOURCES: dict[str, Source] = {
    "parc_controlled": Source(
        "07db47bb908ab6e2639f87f35b74f08ed1c39b3225b05daa913cc4fa468ed8f2",
        "github.com/dbolya/parc, oracles/controlled.csv at ddfca43",
        "the paper's controlled bank: 4 architectures × 8 sources, 7 targets",
        _PARC + "controlled.csv",
    ),
    "parc_all": Source(
        "1edb1115e9bffbf260c694843089946947e9ff97a16e83ab210fecfdf3763436",
        "github.com/dbolya/parc, oracles/all.csv at ddfca43",
        "the paper's crowd-sourced bank, 7 targets",
        _PARC + "all.csv",
    ),
    "sfda_supervised": Source(
        "02a61b4ff5310cbb3796649d4ac930eae7482432669c5d6681130f54c5c86e67",
        "github.com/TencentARC/SFDA, tw_group1.py",
        "11 supervised CNNs × 11 targets",
    ),
    "sfda_selfsupervised": Source(
        "83c44fba779277f24978071e49e292549101d9be9d2be58e0c249b2428e031a3",
        "github.com/TencentARC/SFDA, tw_group2.py",
        "12 self-supervised ResNet-50 × 11 targets",
    ),
    "tllib": Source(
        "55cd0588dd10874ad36df4524a138601ce98b16d8f9d5d7c3c8b70c3588be7fb",
        "github.com/thuml/Transfer-Learning-Library, examples/model_selection/README.md",
        "10 CNNs × 8 targets with four methods' scores",
    ),
    "tllib_reported": Source(
        "2d6a318a109df82dc8e895aed8775112bff76810a390c20065f07dba3f1e5c94",
        "the same page",
        "the correlations that the page reports",
    ),
    "model_spider_scores": Source(
        "89e7346975d0d83a8b7319dbef7baff90ad2988cab515d772b9c03ce80c8a016",
        "github.com/zhangyikaii/Model-Spider, assests/baseline_results.csv (MIT)",
        "nine methods' scores, 10 CNNs × 8 targets",
    ),
    "transfergraph_records": Source(
        "f6425ec709e5569c17424b43abf4b0fd53823efd23910c28bde2875199c7bb2d",
        "github.com/zLizy/transferability_graph, doc/records.csv",
        "fine-tuning runs of about 180 hub models on 13 targets",
    ),
    "transfergraph_models": Source(
        "ae18ff2ece00fef61cda755038122f306a499b6c8d82d36530765e862ab2747b",
        "github.com/zLizy/transferability_graph, doc/model_config_dataset.csv",
        "what is known of those models",
    ),
    **further_banks.SOURCES,
}
SHARED_MODELS = 6  # that two ground truths must have in common to be compared

NAMES = {  # models and data sets that two sources spell differently
    **{"GoogleNet": "googlenet", "Inception V3": "inception_v3", "ResNet50": "resnet50", "ResNet101": "resnet101"},
    **{"ResNet152": "resnet152", "DenseNet121": "densenet121", "DenseNet169": "densenet169"},
    **{"Densenet201": "densenet201", "MobileNet V2": "mobilenet_v2", "MNasNet": "mnasnet1_0"},
    **{"Aircraft": "aircraft", "Caltech101": "caltech101", "CIFAR10": "cifar10", "CIFAR100": "cifar100"},
    **{"DTD": "dtd", "OxfordIIITPets": "pets", "Pet": "pets", "StanfordCars": "cars", "Cars": "cars"},
    "SUN397": "sun397",
}

IMAGENET_CNNS = {  # torchvision's first ImageNet weights: parameters, top-1 accuracy (its own tables), layers
    "resnet34": (21797672, 73.314, 34),
    "resnet50": (25557032, 76.13, 50),
    "resnet101": (44549160, 77.374, 101),
    "resnet152": (60192808, 78.312, 152),
    "densenet121": (7978856, 74.434, 121),
    "densenet169": (14149480, 75.6, 169),
    "densenet201": (20013928, 76.896, 201),
    "mnasnet1_0": (4383312, 73.456, 53),
    "mobilenet_v2": (3504872, 71.878, 53),
    "googlenet": (6624904, 69.778, 22),
    "inception_v3": (27161264, 77.294, 48),
}
PARC_PARAMETERS = {"resnet50": 25557032, "resnet18": 11689512, "googlenet": 6624904, "alexnet": 61100840}
PARC_PARAMETERS |= {"resnet101": 44549160}

CLASSES = {  # of TransferGraph's targets, for the rule that tells failed runs
    **{"caltech101": 102, "cifar100": 100, "diabetic_retinopathy_detection": 5, "dtd": 47, "eurosat": 10},
    **{"flowers": 102, "food101": 101, "kitti": 4, "pets": 37, "smallnorb_label_azimuth": 18},
    **{"smallnorb_label_elevation": 9, "stanfordcars": 196, "svhn": 10},
}

SPIDER_REPORTED = {  # weighted τ, mean over eight targets, on accuracies of its own that its files do not hold
    **{"H-Score": 0.648, "LEEP": 0.408, "LogME": 0.676, "NCE": 0.666, "NLEEP": 0.454, "OTCE": 0.149},
    **{"PACTranDirichlet": 0.397, "GBC": 0.095, "LFC": 0.034},
}


def read(folder: Path, stem: str) -> tuple[pd.DataFrame, str]:
    """A published table and a warning, empty where the file is the one that was checked."""
    path = folder / f"{stem}.csv"
    if not path.is_file():
        raise ValueError(f"path must be a folder with {stem}.csv. Got {folder}. It comes from {SOURCES[stem].origin}.")
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    expected = SOURCES[stem].sha256
    warning = "" if found == expected else f"{path.name} has SHA-256 {found[:12]}…, not the checked {expected[:12]}…."
    return reading.table(path), warning


def fetch(stem: str, folder: Path, timeout: float = 60) -> Path:
    """Download a table that has an address and verify its checksum; nothing is left behind where it differs."""
    import urllib.request

    source = SOURCES[stem]
    if source.url is None:
        raise ValueError(f"{stem}.csv must be put into {folder} by hand. Got no address: see {source.origin}.")
    with urllib.request.urlopen(source.url, timeout=timeout) as answer:
        content = answer.read()
    found = hashlib.sha256(content).hexdigest()
    if found != source.sha256:
        raise ValueError(f"{source.url} must have SHA-256 {source.sha256}. Got {found}.")
    folder.mkdir(parents=True, exist_ok=True)
    put(folder / f"{stem}.csv", content)
    return folder / f"{stem}.csv"
