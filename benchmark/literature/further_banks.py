"""Published ground truths in one long format (model, target, accuracy …), found later than the tables of `published`.

A table is read where its accuracies are after fine-tuning and it holds at least 8 models on at least 4 targets. `OUT`
names those that were looked at and are not read, each with the reason. Files, checksums and origins: `SOURCES`.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from benchmark.literature.published_tables import Bank, Source, bank_of

LEAST_MODELS, LEAST_TARGETS = 8, 4
AT_CHANCE = 1.2
"""Times the accuracy of guessing among equally frequent classes: a run at or below it has learned nothing."""

SOURCES: dict[str, Source] = {
    "vtab": Source(
        "aea793360fd5d9161068d6e4223bf2ac3b346c04b88767e3576360b28b412bbf",
        "github.com/google-research/task_adaptation, docs/data/results.csv at d7630d3 (Apache-2.0)",
        "ResNet-50s of 16 pre-training methods × the 19 VTAB tasks, with 1,000 examples and with all",
    ),
    "emms_cnn": Source(
        "b809e74597077c4e42e2a6165d636689fc4cd2bcee5db6968d25395012d7dcaa",
        "github.com/OpenGVLab/Multitask-Model-Selector, evaluate_metric_cls_cpu_CNN.py at 24d1008",
        "EMMS: 11 CNNs × 11 targets",
    ),
    "emms_vit": Source(
        "e3bb12dd62e89ab6d20611823504381667a65812cbc7b9e3b8458cabba52884a",
        "github.com/OpenGVLab/Multitask-Model-Selector, evaluate_metric_cls_cpu_ViT.py at 24d1008",
        "EMMS: 13 vision transformers × 11 targets",
    ),
    "ncti_ssl_extra": Source(
        "482cc607dc1fa213f81ac347a9f8eddb75caeae4134b40d92e072edbd32f15fd",
        "github.com/BUserName/NCTI, tw_group2.py at b18d395 (MIT)",
        "10 of SFDA's self-supervised ResNet-50s on RESISC45 and EuroSAT",
    ),
    "medmnist_sources": Source(
        "4bc841bbb0b08f4ae8eb79e18bfe4760f64686ea097e2c557f116fdb7a0b461f",
        "github.com/DovileDo/transferability-in-medical-imaging, results/AUCs_dataset.csv at 7e308c4 (MIT)",
        "ResNet-18 from 15 sources × 12 MedMNIST targets, AUC",
    ),
    "medmnist_architectures": Source(
        "4bdf278489d200c601137c2b1bf2d60d88714106e75c6b687c80a93cdaa88a63",
        "github.com/DovileDo/transferability-in-medical-imaging, results/AUCs_model.csv at 7e308c4 (MIT)",
        "nine ImageNet architectures × 11 MedMNIST targets, AUC",
    ),
    "medmnist_scores": Source(
        "d4f781370b18d2ec2798898fcd5fce69fa03797af9b0849464d1e06793a7b2cd",
        "github.com/DovileDo/transferability-in-medical-imaging, results/*.csv at 7e308c4 (MIT)",
        "eight methods' scores for both MedMNIST tables",
    ),
    "transfergraph_ftrecords_best": Source(
        "3c6a77078e76cea92b3628d3f400106ffa5197bae5d19938e50b9e5f3178c519",
        "github.com/zLizy/transferability_graph, doc/ftrecords_img.csv at 9c22047, the best run of each pair",
        "292 hub models × 19 targets; the best of a pair's runs was chosen by the test accuracy itself",
    ),
    "transrate_tables": Source(
        "34b8dbb398ee106ff4523c89e93cc4f2c525b71f24386f46646e3fbdcfb33ff8",
        "github.com/Long-Kai/TransRate, source_selection.py and extra_result_model_selection.py at 247d41a",
        "11 sources and 13 networks × 4 targets; which network a position is, only the paper's figures say",
    ),
    "timm_imagenet": Source(
        "4f31b621ff40bd5c933b61739302bc9df8b7ad49f79f5a7eb81b5479ca00c963",
        "github.com/huggingface/pytorch-image-models, results/results-*.csv at aa4b585 (Apache-2.0)",
        "ImageNet accuracies of timm's models as released: the source accuracies of bank=hub, no ground truth",
    ),
}

OUT: dict[str, str] = {
    "robust_models_transfer": "a cell is the best of several models (the ε that won on that target): no bank of models",
    "medical_dart": "3 targets",
    "torchgeo_weights": "30 models on one data set in two labellings and two measures, the other targets hold 1 to 6",
    "vissl_model_zoo": "one target (ImageNet), linear heads",
    "clip_benchmark_linear_probe": "linear heads on frozen features",
    "eva_pathology": "linear heads on frozen features",
    "clip_benchmark_zeroshot": "zero-shot accuracy",
    "transfergraph_ftrecords_img": "every run; transfergraph_ftrecords_best holds the best of each pair",
}
"""Tables that hold no ground truth of fine-tuning of the required size, and why."""

CLASSES = {  # of TransferGraph's second record, for the rule that tells runs which learned nothing
    **{"caltech101": 102, "cifar100": 100, "clevr_count": 8, "clevr_distance": 6, "dmlab": 6, "dtd": 47},
    **{"diabetic_retinopathy_detection": 5, "dsprites_location": 16, "dsprites_orientation": 16, "eurosat": 10},
    **{"kitti": 4, "oxford_flowers102": 102, "oxford_iiit_pet": 37, "patch_camelyon": 2, "resisc45": 45},
    **{"smallnorb_label_azimuth": 18, "smallnorb_label_elevation": 9, "sun397": 397, "svhn_cropped": 10},
}
COMMON = {"oxford_iiit_pet": "pets", "oxford_flowers102": "flowers", "svhn_cropped": "svhn"}


def banks(tables: Mapping[str, pd.DataFrame]) -> list[Bank]:
    """The ground truths among a folder's tables, in the order of `SOURCES`."""
    made: list[Bank] = []
    if (vtab := tables.get("vtab")) is not None:
        made += [_long(vtab[vtab["train"] == part], f"vtab_{part}") for part in ("1000", "full")]
    made += [_long(tables[name], name) for name in ("emms_cnn", "emms_vit") if name in tables]
    if {"ncti_ssl_extra", "sfda_selfsupervised"} <= set(tables):
        made.append(_with_ncti(tables["sfda_selfsupervised"], tables["ncti_ssl_extra"]))
    for name, kind in (("medmnist_sources", "dataset"), ("medmnist_architectures", "model")):
        if name in tables:
            made.append(medmnist(tables[name], tables.get("medmnist_scores"), name, kind))
    if (runs := tables.get("transfergraph_ftrecords_best")) is not None:
        made += [transfergraph_best(runs), transfergraph_best(runs, clean=False)]
    if (typed := tables.get("transrate_tables")) is not None:
        made += [_transrate(typed, "source_selection"), _transrate(typed, "extra_result_model_selection")]
    for bank in made:
        if len(bank.models) < LEAST_MODELS or len(bank.targets) < LEAST_TARGETS:
            raise ValueError(
                f"{bank.name} must hold at least {LEAST_MODELS} models × {LEAST_TARGETS} targets. "
                f"Got {len(bank.models)} × {len(bank.targets)}. Was its file cut?"
            )
    return made


def medmnist(table: pd.DataFrame, scores: pd.DataFrame | None, name: str, kind: str) -> Bank:
    """AUC in percent of a MedMNIST table, with the scores of that paper's methods where their file is there.

    kind  which rows of the scores belong to it: "dataset" (models differ in their source) or "model" (architecture).
          No method was scored on chestmnist, the only multi-label target.
    """
    key = "source" if kind == "dataset" else "model"
    truth = table.pivot(index="target", columns=key, values="accuracy")
    methods: dict[str, pd.DataFrame] = {}
    if scores is not None:
        for method, part in scores[scores["kind"] == kind].groupby("method"):
            wide = part.pivot(index="target", columns="source", values="score")
            # A source has no accuracy on itself, but a score: a list of candidates does not hold it.
            methods[str(method)] = wide.reindex(index=truth.index, columns=truth.columns).where(truth.notna())
    return bank_of(name, truth, {}, methods, note="Accuracy is AUC.")


def transfergraph_best(runs: pd.DataFrame, clean: bool = True) -> Bank:
    """Hub models × VTAB-like tasks; `clean` leaves out pairs whose best run is at or below AT_CHANCE / classes."""
    truth = runs.replace({"target": COMMON}).pivot(index="target", columns="model", values="accuracy")
    chance = pd.Series({COMMON.get(name, name): 100 / number for name, number in CLASSES.items()})
    learned = truth.gt(AT_CHANCE * chance.reindex(truth.index), axis=0)
    note = "The best run of each pair was chosen by the test accuracy itself."
    if not clean:
        return bank_of("transfergraph_best_with_chance", truth, {}, note=note)
    gone = int((truth.notna() & ~learned).sum().sum())
    kept = truth.where(learned).dropna(axis=1, how="all")
    note += f" At or below {AT_CHANCE:g}/classes, and left out: {gone} of {int(truth.notna().sum().sum())}."
    return bank_of("transfergraph_best", kept, {}, note=note)


def source_accuracy(table: pd.DataFrame, model: str, input_size: int) -> float | None:
    """ImageNet-1k top-1 in percent of a model by timm's name at that image size; None where timm states none."""
    rows = table[(table["target"] == "imagenet") & (table["timm"] == model) & (table["img_size"] == input_size)]
    return float(rows["accuracy"].iloc[0]) if len(rows) else None


def _long(table: pd.DataFrame, name: str) -> Bank:
    return bank_of(name, table.pivot(index="target", columns="model", values="accuracy"), {})


def _with_ncti(sfda: pd.DataFrame, extra: pd.DataFrame) -> Bank:
    """SFDA's eleven targets and NCTI's two, for the models that both have."""
    first = sfda.pivot(index="Target Dataset", columns="Model", values="Accuracy")
    second = extra.pivot(index="target", columns="model", values="accuracy")
    shared = [m for m in first.columns if m in set(second.columns)]
    truth = pd.concat([first[shared], second[shared]])
    return bank_of("sfda_selfsupervised_ncti", truth, {}, note="SFDA's accuracies, and NCTI's on two further targets.")


def _transrate(table: pd.DataFrame, case: str) -> Bank:
    parts = table["model"].str.extract(r"^(?P<case>\S+) case \d+ (?P<position>#\d+)")
    rows = table.assign(**parts)
    truth = rows[rows["case"] == case].pivot(index="target", columns="position", values="accuracy")
    order = sorted(truth.columns, key=lambda position: int(position[1:]))
    name = f"transrate_{case.removeprefix('extra_result_')}"
    agreement = np.corrcoef(truth[order].dropna(axis=1).to_numpy())
    note = (
        "Models are known by their position in the script; that a position is one model on all targets is read from "
        f"the accuracies, whose correlation between targets is at least {agreement.min():.2f}."
    )
    return bank_of(name, truth[order].add_prefix(f"{case} "), {}, note=note)
