"""A stranger's own features and accuracies, given the same treatment: scores, correlations, intervals, report.

    python -m benchmark.evaluate features=mine.npz truth=mine.csv method=[parc_f32,logme,knn] out=outputs/mine

No PyTorch is needed. An estimator of your own: '+method.mine._target_=my_package.my_score', or a folder of your own
configuration, --config-dir=<folder>, with <folder>/method/mine.yaml and method=[…,mine]. focal=mine tests it against
each other method and no other pair.

`features` is one file (.npz or .safetensors) or a folder of such files (`<name>` below a target's
folder is the model: `pets/resnet50.npz` holds the keys that follow `pets/resnet50/`). Its arrays, n images of a target:

    <target>/labels               (n,) class ids, or (n, c) multi-hot; the same images for all models of the target
    <target>/<model>/features     (n, d) penultimate activations
    <target>/<model>/probs        (n, z) probabilities of the source's classes; optional
    <target>/<model>/logits       (n, z) instead of probs; optional
    <target>/<model>/source_features, source_labels   (m, d) and (m,) of images that the model was trained on, for
                                 f_otce and jc_otce; optional
    <target>/reference_features   (n, d') of a model trained on the target, for rsa and dds; optional

`truth` is a CSV or Parquet table with Model, Target Dataset (or target), Oracle (accuracy after fine-tuning, percent);
optional: Architecture, Source Dataset, Seed, Layers, Parameters, Source Size, Source Accuracy, Target Size, Target
Family (a method that learns from known transfers is told of no target of the same one).
"""

from __future__ import annotations

import sys
from pathlib import Path

from benchmark import called, provenance
from benchmark.config import cli
from benchmark.config.compose import methods_named
from benchmark.config.spec import Names, Spec
from benchmark.errors import ConfigError
from benchmark.reporting import folder as reporting_folder
from benchmark.reporting.focal import refuse_unknown
from benchmark.scoring.own_features import read, read_truth, tables


def main(argv: list[str] | None = None) -> int:
    from pydantic import Field

    class Settings(Spec):
        features: Path = Field(description=".npz, .safetensors, or a folder of them; keys: see benchmark/evaluate.py")
        truth: Path = Field(description="CSV or Parquet: Model, Target Dataset, Oracle in percent, further facts")
        method: Names = Field(("paper",), description="names of conf/method, e.g. [parc_f32,logme] or all")
        out: Path = Field(Path("outputs/evaluate"), description="folder for the report")
        size: int | None = Field(None, ge=4, description="images per probe set, null for all of them once")
        draws: int = Field(5, ge=1, description="probe sets of that size")
        html: bool = Field(False, description="write report.html as well")
        title: str = Field("own features", description="what the report is called")
        focal: Names = Field((), description="methods in question, tested against each other one alone")

    def run(settings: Settings, overrides: list[str]) -> int:
        for path in (settings.features, settings.truth):  # at once; methods take a second to load
            if not path.exists():
                raise ConfigError(f"{path} must be there. Got nothing. Check the path.")
        specs = methods_named(settings.method, overrides)
        refuse_unknown(settings.focal, [m.name for m in specs])
        try:
            truth = read_truth(settings.truth)
            made = tables(read(settings.features), truth, specs, settings.size, settings.draws)
            code = reporting_folder.write(
                made,
                settings.out,
                title=settings.title,
                inputs={m.name: m.needs for m in specs},
                provenance={
                    "command": ["python", "-m", "benchmark.evaluate", *(sys.argv[1:] if argv is None else argv)],
                    **provenance.record(),
                },
                html=settings.html,
                focal=settings.focal,
            )
        except (ValueError, OSError) as error:
            raise ConfigError(str(error)) from None
        for method in made.failures:
            print(method, file=sys.stderr)
        return code or int(bool(made.failures))

    return cli.searching(run, Settings, __doc__.strip(), argv)


called(__name__, "benchmark.api.evaluate")

if __name__ == "__main__":
    sys.exit(main())
