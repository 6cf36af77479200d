"""The paper's tables, claims and figures written to a folder, in Markdown, LaTeX and as pictures."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pandas as pd

from benchmark.files import put, together
from benchmark.literature.claims import claims, claims_page
from benchmark.literature.paper_grids import grids
from benchmark.literature.paper_tables import AS_RELEASED, SIZES_COMMAND, Run, records
from benchmark.reporting import layout
from benchmark.reporting.latex import latex
from benchmark.reporting.pictures.lines import line_picture, times_picture
from benchmark.tables.columns import save

_ABOUT = """# The paper's tables on {name}

Made by `python -m benchmark.paper path={path} out={out}`. Mean PC is Pearson ×100 between score and accuracy after
fine-tuning, mean over targets, ± sd over {draws} probe draws. {images} `paper` is the published
figure, Δ ours minus it. The {whose} ± beside the paper's times is over transfers, as
ours. Table 4 prints 68.2 for RSA +ℓ, f=32, where Table S4 has 68.8; 68.2 is the figure of DDS there, so that of Table 4
is taken for a misprint. Whether each claim is seen: claims.md.
"""

_OWN = """\
models, targets and ground truth here are this project's ({models} models, {targets} targets), so a difference is to be
read as the difference between two banks, not as an error. Rows named R-50 compare with this project's reference model,
which was trained on the target; the paper's other reference networks were not run."""

_THEIRS = """\
models, targets, probes and accuracies are the release's ({models} models, {targets} targets). Rows `(as released)`
compute what its code does, so that a difference there is one of machines (its ties depend on the BLAS); the other rows
follow the definitions, and differ because the release ranks equal label distances of PARC by their rounding, adds 1e-5
to every cell of NCE's joint distribution, lets all k neighbours count where their votes differ (5-NN), and subtracts
ln|Dᵗ| in the heuristic. Rows named R-50 compare with the released ResNet-50 that was trained on the target."""


def write(run: Run, out: Path, source: Path, diverse: Run | None = None, sizes: Run | None = None) -> pd.DataFrame:
    """paper.csv, paper.md, <table>.{csv,tex}, claims.{csv,md} and the figures, all or none; returns the claims."""
    out.mkdir(parents=True, exist_ok=True)
    with together():
        return _written(run, out, source, diverse, sizes)


def _written(run: Run, out: Path, source: Path, diverse: Run | None, sizes: Run | None) -> pd.DataFrame:
    table = records(run, diverse, sizes)
    made = grids(table, run.aligned.targets)
    save(table, out / "paper.csv")
    aligned = run.aligned
    whose = _THEIRS if any(m.endswith("_released") for m in aligned.methods) else _OWN
    about = _ABOUT.format(
        name=source.name,
        path=source,
        out=out,
        draws=len(aligned.runs),
        images=run.probe_images,
        whose=whose.format(models=len(aligned.models), targets=len(aligned.targets)),
    )
    lacking = [] if diverse is not None else ["Table 5: no run of a crowd-sourced bank was given (diverse=<folder>)."]
    lacking += [] if sizes is not None else [f"Probe-size curves: no sweep was given (sizes=<folder>): {SIZES_COMMAND}"]
    put(
        out / "paper.md",
        about + "".join(f"\n- {line}" for line in lacking) + "\n\n" + "\n".join(map(layout.markdown, made.values())),
    )
    for name, grid in made.items():
        named = f"The paper's {grid.title}; Δ: ours less the paper's figure. Bold: the best."
        put(out / f"{name}.tex", latex(replace(grid, caption=named, label=name)))
    found = claims(run, sizes)
    save(found, out / "claims.csv")
    put(out / "claims.md", claims_page(found, source.name, run.probe_images))
    _pictures(table, out)
    return found


def _pictures(table: pd.DataFrame, out: Path) -> None:
    """pca.png, time.png, sizes.png: ours filled, the paper's hollow and dashed."""
    plain = table[~table["row"].str.endswith(AS_RELEASED)]
    of = lambda name: plain[plain["table"] == name]  # noqa: E731
    pca = of("S2").query("column == 'mean'")
    pca = pca.assign(series=pca["row"].str.split(" f=").str[0], x=pca["row"].str.split("f=").str[1].astype(float))
    line_picture(out / "pca.png", pca, "Mean PC by PCA dimensions f", "f")
    sizes = of("S-fig2a")
    sizes = sizes.assign(series=sizes["row"].str.replace("+l", "+ℓ"), x=sizes["column"].astype(float))
    if sizes["ours"].notna().any():
        line_picture(out / "sizes.png", sizes, "Mean PC by probe size, all tweaks", "images in the probe set")
    plus = of("4")[of("4")["row"].str.contains("+l", regex=False) | of("4")["row"].str.startswith("PARC")]
    wide = pd.concat([of("1"), of("2b"), plus])
    wide = wide.pivot(index="row", columns="column", values=["ours", "paper"])
    points = pd.DataFrame(
        {"series": wide.index, **{f"{w}_{c}": wide[w, c].to_numpy() for w in ("ours", "paper") for c in ("mean", "ms")}}
    )
    times_picture(out / "time.png", points)
