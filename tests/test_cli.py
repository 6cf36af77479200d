"""Bad input: exit code 2, sentences that say what to change, and nothing computed."""

import subprocess
import sys
from pathlib import Path

import pytest

from benchmark import cli
from benchmark import run as running_module
from tests import running
from tests.running import ROOT, TINY

USAGE = "usage of the test"


@pytest.fixture
def call(tmp_path, monkeypatch, capsys):
    """(exit code, lines of stderr, stdout) of the run command in an empty directory that must stay empty."""
    monkeypatch.chdir(tmp_path)

    def command(*argv: str, tiny: bool = True) -> tuple[int, list[str], str]:
        code = cli.experiments(running_module.run, USAGE, [*(TINY if tiny else ()), *argv])
        said = capsys.readouterr()
        assert [p.name for p in tmp_path.iterdir() if p.name not in ("conf", "given")] == []
        return code, said.err.splitlines(), said.out

    return command


MINE = "+method.mine._target_="
ONE = {  # a bad input -> the one complaint about it
    "probe.sise=3": "probe.sise must be a known key. Got 'probe.sise'. Did you mean 'probe.size'?",
    "+probe.sise=3": "probe.sise must be a known key. Did you mean 'size'?",
    "+prob=3": "prob must be a known key. Did you mean 'probe'?",
    "+bank.random.weight=x": "bank.random.weight must be a known key. Did you mean 'weights'?",
    "+recipe.optimisers.cnn.rate=1": "recipe.optimisers.cnn.rate must be a known key. Did you mean 'rates'?",
    "probe.size=ten": "probe.size must be a valid integer",
    "probe.size=1": "probe.size must be greater than or equal to 4. Got 1.",
    "executor.workers=-1": "executor.workers must be greater than or equal to 0. Got -1.",
    "truth.mode=recomputed": "truth.mode must be 'stored' or 'recompute'. Got 'recomputed'.",
    "recipe.optimisers.cnn.rates=[0.1,-1]": "recipe.optimisers.cnn.rates.1 must be greater than 0. Got -1.",
    "recipe.optimisers.cnn.rates=[]": "recipe.optimisers.cnn.rates must have at least 1 item",
    "recipe.validation=1.0": "recipe.validation must be less than 1. Got 1.0.",
    "method=prac": "method must be one of its options. Got 'prac'. Did you mean 'parc'?",
    "bank=divers": "bank must be one of its options. Got 'divers'. Did you mean 'diverse'?",
    "target=digit": "target must be one of its options. Got 'digit'. Did you mean 'digits'?",
    "recipe=fats": "recipe must be one of its options. Got 'fats'. Did you mean 'fast'?",
    "experiment=dmo": "experiment must be one of its options. Got 'dmo'. Did you mean 'demo'?",
    "logger=wandbb": "logger must be one of its options. Got 'wandbb'. Did you mean 'wandb'?",
    "method=": "method must be one of its options. Got ''. Options: all, cka",
    "method=null": "method=null must name an option, or several as [a,b]. Got null.",
    "bank={a: 1}": "bank must be an option, or several as [a,b]. Add an entry of your own as '+bank.<name>={…}'.",
    "~method.prac": "~method.prac must name a key of the configuration. Did you mean 'method.parc'?",
    "methods=parc": "methods must be a known key. Got 'methods'. Did you mean 'method'?",
    MINE + "no_such_package.f": "Got 'no_such_package.f': no module 'no_such_package'. Is it on PYTHONPATH?",
    MINE + "methods.prac": "method.mine._target_ must name a function of 'methods'. Got 'prac'. Did you mean 'parc'?",
    MINE + "methods.no.f": "method.mine._target_ must be importable. Got 'methods.no.f': no module 'methods.no'.",
    MINE + "parc": "method.mine._target_ must be a dotted path <module>.<function>. Got 'parc'.",
    "+method.mine.k=1": "method.mine._target_ must be given. Got nothing.",
    "+method.mine=3": "method.mine must be a mapping with its settings. Got 3.",
    "method.parc.n_dim=4": "method.parc.n_dim must be a known key. Got 'method.parc.n_dim'. Did you mean 'method.parc.",
    "+method.parc.n_dim=4": "method.parc.n_dim must be a parameter of parc. Did you mean 'n_dims'?",
    "method.parc.n_dims=many": "method.parc.n_dims must be",
    "+method.parc.features=4": "method.parc.features must be left out: the runner supplies it. Got 4.",
    "target=folder": "target.folder.path must be given. Got nothing. Add target.folder.path=<value>.",
    "+target.x={size: 8, task: t}": "target.x._target_ must be given. Got nothing.",
    "+target.x={size: 8, task: t, _target_: methods.parc}": "target.x._target_ must be a data set adapter",
    "+target.tiny.nois=1": "target.tiny.nois must be a parameter of digits. Did you mean 'noise'?",
    "target.tiny.train=some": "target.tiny.train must be a valid integer",
    "bank.random.weights=pretrained": "weights must be 'random' or <kind>:<what> with kind one of pretrain, package",
    "bank.trained.weights='pretrain:tiny_sorce'": "Got 'tiny_sorce'. Did you mean 'tiny_source'?",
    "exclude_models=[rondom]": "exclude_models must name models of the bank. Got 'rondom'. Did you mean 'random'?",
    "method=[]": "method must hold at least one entry. Got none.",
    "+probe.size=3": "probe.size is in the configuration already. Drop the '+'.",
    "--mutlirun": "--mutlirun must be a known flag. Did you mean '--multirun'?",
    "probe.size": "probe.size must be <key>=<value>.",
    "method=[parc": "method=[parc must be <key>=<value>. Write a list as [a,b]",
    "method=parc,knn": "method=parc,knn must be one value. Got several. Write a list as [a,b], or add -m to sweep",
}


@pytest.mark.parametrize("bad", ONE)
def test_one_bad_input_is_one_sentence(call, bad):
    code, errors, out = call(bad)
    assert code == 2
    assert out == ""
    assert len(errors) == 1, errors
    assert errors[0].startswith("error: ")
    assert ONE[bad] in errors[0]


def test_a_reference_is_needed_where_a_method_asks_for_it(call):
    code, errors, _ = call("method=rsa", "reference=null")
    assert (code, errors) == (2, ["error: reference must be set for rsa. Got null. Name an architecture."])


def test_all_complaints_come_at_once(call):
    bad = ("probe.size=1", "executor.workers=-1", "+typo=1", "method.parc.n_dims=many", MINE + "no_such_package.f")
    code, errors, _ = call(*bad, "+target.tiny.nois=1", "+bank.random.weight=x", "bank.vit.layers=0")
    assert code == 2
    for thing in ("probe.size", "executor.workers", "typo", "method.parc.n_dims", "method.mine._target_"):
        assert sum(e.startswith(f"error: {thing} must be") for e in errors) == 1, thing
    for thing in ("target.tiny.nois", "bank.random.weight", "bank.vit.layers"):
        assert sum(e.startswith(f"error: {thing} must be") for e in errors) == 1, thing
    assert len(errors) == 8


def test_two_banks_must_not_mean_different_things_by_one_name(call, tmp_path):
    (tmp_path / "conf" / "bank").mkdir(parents=True)
    (tmp_path / "conf" / "bank" / "clash.yaml").write_text("vit:\n  arch: resnet18\n  weights: random\n  layers: 18\n")
    paths = f"hydra.searchpath=[file://{ROOT}/tests/conf,file://{tmp_path}/conf]"
    code, errors, _ = call(paths, "experiment=tiny", "bank=[tiny,clash]", tiny=False)
    assert code == 2
    assert errors == [
        "error: bank.vit must mean one thing. Got different entries from 'bank/tiny' and 'bank/clash'. "
        "Rename one of them."
    ]


SWEEPS = {
    ("method=parc,prac",): "method must be one of its options. Got 'prac'. Did you mean 'parc'?",
    ("probe.size=10,1",): "probe.size must be greater than or equal to 4. Got 1.",
    ("recipe.steps=4,5",): "recipe must be the same in all points of a sweep. Got several.",
    ("paths.cache=a,b",): "paths must be the same in all points of a sweep. Got several.",
    ("+bank.random.seed=0,1",): "bank.random must mean one thing in all points of a sweep. Got several.",
    ("target.tiny.train=50,60",): "target.tiny must mean one thing in all points of a sweep. Got several.",
    ("probe.sise=3,4",): "probe.sise must be a known key. Got 'probe.sise'. Did you mean 'probe.size'?",
}


@pytest.mark.parametrize("bad", SWEEPS, ids=" ".join)
def test_a_bad_point_stops_the_whole_sweep(call, bad):
    code, errors, _ = call("-m", *bad)
    assert code == 2
    assert len(errors) == 1, errors
    assert SWEEPS[bad] in errors[0]


def test_missing_data_is_an_error_before_anything_is_computed(call, tmp_path):
    code, errors, _ = call("target=folder", f"target.folder.path={tmp_path}/nowhere")
    assert code == 2
    assert len(errors) == 1
    assert f"{tmp_path}/nowhere" in errors[0]


def test_a_newer_store_is_an_error(call, tmp_path):
    (tmp_path / "given").mkdir()
    (tmp_path / "given" / "schema.json").write_text('{"schema": 99}')
    code, errors, _ = call(f"paths.cache={tmp_path}/given")
    assert code == 2
    assert errors[0].startswith("error: paths.cache must be of schema 1 or older.")


def test_a_damaged_schema_is_an_error_in_every_command(tmp_path, monkeypatch, capsys):
    from benchmark import store
    from scripts import import_results, release

    (tmp_path / "images" / "a").mkdir(parents=True)
    (tmp_path / "cells-1.zip").write_bytes(b"")
    (tmp_path / "released" / "weights").mkdir(parents=True)
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "schema.json").write_text("")
    here, of_run = f"cache={tmp_path}/cache", [*TINY, f"paths.cache={tmp_path}/cache"]
    commands = [
        lambda: cli.experiments(running_module.run, USAGE, of_run),
        lambda: cli.settings(store.report, store.Settings, USAGE, [here, "released=null"]),
        lambda: release.main([*of_run, f"paths.released={tmp_path}/released"]),
        lambda: import_results.main([str(tmp_path), here]),
    ]
    for command in commands:
        assert command() == 2
        said = capsys.readouterr().err
        assert said.startswith(f'error: {tmp_path}/cache/schema.json must be {{"schema": <number>}}. Got a damaged')
        assert len(said.splitlines()) == 1


FULL = OSError(28, "No space left on device")


def test_a_full_disk_under_out_is_one_sentence(call, tmp_path, monkeypatch):
    """What is new goes again; a file that stood there before is whole."""
    from benchmark import files

    monkeypatch.setattr(running_module, "_complete", lambda *a: (_ for _ in ()).throw(AssertionError("not reached")))
    code, errors, _ = call("paths.out=/proc/self/mem/out")
    assert (code, len(errors)) == (2, 1)
    assert errors[0].startswith("error: paths.out must lie in a folder. Got '/proc/self/mem/out' below the file")
    (tmp_path / "given").mkdir()
    (tmp_path / "given" / "table.csv").write_text("old")

    def full(*given: object) -> int:
        with monkeypatch.context() as patched, files.together():
            (tmp_path / "given" / "out").mkdir()
            files.put(tmp_path / "given" / "out" / "truth.csv", "1")
            files.put(tmp_path / "given" / "table.csv", "new")
            patched.setattr(Path, "write_bytes", lambda *a: (_ for _ in ()).throw(FULL))
            files.put(tmp_path / "given" / "scores.csv", "1")
        return 0

    monkeypatch.setattr(running_module, "_complete", full)
    code, errors, _ = call()
    assert code == 2
    assert errors == [
        f"error: files must have a place where they can be written. Got a full disk at '{tmp_path}/given/scores.csv'. "
        "Make room, or give another folder."
    ]
    assert [p.name for p in (tmp_path / "given").iterdir()] == ["table.csv"]


# what is not an error


def test_help_names_every_option(call):
    for flag in ("--help", "-h"):
        code, errors, out = call(flag, tiny=False)
        assert (code, errors) == (0, [])
        assert out.startswith(USAGE)
        for group in ("bank", "target", "method", "recipe"):
            for path in (ROOT / "conf" / group).glob("*.yaml"):
                assert path.stem in out


def test_cfg_prints_the_configuration_and_does_nothing(call):
    from omegaconf import OmegaConf

    code, errors, out = call("--cfg", "probe.size=33")
    assert (code, errors) == (0, [])
    shown = OmegaConf.create(out)
    assert (shown.probe.size, shown.recipe.steps, shown.bank.vit.layers) == (33, 4, 6)


def test_dry_run_counts_and_does_nothing(call):
    code, errors, out = call("dry_run=true")
    assert (code, errors) == (0, [])
    counts = {line.split()[0]: tuple(line.split()[1:3]) for line in out.splitlines()[1:7]}
    assert counts == {
        "pack": ("2", "0"),
        "weights": ("1", "0"),
        "tune": ("3", "0"),
        "truth": ("3", "0"),
        "probe": ("3", "0"),
        "score": ("6", "0"),
    }
    assert "18 cells to do" in out


def test_variants_and_strangers_parameters_are_accepted(call):
    variant = "+method.parc_f4={_target_: methods.parc, n_dims: 4}"
    code, errors, out = call("dry_run=true", "+method.mine._target_=statistics.fmean")
    assert (code, errors) == (2, ["error: method.mine.data must be given: fmean needs it."])
    code, errors, out = call("dry_run=true", variant, "method.knn.k=3")
    assert (code, errors) == (0, [])
    assert "21 cells to do" in out


def test_the_command_itself(tmp_path):
    """As a person calls it: no traceback, no stray file, exit codes as documented."""
    bad = running.run(tmp_path, "probe.sise=3")
    assert bad.returncode == 2
    assert bad.stderr == "error: probe.sise must be a known key. Got 'probe.sise'. Did you mean 'probe.size'?\n"
    sweep = running.run(tmp_path, "-m", "dry_run=true", "method=parc,knn", "probe.size=10,20,30")
    assert sweep.returncode == 0, sweep.stderr
    assert "score           18" in sweep.stdout
    assert list((tmp_path / "work").iterdir()) == []
    assert [p.name for p in tmp_path.iterdir()] == ["work"]


def test_a_closed_pipe_is_no_error(tmp_path):
    shell = f"{sys.executable} -m benchmark.run --help | head -1; echo ${{PIPESTATUS[0]}}"
    said = subprocess.run(["bash", "-c", shell], cwd=ROOT, capture_output=True, text=True)
    assert said.stderr == ""
    assert said.stdout.splitlines()[-1] == "0"


def test_no_stray_files_in_the_project():
    for name in ("multirun", ".hydra", "run.log"):
        assert not (ROOT / name).exists()
    assert Path(cli.CONF) == ROOT / "conf"
