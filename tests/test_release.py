"""The released layer serves a run without its cells being made again."""

import zipfile

from benchmark.cli import compose
from benchmark.config import experiment
from benchmark.plan import plan
from scripts import release
from tests.running import TINY, run


def spec(folder, *more):
    places = {"paths.cache": folder / "cache", "paths.released": folder / "released", "paths.out": folder / "out"}
    return experiment(compose([*TINY, *(f"{k}={v}" for k, v in places.items()), *more]))


def test_the_first_experiments_weights_and_everybodys_truth(tmp_path, capsys):
    one, more = spec(tmp_path), spec(tmp_path, "recipe.steps=3")
    assert run(tmp_path).returncode == 0
    assert release.release([one, more]) == 1
    assert "6 cells are not in" in capsys.readouterr().err  # three models, a rate and one seed each
    assert run(tmp_path, "recipe.steps=3").returncode == 0
    assert release.release([more, one]) == 0
    with zipfile.ZipFile(tmp_path / "released" / "truth.zip") as archive:
        keys = {name.partition("/")[0] for name in archive.namelist()}
    plans = [plan(one), plan(more)]
    assert keys == {key for made in plans for t in made.transfers for key in t.truth}
    assert len(keys) == 6
    assert len(list((tmp_path / "released" / "weights").iterdir())) == 1
    again = run(tmp_path, f"paths.cache={tmp_path}/other", f"paths.released={tmp_path}/released")
    assert again.returncode == 0
    made = {p.name for p in (tmp_path / "other").iterdir()}
    assert "probe" in made
    assert not {"weights", "tune", "truth"} & made
