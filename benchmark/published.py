"""Other people's ground truths and scores: read, checked, cleaned, and held against the same yardsticks.

    python -m benchmark.published path=<folder> out=<dir> [page=results/published.md]

The tables are theirs, mostly without a licence, and not part of this project: they are read from a folder (or, for
the paper's two, fetched). A file with another checksum than the one that was checked here is read with a warning.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd

from benchmark import bootstrap, correlate, layout, published_further, reading, stats
from benchmark.correlate import MODEL, PAPER_EXCLUDED, PAPER_IMAGES, PAPER_LAYERS, TARGET
from benchmark.files import together
from benchmark.published_tables import Bank, Source, bank_of
from benchmark.wording import said

MEASURES = ("pearson", "kendall", "weighted_kendall", "regret1")
FLAG = 0.01  # a correlation that is further from the one reported is flagged; rounding of the inputs moves less
FAILED_AT = 2.0  # times the chance of guessing among equally frequent classes
RESAMPLES = 2000
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
    **published_further.SOURCES,
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
    correlate.put(folder / f"{stem}.csv", content)
    return folder / f"{stem}.csv"


def parc(table: pd.DataFrame, name: str, exclude: Iterable[str] = ()) -> Bank:
    """One of the paper's banks, rows with Oracle ≤ 0 dropped; VOC2007 is one of the targets."""
    notes: list[str] = []
    rows = correlate.usable(table, exclude, notes)
    truth = rows.assign(model=rows[MODEL[0]] + "/" + rows[MODEL[1]]).pivot(
        index=TARGET, columns="model", values="Oracle"
    )
    architecture, source = zip(*(name.split("/", 1) for name in truth.columns), strict=True)
    layers = np.array([PAPER_LAYERS[a] for a in architecture], float)
    sizes = np.array([PAPER_IMAGES.get(s, np.nan) for s in source])
    targets = np.array([PAPER_IMAGES[t] for t in truth.index], float)[:, None]
    scores = {
        "layers": layers,
        "parameters": np.array([PARC_PARAMETERS[a] for a in architecture], float),
        "imagenet": np.array([s == "imagenet" for s in source], float),
    }
    if np.isfinite(sizes).all():
        scores["source_size"] = sizes
        scores["heuristic"] = layers + np.log(sizes + targets)
        scores["heuristic_released"] = layers + np.log(sizes) - np.log(targets)
    return bank_of(name, truth, scores, note=" ".join(notes))


def cnns(table: pd.DataFrame, name: str) -> Bank:
    """A long table Model, Target Dataset, Accuracy with, perhaps, columns of scores, under common names."""
    table = table.replace({"Model": NAMES, TARGET: NAMES})
    truth = table.pivot(index=TARGET, columns="Model", values="Accuracy")
    scores = {}
    if set(truth.columns) <= set(IMAGENET_CNNS):
        facts = np.array([IMAGENET_CNNS[m] for m in truth.columns], float).T
        scores = dict(zip(("parameters", "source_accuracy", "layers"), facts, strict=True))
    methods = {
        str(column): table.pivot(index=TARGET, columns="Model", values=column).loc[truth.index, truth.columns]
        for column in table.columns
        if column not in ("Model", TARGET, "Accuracy")
    }
    return bank_of(name, truth, scores, methods)


def with_scores(bank: Bank, table: pd.DataFrame) -> Bank:
    """Model Spider's scores on the models and targets that a ground truth shares with them."""
    table = table.replace({"Model": NAMES, "Dataset": NAMES})
    methods = [c for c in table.columns if c not in ("Dataset", "Model")]
    wide = {c: table.pivot(index="Dataset", columns="Model", values=c) for c in methods}
    targets = [t for t in bank.targets if t in wide[methods[0]].index]
    models = [m for m in bank.models if m in wide[methods[0]].columns]
    truth = pd.DataFrame(bank.truth, bank.targets, bank.models).loc[targets, models]
    made = {c: frame.loc[targets, models] for c, frame in wide.items()}
    return bank_of(f"model_spider_scores × {bank.name}", truth, {}, made)


def transfergraph(records: pd.DataFrame, models: pd.DataFrame, clean: bool = True) -> Bank:
    """TransferGraph's runs in percent; `clean` leaves out failed runs and targets where most failed.

    A run failed where its test accuracy is at most FAILED_AT / classes: twice what guessing among equally frequent
    classes gives. A target with more failed than other runs is left out whole.
    """
    rows = records.rename(columns={"finetuned_dataset": TARGET, "model": "Model"})
    rows = rows.assign(failed=rows["test_accuracy"] <= FAILED_AT / rows[TARGET].map(CLASSES))
    note = "All runs as published."
    if clean:
        share = rows.groupby(TARGET)["failed"].mean()
        gone = share.index[share > 0.5]
        kept = rows[~rows["failed"] & ~rows[TARGET].isin(gone)]
        others = int((rows["failed"] & ~rows[TARGET].isin(gone)).sum())
        lost = ", ".join(f"{t} ({(rows[TARGET] == t).sum()} runs, {share[t]:.0%} failed)" for t in gone)
        note = (
            f"A run at or below {FAILED_AT:g}/classes counts as failed: {others} left out of {len(rows)}; "
            f"targets with more failed than other runs left out whole: {lost or 'none'}."
        )
        rows = kept
    truth = 100 * rows.pivot(index=TARGET, columns="Model", values="test_accuracy")
    known = models.drop_duplicates("model").set_index("model").reindex(truth.columns)
    scores = {
        "parameters": pd.to_numeric(known["number_of_parameters"], errors="coerce").to_numpy(float),
        "source_accuracy": pd.to_numeric(known["accuracy"], errors="coerce").to_numpy(float),
    }
    return bank_of("transfergraph_records", truth, scores, note=note)


def banks(tables: Mapping[str, pd.DataFrame]) -> list[Bank]:
    """Every ground truth of a folder's tables; the variants that keep what is normally left out stand beside."""
    made: list[Bank] = []
    if "parc_controlled" in tables:
        made.append(parc(tables["parc_controlled"], "parc_controlled"))
    if "parc_all" in tables:
        made.append(parc(tables["parc_all"], "parc_all", PAPER_EXCLUDED))
        made.append(parc(tables["parc_all"], "parc_all_with_excluded"))
    made += [cnns(tables[n], n) for n in ("sfda_supervised", "sfda_selfsupervised", "tllib") if n in tables]
    if "transfergraph_records" in tables and "transfergraph_models" in tables:
        for clean in (True, False):
            bank = transfergraph(tables["transfergraph_records"], tables["transfergraph_models"], clean)
            named = bank.name if clean else f"{bank.name}_with_failed"
            made.append(replace(bank, name=named))
    return made + published_further.banks(tables)


def measure(bank: Bank) -> pd.DataFrame:
    """source, target, method, measure, value: yardsticks on every target, their mean, and mean6, mean7 for PARC.

    pearson ×100, kendall τ_b, weighted_kendall (scipy's), regret1 in points with ties broken at random. `random` is
    the mean over all orders of the models. A mean is over the targets where the measure is defined.
    """
    records = []
    for method, scores in everything(bank).items():
        values = (
            _random(bank) if method == "random" else {n: v[0] for n, v in _measured(scores[None], bank.truth).items()}
        )
        for name in MEASURES:
            rows = list(zip(bank.targets, values[name], strict=True))
            mean = float(stats.nanmean(values[name], 0))
            rows.append(("mean", mean))
            if bank.name.startswith("parc_"):
                others = np.array([t != "voc2007" for t in bank.targets])
                rows += [("mean6", float(stats.nanmean(values[name][others], 0))), ("mean7", mean)]
            records += [(bank.name, target, method, name, value) for target, value in rows]
    return pd.DataFrame(records, columns=["source", "target", "method", "measure", "value"])


def everything(bank: Bank) -> dict[str, np.ndarray]:
    """All yardsticks of a bank, the static list first; `random` has no scores of its own."""
    return {"static_list": stats.static_list(bank.truth), **bank.yardsticks, "random": np.zeros_like(bank.truth)}


def of_methods(bank: Bank) -> pd.DataFrame:
    """source, target, method, measure, value of the published scores against a bank's accuracies."""
    records = []
    for method, scores in bank.methods.items():
        found = _measured(scores[None], bank.truth)
        for name in MEASURES:
            values = found[name]
            rows = [*zip(bank.targets, values[0], strict=True), ("mean", float(stats.nanmean(values[0], 0)))]
            records += [(bank.name, target, method, name, value) for target, value in rows]
    return pd.DataFrame(records, columns=["source", "target", "method", "measure", "value"])


def agreement(first: Bank, second: Bank) -> pd.DataFrame:
    """first, second, target, models, measure, value: two ground truths of the same models and data sets."""
    targets = [t for t in first.targets if t in second.targets]
    models = [m for m in first.models if m in second.models]
    a, b = (pd.DataFrame(x.truth, x.targets, x.models).loc[targets, models].to_numpy() for x in (first, second))
    records = []
    for name in ("pearson", "kendall", "weighted_kendall"):
        values = getattr(stats, name)(a, b)
        rows = [*zip(targets, values, strict=True), ("mean", float(stats.nanmean(values, 0)))]
        records += [(first.name, second.name, target, len(models), name, value) for target, value in rows]
    return pd.DataFrame(records, columns=["first", "second", "target", "models", "measure", "value"])


def agreements(made: Sequence[Bank]) -> list[pd.DataFrame]:
    """`agreement` of each pair of tables with SHARED_MODELS models and a target in common.

    Left out: variants that keep what is normally left out (`_with_`), a table against one that goes on from it (its
    name begins with the other's), and a table that repeats an earlier one's accuracies but against that one.
    """
    found, repeats = [], set()
    for first, second in combinations([bank for bank in made if "_with_" not in bank.name], 2):
        shared = len(set(first.models) & set(second.models)) >= SHARED_MODELS and set(first.targets) & set(
            second.targets
        )
        if not shared or second.name.startswith(first.name) or {first.name, second.name} & repeats:
            continue
        found.append(agreement(first, second))
        if _same(first, second):
            repeats.add(second.name)
    return found


def _same(first: Bank, second: Bank) -> bool:
    a, b = (pd.DataFrame(x.truth, x.targets, x.models) for x in (first, second))
    rows, columns = a.index.intersection(b.index), a.columns.intersection(b.columns)
    return np.allclose(a.loc[rows, columns], b.loc[rows, columns], rtol=0, atol=1e-9, equal_nan=True)


def against_list(bank: Bank) -> pd.DataFrame:
    """source, method, measure, method_value, list_value: published scores beside the static list, on the same cells.

    Targets for which a method has no score are left out for all, so that the means are over the same targets.
    """
    methods = np.stack(list(bank.methods.values()))
    sound = (np.isfinite(bank.truth) & np.isfinite(methods).all(axis=0)).sum(axis=1) >= 2
    truth = np.where(np.isfinite(methods).all(axis=0), bank.truth, np.nan)[sound]
    found = _measured(np.concatenate([methods[:, sound], stats.static_list(bank.truth)[None, sound]]), truth)
    means = {name: stats.nanmean(found[name], 1) for name in MEASURES}
    return pd.DataFrame(
        [
            (bank.name, method, name, float(means[name][k]), float(means[name][-1]))
            for k, method in enumerate(bank.methods)
            for name in MEASURES
        ],
        columns=["source", "method", "measure", "method_value", "list_value"],
    )


def list_wins(rows: pd.DataFrame) -> pd.DataFrame:
    """source, measure, list_value, best, best_value, beaten, methods: how many methods the static list is ahead of."""
    records = []
    for (source, name), part in rows.groupby(["source", "measure"], sort=False):
        sign = -1.0 if name == "regret1" else 1.0
        best = part.loc[(sign * part["method_value"]).idxmax()]
        beaten = int((sign * part["list_value"] > sign * part["method_value"]).sum())
        records.append((source, name, best["list_value"], best["method"], best["method_value"], beaten, len(part)))
    columns = ["source", "measure", "list_value", "best", "best_value", "beaten", "methods"]
    return pd.DataFrame(records, columns=columns)


def beside_reported(recomputed: pd.DataFrame, reported: pd.DataFrame, source: str) -> pd.DataFrame:
    """source, target, method, measure, reported, recomputed, difference, flagged (|difference| > FLAG).

    reported  target, method, measure, reported; correlations in [-1, 1] (pearson is divided by 100 to compare)
    """
    scale = recomputed["measure"].map({"pearson": 100}).fillna(1)
    mine = recomputed.assign(recomputed=recomputed["value"] / scale)[["target", "method", "measure", "recomputed"]]
    both = reported.merge(mine, how="left", on=["target", "method", "measure"])
    both["difference"] = both["recomputed"] - both["reported"]
    both["flagged"] = both["difference"].abs() > FLAG + 1e-9
    both.insert(0, "source", source)
    return both[["source", "target", "method", "measure", "reported", "recomputed", "difference", "flagged"]]


def tllib_reported(table: pd.DataFrame) -> pd.DataFrame:
    """TLLib's page as target, method, measure, reported."""
    names = {"Pearson Corr": "pearson", "Weighted Tau": "weighted_kendall"}
    long = table.melt([TARGET, "Measure"], var_name="method", value_name="reported")
    return pd.DataFrame(
        {
            "target": long[TARGET].map(NAMES),
            "method": long["method"],
            "measure": long["Measure"].map(names),
            "reported": long["reported"],
        }
    )


def spider_reported() -> pd.DataFrame:
    rows = [("mean", method, "weighted_kendall", value) for method, value in SPIDER_REPORTED.items()]
    return pd.DataFrame(rows, columns=["target", "method", "measure", "reported"])


def intervals(bank: Bank, methods: Mapping[str, np.ndarray], number: int = RESAMPLES) -> dict[tuple[str, str], tuple]:
    """(method, measure) -> (low, high) of the mean over targets; models and targets resampled."""
    counts = bootstrap.resamples(len(bank.models), len(bank.targets), 1, number)
    scores, names = np.stack(list(methods.values()))[:, None], list(methods)
    found = bootstrap.distributions(scores, bank.truth, counts, ("pearson", "kendall"), keep=("all",))
    return {(names[k], name): bootstrap.interval(means["all"])[:2] for k, name, _, means in found}


def _measured(scores: np.ndarray, truth: np.ndarray) -> dict[str, np.ndarray]:
    """name -> (k, t) for scores (k, t, m): correlations are undefined for a constant score, regret is not."""
    agreed = stats.measures(scores, truth)
    return {**agreed, "regret1": bootstrap.estimates(scores[:, None], truth, ("regret1",))["regret1"][:, 0]}


def _random(bank: Bank) -> dict[str, np.ndarray]:
    """The mean over all orders, as in every report: no correlation, and the regret of any pick."""
    regret = _measured(np.zeros((1, *bank.truth.shape)), bank.truth)["regret1"][0]
    return {**dict.fromkeys(stats.MEASURES, stats.of_random_orders(bank.truth)), "regret1": regret}


def _page(
    made: Sequence[Bank],
    yardsticks: pd.DataFrame,
    methods: pd.DataFrame,
    wins: pd.DataFrame,
    agreed: pd.DataFrame,
    reported: pd.DataFrame,
    warnings: Sequence[str],
    stems: Sequence[str],
) -> str:
    """results/published.md."""
    mean = yardsticks[yardsticks["target"] == "mean"].set_index(["source", "method", "measure"])["value"]
    lines = [
        "# Everybody's numbers",
        "",
        "Made by `python -m benchmark.published path=<folder of the tables> out=<dir> page=results/published.md`.",
        "The tables are not part of this project; where each comes from is at the end.",
        "",
        "## What never looks at the target's images",
        "",
        "A yardstick is a score that anybody has before seeing a single image of the target. `static_list`: each "
        "model's mean standardised accuracy on the other targets of the same table. `layers`, `parameters`, "
        "`source_accuracy`, `source_size` belong to the model; `imagenet`: whether it was trained on ImageNet; "
        "`heuristic`: the paper's Eq. 4, `heuristic_released` its code's formula; `random`: mean over all "
        "orders of the models. Pearson ×100 and Kendall's τ_b with 95 % bootstrap intervals over models and targets, "
        "scipy's weighted τ, and regret@1: how many points the model at the top of the list loses against the best.",
        "",
    ]
    rows = []
    for bank in made:
        block, held = [], everything(bank)
        limits = intervals(bank, {n: s for n, s in held.items() if n != "random"})
        for method in held:
            value = [float(mean[bank.name, method, name]) for name in MEASURES]
            wide = [limits.get((method, name), (np.nan, np.nan)) for name in ("pearson", "kendall")]
            block.append(
                [
                    bank.name,
                    method,
                    layout.number(value[0]),
                    layout.between(*wide[0]),
                    layout.number(value[1], 3),
                    layout.between(*wide[1], 2),
                    layout.number(value[2], 3),
                    layout.number(value[3], 2),
                ]
            )
        rows.append(block)
    head = ["table", "yardstick", "Pearson", "95 %", "τ_b", "95 %", "τ_w", "regret@1"]
    lines += [layout.markdown(layout.Grid("Mean over targets", head, rows, left=2)), ""]
    for bank in made:
        lines.append(
            f"- {bank.name}: {len(bank.targets)} targets × {len(bank.models)} models, "
            f"{int(np.isfinite(bank.truth).sum())} accuracies. {bank.note}".rstrip()
        )
    six = yardsticks[yardsticks["target"] == "mean6"].set_index(["source", "method", "measure"])["value"]
    if len(six):
        rows = [
            [source, method, *(layout.number(float(six[source, method, n]), d) for n, d in _DIGITS)]
            for source, method in dict.fromkeys((s, m) for s, m, _ in six.index)
        ]
        grid = layout.Grid(
            "The paper's banks over its six targets (without VOC2007 as a target, which still counts for the list)",
            ["table", "yardstick", "Pearson", "τ_b", "τ_w", "regret@1"],
            [rows],
            left=2,
        )
        lines += ["", layout.markdown(grid)]
    lines += ["", "## Do the ground truths agree?", ""]
    for first, second in dict.fromkeys(zip(agreed["first"], agreed["second"], strict=True)):
        part = agreed[(agreed["first"] == first) & (agreed["second"] == second)]
        if (part["value"] > np.where(part["measure"] == "pearson", 100, 1) - 1e-9).all():
            lines += [f"{first} and {second} give the same accuracies for the models that they share.", ""]
            continue
        wide = part.pivot(index="target", columns="measure", values="value")
        order = [t for t in wide.index if t != "mean"]
        cells = [
            [t, layout.number(wide.at[t, "pearson"]), *(layout.number(wide.at[t, n], 2) for n in _RANKED)]
            for t in [*order, "mean"]
        ]
        title = f"{first} against {second}: the same {part['models'].iloc[0]} models, accuracies after fine-tuning"
        lines += [
            layout.markdown(layout.Grid(title, ["target", "Pearson", "τ_b", "τ_w"], [cells[:-1], cells[-1:]])),
            "",
        ]
    lines += [
        "Where the same networks, fine-tuned on the same data sets by two groups, come out in another order, the "
        "recipe is part of the benchmark, and a score tuned to one table can be wrong on the other.",
        "",
        "## Published scores, recomputed",
        "",
    ]
    means = methods[methods["target"] == "mean"].pivot(index=["source", "method"], columns="measure", values="value")
    means = means.reindex(columns=list(MEASURES))
    rows = [
        [source, method, *(layout.number(value[n], d) for n, d in _DIGITS)]
        for (source, method), value in means.sort_values(
            ["source", "weighted_kendall"], ascending=[True, False]
        ).iterrows()
    ]
    grid = layout.Grid("Mean over targets", ["table", "method", "Pearson", "τ_b", "τ_w", "regret@1"], [rows], left=2)
    lines += [layout.markdown(grid), ""]
    lines += _list_against_methods(wins)
    for source, part in reported.groupby("source", sort=False):
        flagged = part[part["flagged"]]
        if source.startswith("model_spider"):
            lines += [
                "Model Spider's scores come without its own accuracies, which its reported means are over; TLLib's "
                "stand in, so a difference here is one of ground truth.",
                "",
            ]
        lines.append(
            f"{source}: {len(part)} correlations are reported, {len(part) - len(flagged)} come out again within "
            f"{FLAG}, {len(flagged)} do not{':' if len(flagged) else '.'}"
        )
        if len(flagged):
            cells = [
                [
                    r.target,
                    r.method,
                    r.measure,
                    *(layout.number(v, 3) for v in (r.reported, r.recomputed, r.difference)),
                ]
                for r in flagged.itertuples()
            ]
            head = ["target", "method", "measure", "reported", "recomputed", "difference"]
            lines += ["", layout.markdown(layout.Grid("Flagged", head, [cells], left=3))]
        lines.append("")
    lines += ["## Where the tables come from", ""]
    rows = [[f"{s}.csv", SOURCES[s].about, SOURCES[s].origin, SOURCES[s].sha256[:12]] for s in stems]
    lines.append(layout.markdown(layout.Grid("Files", ["file", "what", "source", "SHA-256"], [rows], left=4)))
    out = "; ".join(f"{stem} ({why})" for stem, why in published_further.OUT.items())
    lines += ["", f"Looked at and not read, since they hold no ground truth of fine-tuning of that size: {out}."]
    lines += [f"- Warning: {w}" for w in warnings]
    return "\n".join(lines).rstrip() + "\n"


def _list_against_methods(wins: pd.DataFrame) -> list[str]:
    """The page's answer to: does a list that ignores the target beat what was published with each table?"""
    if wins.empty:
        return []
    sources = wins["source"].nunique()
    ahead = wins[wins["beaten"] == wins["methods"]].groupby("measure").size()
    counts = ", ".join(f"{MEASURE_NAMES[m]} on {ahead.get(m, 0)}" for m in MEASURES)
    cells = [
        [
            r.source,
            MEASURE_NAMES[r.measure],
            *(layout.number(v, dict(_DIGITS)[r.measure]) for v in (r.list_value, r.best_value)),
            r.best,
            f"{r.beaten} of {r.methods}",
        ]
        for r in wins.itertuples()
    ]
    head = ["table", "measure", "static list", "best method", "which", "list ahead of"]
    grid = layout.Grid("The static list beside the scores published with a table, on the same cells", head, [cells], 2)
    return [
        f"Of the {sources} tables that come with scores, the static list is ahead of every method that was published "
        f"with it in {counts}.",
        "",
        layout.markdown(grid),
        "",
    ]


MEASURE_NAMES = {"pearson": "Pearson", "kendall": "τ_b", "weighted_kendall": "τ_w", "regret1": "regret@1"}
_DIGITS = (("pearson", 1), ("kendall", 3), ("weighted_kendall", 3), ("regret1", 2))
_RANKED = ("kendall", "weighted_kendall")


def write(folders: Sequence[Path], out: Path, page: Path | None = None, tell: Callable[[str], None] = print) -> None:
    """yardsticks.csv, methods.csv, list.csv, agreement.csv, reported.csv and published.md from folders' tables."""
    tables, warnings = {}, []
    for stem in SOURCES:
        if folder := next((f for f in folders if (f / f"{stem}.csv").is_file()), None):
            tables[stem], warning = read(folder, stem)
            warnings += [warning] if warning else []
    if not tables:
        places = " and ".join(map(str, folders))
        raise ValueError(f"path must be a folder with published tables. Got {places}: none of {', '.join(SOURCES)}.")
    for warning in warnings:
        tell(f"warning: {warning}")
    try:
        _write(tables, warnings, out, page, tell)
    except (KeyError, TypeError, ValueError, IndexError, AttributeError, ZeroDivisionError) as error:
        if not warnings:  # the files are those that were checked: the fault is here
            raise
        files = ", ".join(warning.partition(" ")[0] for warning in warnings)
        raise ValueError(
            f"{files} must be as published. Got another content, of which nothing can be made "
            f"({said(error)}). Take it from {SOURCES[files.split('.csv')[0]].origin}."
        ) from error


def _write(
    tables: Mapping[str, pd.DataFrame],
    warnings: Sequence[str],
    out: Path,
    page: Path | None,
    tell: Callable[[str], None],
) -> None:
    made = banks(tables)
    by_name = {bank.name: bank for bank in made}
    scored = [bank for bank in made if bank.methods]
    if "model_spider_scores" in tables:
        scored += [
            with_scores(by_name[n], tables["model_spider_scores"]) for n in ("tllib", "sfda_supervised") if n in by_name
        ]
    columns = ["source", "target", "method", "measure", "value"]
    yardsticks = (
        pd.concat([pd.DataFrame(columns=columns), *map(measure, made)]) if made else pd.DataFrame(columns=columns)
    )
    methods = pd.concat(map(of_methods, scored)) if scored else pd.DataFrame(columns=columns)
    nothing = pd.DataFrame(columns=["first", "second", "target", "models", "measure", "value"])
    agreed = pd.concat([nothing, *agreements(made)])
    against = [against_list(bank) for bank in scored]
    wins = list_wins(pd.concat(against)) if against else pd.DataFrame(columns=["source", "measure"])
    beside = []
    if "tllib" in by_name and "tllib_reported" in tables:
        beside.append(beside_reported(of_methods(by_name["tllib"]), tllib_reported(tables["tllib_reported"]), "tllib"))
    spider = "model_spider_scores × tllib"
    if any(bank.name == spider for bank in scored):
        beside.append(beside_reported(methods[methods["source"] == spider], spider_reported(), spider))
    reported = pd.concat(beside) if beside else pd.DataFrame(columns=["source", "flagged"])
    out.mkdir(parents=True, exist_ok=True)
    with together():
        for name, table in (
            ("yardsticks", yardsticks),
            ("methods", methods),
            ("agreement", agreed),
            ("reported", reported),
            ("list", wins),
        ):
            correlate.save(table, out / f"{name}.csv")
        text = _page(made, yardsticks, methods, wins, agreed, reported, warnings, list(tables))
        correlate.put(out / "published.md", text)
        if page is not None:
            page.parent.mkdir(parents=True, exist_ok=True)
            correlate.put(page, text)
    tell(f"{len(made)} ground truths, {len(yardsticks)} values in {out}/yardsticks.csv")


def main(argv: list[str] | None = None) -> int:
    from pydantic import Field

    from benchmark import cli
    from benchmark.config import ConfigError, Spec

    class Settings(Spec):
        path: Path = Field(description="folder that holds the published tables, under the names of `SOURCES`")
        more: Path | None = Field(None, description="a second folder of published tables, where they lie in two")
        out: Path = Field(description="folder for yardsticks.csv, methods.csv, agreement.csv, reported.csv, the page")
        page: Path | None = Field(None, description="a further place for the page, e.g. results/published.md")
        fetch: bool = Field(False, description="download the paper's two tables into path first, checksums verified")

    def run(settings: Settings) -> int:
        from threadpoolctl import threadpool_limits

        try:
            if settings.fetch:
                for stem in (s for s, source in SOURCES.items() if source.url):
                    fetch(stem, settings.path)
            with threadpool_limits(1):
                write([f for f in (settings.path, settings.more) if f], settings.out, settings.page)
        except (ValueError, OSError) as error:
            raise ConfigError(str(error)) from None
        return 0

    usage = "python -m benchmark.published path=<folder> out=<dir>: yardsticks on everybody's published ground truth"
    return cli.settings(run, Settings, usage, argv)


if __name__ == "__main__":
    sys.exit(main())
